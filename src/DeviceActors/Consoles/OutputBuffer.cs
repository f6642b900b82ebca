namespace FtAkka.DeviceActors.Consoles;

/// <summary>
/// Console output that has not reached anybody yet, by its position in the stream since power-on. Takes each byte once, whatever is
/// sent again after a failover, and keeps a bounded number of the newest. Pure.
/// </summary>
public sealed class OutputBuffer
{
    private readonly Queue<byte> bytes = new();
    private readonly int bytesMax;

    /// <summary>An empty buffer.</summary>
    /// <param name="startOffset">Position of the first byte expected: 0 at power-on, else what was released before.</param>
    /// <param name="bytesMax">Bytes kept; the oldest beyond are lost.</param>
    public OutputBuffer(ulong startOffset, int bytesMax)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bytesMax, 1);
        this.bytesMax = bytesMax;
        NextOffset = startOffset;
    }

    /// <summary>Position behind the last byte taken.</summary>
    public ulong NextOffset { get; private set; }

    /// <summary>Position of the oldest byte kept.</summary>
    public ulong FirstOffset => NextOffset - (ulong)bytes.Count;

    /// <summary>Bytes kept.</summary>
    public int Count => bytes.Count;

    /// <summary>Bytes lost since the start: pushed out by newer ones, or never sent here (a gap).</summary>
    public ulong LostBytes { get; private set; }

    /// <summary>Takes bytes that start at <paramref name="offset"/>. What was taken before is skipped. Returns the number of new bytes.</summary>
    public int Append(ulong offset, ReadOnlySpan<byte> piece)
    {
        if (offset > NextOffset)
        {
            // What is kept must be without holes: older bytes would take the wrong places.
            LostBytes += offset - NextOffset + (ulong)bytes.Count;
            bytes.Clear();
            NextOffset = offset;
        }
        ulong known = NextOffset - offset;
        if (known >= (ulong)piece.Length)
        {
            return 0;
        }
        ReadOnlySpan<byte> fresh = piece[(int)known..];
        foreach (byte value in fresh)
        {
            bytes.Enqueue(value);
        }
        NextOffset += (ulong)fresh.Length;
        while (bytes.Count > bytesMax)
        {
            bytes.Dequeue();
            LostBytes++;
        }
        return fresh.Length;
    }

    /// <summary>Takes out everything kept; its first byte stood at <paramref name="offset"/>.</summary>
    public byte[] TakeAll(out ulong offset)
    {
        offset = FirstOffset;
        byte[] all = [.. bytes];
        bytes.Clear();
        return all;
    }
}
