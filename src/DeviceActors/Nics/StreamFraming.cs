using System.Buffers.Binary;
using System.Collections.Immutable;

namespace FtAkka.DeviceActors.Nics;

/// <summary>
/// Frames on a byte stream as QEMU's stream netdev and passt put them: a 4-byte big-endian length, then the frame. Feed bytes as they
/// arrive, in any cut.
/// </summary>
public sealed class StreamFraming
{
    /// <summary>Bytes in front of each frame.</summary>
    public const int PrefixBytes = 4;

    private byte[] buffer = new byte[256 * 1024];
    private int start;
    private int end;

    /// <summary>Room for the next read from the stream; at least one byte. Call <see cref="Advance"/> afterwards.</summary>
    public Memory<byte> Room()
    {
        if (start == end)
        {
            start = end = 0;
        }
        // A partial frame is at most FrameBytesMax long, so that moving it to the front always makes room.
        if (buffer.Length - end < PrefixBytes + LinkLimits.FrameBytesMax)
        {
            buffer.AsSpan(start, end - start).CopyTo(buffer);
            (start, end) = (0, end - start);
        }
        return buffer.AsMemory(end);
    }

    /// <summary>Says how many bytes were put into <see cref="Room"/>.</summary>
    public void Advance(int bytes) => end += bytes;

    /// <summary>
    /// Takes the next whole frame. False if there is none yet, or, with <paramref name="broken"/>, never again: the length is impossible
    /// and the stream must be closed.
    /// </summary>
    public bool TryTake(out ImmutableArray<byte> frame, out bool broken)
    {
        frame = [];
        broken = false;
        if (end - start < PrefixBytes)
        {
            return false;
        }
        uint length = BinaryPrimitives.ReadUInt32BigEndian(buffer.AsSpan(start));
        if (length is 0 or > LinkLimits.FrameBytesMax)
        {
            broken = true;
            return false;
        }
        if (end - start - PrefixBytes < (int)length)
        {
            return false;
        }
        frame = ImmutableArray.Create(buffer.AsSpan(start + PrefixBytes, (int)length));
        start += PrefixBytes + (int)length;
        return true;
    }

    /// <summary>Forgets what arrived: the stream was replaced by a new one.</summary>
    public void Reset() => start = end = 0;

    /// <summary>The frames as bytes for the stream, in one piece.</summary>
    public static byte[] Encode(ImmutableArray<ImmutableArray<byte>> frames)
    {
        int total = 0;
        foreach (ImmutableArray<byte> frame in frames)
        {
            total = checked(total + PrefixBytes + frame.Length);
        }
        byte[] bytes = new byte[total];
        int at = 0;
        foreach (ImmutableArray<byte> frame in frames)
        {
            BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(at), (uint)frame.Length);
            frame.CopyTo(bytes, at + PrefixBytes);
            at += PrefixBytes + frame.Length;
        }
        return bytes;
    }
}
