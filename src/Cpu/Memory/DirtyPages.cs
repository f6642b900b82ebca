using System.Numerics;

namespace FtAkka.Cpu.Memory;

/// <summary>
/// One consumer's view of the RAM pages written since it last looked. A page counts as written when a store to it has been checked
/// and permitted, even if the bytes stay the same; that makes the set a function of guest execution alone.
/// </summary>
public sealed class DirtyPages : IDisposable
{
    private readonly GuestMemory _memory;
    private readonly ulong[] _bits;
    private int _count;
    private bool _disposed;

    internal DirtyPages(GuestMemory memory)
    {
        _memory = memory;
        _bits = new ulong[(memory.PageCount + 63) / 64];
    }

    /// <summary>Number of pages that <see cref="Drain"/> would return now.</summary>
    public int Count => _count + _memory.CountPending(this);

    /// <summary>Appends the indices of the pages written since the last drain (or since creation), ascending, and starts anew.</summary>
    /// <returns>How many pages were appended.</returns>
    public int Drain(List<int> pageIndices)
    {
        ArgumentNullException.ThrowIfNull(pageIndices);
        ObjectDisposedException.ThrowIf(_disposed, this);
        _memory.Rearm();
        int drained = _count;
        pageIndices.EnsureCapacity(pageIndices.Count + drained);
        for (int word = 0; _count > 0; word++)
        {
            ulong bits = _bits[word];
            _bits[word] = 0;
            _count -= BitOperations.PopCount(bits);
            for (; bits != 0; bits &= bits - 1) pageIndices.Add(word * 64 + BitOperations.TrailingZeroCount(bits));
        }
        return drained;
    }

    /// <summary>Puts every page of RAM into the set, for a consumer that starts with a full copy.</summary>
    public void AddAll()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        for (int page = 0; page < _memory.PageCount; page++) Add(page);
    }

    /// <summary>Stops recording for this consumer.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _memory.Close(this);
    }

    internal bool Contains(int pageIndex) => (_bits[pageIndex >> 6] >> (pageIndex & 63) & 1) != 0;

    internal void Add(int pageIndex)
    {
        if (Contains(pageIndex)) return;
        _bits[pageIndex >> 6] |= 1UL << (pageIndex & 63);
        _count++;
    }
}
