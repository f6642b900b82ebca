using System.Buffers.Binary;

namespace FtAkka.GuestKit;

/// <summary>
/// Decoder of the LZ4 <em>legacy</em> frame (LZ4 Frame Format Description, "Legacy frame"), the form in which the Linux build
/// packs a kernel: a magic number, then blocks of up to 8 MiB, each after its packed size. No checksums.
/// </summary>
public static class Lz4LegacyFrame
{
    /// <summary>First four bytes of a frame, read as a little-endian number.</summary>
    public const uint Magic = 0x184c2102;

    private const int MinimumMatchBytes = 4;
    private const int LengthNibbleFull = 15;

    /// <summary>Unpacks a frame into a buffer of its known unpacked size.</summary>
    /// <exception cref="InvalidDataException">The data is not such a frame, is damaged, or does not give that many bytes.</exception>
    public static byte[] Decode(ReadOnlySpan<byte> frame, int unpackedBytes)
    {
        if (frame.Length < 4 || BinaryPrimitives.ReadUInt32LittleEndian(frame) != Magic)
        {
            throw new InvalidDataException("no LZ4 legacy frame");
        }

        byte[] output = new byte[unpackedBytes];
        int written = 0;
        ReadOnlySpan<byte> rest = frame[4..];
        while (rest.Length >= 4 && written < unpackedBytes)
        {
            uint blockBytes = BinaryPrimitives.ReadUInt32LittleEndian(rest);
            if (blockBytes > (uint)(rest.Length - 4))
            {
                throw new InvalidDataException("LZ4 block runs past the end of the frame");
            }

            written = DecodeBlock(rest.Slice(4, (int)blockBytes), output, written);
            rest = rest[(4 + (int)blockBytes)..];
        }

        return written == unpackedBytes
            ? output
            : throw new InvalidDataException($"LZ4 frame gives {written} bytes, expected {unpackedBytes}");
    }

    /// <summary>Unpacks one block (LZ4 Block Format Description) at <paramref name="start"/>; returns the new end of the output.</summary>
    private static int DecodeBlock(ReadOnlySpan<byte> block, byte[] output, int start)
    {
        int read = 0;
        int written = start;
        while (read < block.Length)
        {
            byte token = block[read++];
            int literals = ReadLength(block, ref read, token >> 4);
            if (literals > block.Length - read || literals > output.Length - written)
            {
                throw new InvalidDataException("LZ4 literals run past the end");
            }

            block.Slice(read, literals).CopyTo(output.AsSpan(written));
            read += literals;
            written += literals;
            if (read == block.Length)
            {
                break; // the last sequence of a block has no match
            }

            written = CopyMatch(block, ref read, token & LengthNibbleFull, output, start, written);
        }

        return written;
    }

    private static int CopyMatch(ReadOnlySpan<byte> block, ref int read, int lengthNibble, byte[] output, int start, int written)
    {
        if (block.Length - read < 2)
        {
            throw new InvalidDataException("LZ4 block ends inside a match");
        }

        int offset = BinaryPrimitives.ReadUInt16LittleEndian(block[read..]);
        read += 2;
        int length = ReadLength(block, ref read, lengthNibble) + MinimumMatchBytes;
        if (offset == 0 || offset > written - start || length > output.Length - written)
        {
            throw new InvalidDataException("LZ4 match points outside the output");
        }

        if (offset >= length)
        {
            output.AsSpan(written - offset, length).CopyTo(output.AsSpan(written));
            return written + length;
        }

        // An overlapping match repeats what it has just written, so it goes byte by byte.
        for (int end = written + length; written < end; written++)
        {
            output[written] = output[written - offset];
        }

        return written;
    }

    private static int ReadLength(ReadOnlySpan<byte> block, ref int read, int nibble)
    {
        int length = nibble;
        if (nibble != LengthNibbleFull)
        {
            return length;
        }

        byte more;
        do
        {
            if (read == block.Length)
            {
                throw new InvalidDataException("LZ4 block ends inside a length");
            }

            more = block[read++];
            length = checked(length + more);
        }
        while (more == byte.MaxValue);
        return length;
    }
}
