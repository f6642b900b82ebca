using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine.Devices;

/// <summary>A ring of bytes with a fixed capacity.</summary>
internal sealed class ByteQueue(int capacity)
{
    private readonly byte[] ring = new byte[capacity];
    private int head;

    public int Count { get; private set; }

    public int Room => ring.Length - Count;

    /// <summary>Appends a byte; false if there is no room.</summary>
    public bool TryAdd(byte value)
    {
        if (Count == ring.Length)
            return false;
        ring[(head + Count) % ring.Length] = value;
        Count++;
        return true;
    }

    /// <summary>Takes the oldest byte; false if there is none.</summary>
    public bool TryTake(out byte value)
    {
        value = 0;
        if (Count == 0)
            return false;
        value = ring[head];
        head = (head + 1) % ring.Length;
        Count--;
        return true;
    }

    public void Clear() => (head, Count) = (0, 0);

    /// <summary>Writes the bytes in order; where in the ring they lie is not state.</summary>
    public void Snapshot(StateWriter writer)
    {
        writer.WriteUInt32((uint)Count);
        for (var i = 0; i < Count; i++)
            writer.WriteByte(ring[(head + i) % ring.Length]);
    }

    public void Restore(StateReader reader)
    {
        Clear();
        foreach (var value in reader.ReadBytes(ring.Length))
            TryAdd(value);
    }
}
