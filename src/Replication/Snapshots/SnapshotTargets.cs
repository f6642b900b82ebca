using FtAkka.Cpu.Memory;

namespace FtAkka.Replication.Snapshots;

/// <summary>Writes the pages of a snapshot into RAM. Pages that have the content already are left alone, so that a machine goes back and forth cheaply.</summary>
public sealed class RestoreTarget(GuestMemory memory) : ISnapshotTarget
{
    private readonly byte[] _copy = new byte[GuestMemory.PageSizeBytes];
    private readonly bool[] _given = new bool[memory.PageCount];

    /// <inheritdoc/>
    public void Page(int page, ReadOnlySpan<byte> content)
    {
        _given[page] = true;
        Write(page, content);
    }

    /// <inheritdoc/>
    public void Copy(int page, int source)
    {
        memory.Page(source).CopyTo(_copy);
        Page(page, _copy);
    }

    /// <summary>Behind a full snapshot: what it did not name is zero.</summary>
    public void ClearOthers()
    {
        Array.Clear(_copy);
        for (int page = 0; page < memory.PageCount; page++)
        {
            if (!_given[page])
                Write(page, _copy);
        }
    }

    private void Write(int page, ReadOnlySpan<byte> content)
    {
        if (!memory.Page(page).SequenceEqual(content))
            memory.TryWrite(memory.PhysicalAddressOf(page), content);
    }
}

/// <summary>Compares the pages of a snapshot with RAM.</summary>
public sealed class CompareTarget(GuestMemory memory) : ISnapshotTarget
{
    private readonly List<int> _different = [];

    /// <summary>Pages that differ, in the order of the snapshot.</summary>
    public IReadOnlyList<int> Different => _different;

    /// <inheritdoc/>
    public void Page(int page, ReadOnlySpan<byte> content)
    {
        if (!memory.Page(page).SequenceEqual(content))
            _different.Add(page);
    }

    /// <inheritdoc/>
    public void Copy(int page, int source) => Page(page, memory.Page(source));
}
