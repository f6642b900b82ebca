using System.Buffers.Binary;
using System.IO.Compression;

namespace FtAkka.GuestKit;

/// <summary>
/// Takes the packed ELF kernel out of a bzImage (Linux Documentation/arch/x86/boot.rst). A guest that is given the ELF file
/// does not spend its first hundred million instructions on unpacking it.
/// </summary>
public static class KernelImage
{
    private const int SetupSectorsOffset = 0x1f1;
    private const int HeaderMagicOffset = 0x202;
    private const int VersionOffset = 0x206;
    private const int PayloadOffsetOffset = 0x248;
    private const int PayloadLengthOffset = 0x24c;
    private const int SectorBytes = 512;
    private const uint HeaderMagic = 0x53726448; // "HdrS"
    private const int FirstVersionWithPayload = 0x208;
    private const int UnpackedBytesMax = 1 << 30;

    /// <summary>
    /// Unpacks the kernel. Returns false with a reason when the packing is one that this program does not read (XZ, Zstandard);
    /// the bzImage then serves as it is.
    /// </summary>
    /// <exception cref="InvalidDataException">The file is no bzImage, or is damaged.</exception>
    public static bool TryExtractVmlinux(ReadOnlySpan<byte> bzImage, out byte[] vmlinux, out string reason)
    {
        ReadOnlySpan<byte> payload = Payload(bzImage);
        uint magic = BinaryPrimitives.ReadUInt32LittleEndian(payload);
        vmlinux = [];
        reason = string.Empty;

        // The build appends the unpacked size to every payload; for gzip that is the format's own last field.
        uint unpackedBytes = BinaryPrimitives.ReadUInt32LittleEndian(payload[^4..]);
        if (unpackedBytes > UnpackedBytesMax)
        {
            throw new InvalidDataException($"the kernel claims to unpack to {unpackedBytes} bytes");
        }

        if (magic == Lz4LegacyFrame.Magic)
        {
            vmlinux = Lz4LegacyFrame.Decode(payload[..^4], (int)unpackedBytes);
        }
        else if ((magic & 0xffff) == 0x8b1f)
        {
            vmlinux = Gunzip(payload, (int)unpackedBytes);
        }
        else
        {
            reason = (magic & 0xffffff) switch
            {
                0x7a37fd => "it is packed with XZ",
                0x2fb528 => "it is packed with Zstandard",
                _ => $"its packing is unknown (first bytes {magic:x8})",
            };
            return false;
        }

        return BinaryPrimitives.ReadUInt32LittleEndian(vmlinux) == ElfFile.Magic
            ? true
            : throw new InvalidDataException("the unpacked kernel is no ELF file");
    }

    private static ReadOnlySpan<byte> Payload(ReadOnlySpan<byte> image)
    {
        if (image.Length < PayloadLengthOffset + 4
            || BinaryPrimitives.ReadUInt32LittleEndian(image[HeaderMagicOffset..]) != HeaderMagic)
        {
            throw new InvalidDataException("the kernel file is no bzImage: it lacks the mark HdrS");
        }

        int version = BinaryPrimitives.ReadUInt16LittleEndian(image[VersionOffset..]);
        if (version < FirstVersionWithPayload)
        {
            throw new InvalidDataException($"boot protocol {version >> 8}.{version & 0xff:d2} is too old, 2.08 is needed");
        }

        int setupSectors = image[SetupSectorsOffset] == 0 ? 4 : image[SetupSectorsOffset];
        ulong start = ((ulong)(setupSectors + 1) * SectorBytes)
            + BinaryPrimitives.ReadUInt32LittleEndian(image[PayloadOffsetOffset..]);
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(image[PayloadLengthOffset..]);
        if (length < 8 || start + length > (ulong)image.Length)
        {
            throw new InvalidDataException("the packed kernel lies outside the bzImage: the file is cut or damaged");
        }

        return image.Slice((int)start, (int)length);
    }

    private static byte[] Gunzip(ReadOnlySpan<byte> payload, int unpackedBytes)
    {
        byte[] output = new byte[unpackedBytes];
        using var source = new GZipStream(new MemoryStream(payload.ToArray()), CompressionMode.Decompress);
        source.ReadExactly(output);
        return output;
    }
}
