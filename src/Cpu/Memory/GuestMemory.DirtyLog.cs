namespace FtAkka.Cpu.Memory;

public sealed unsafe partial class GuestMemory
{
    private readonly List<DirtyPages> _logs = [];

    /// <summary>Pages written since the logs were last armed, in order of first write; not yet in the logs' own sets.</summary>
    private readonly List<int> _pendingDirty = [];

    /// <summary>
    /// Starts recording which pages are written, by the guest, by a page walk (accessed and dirty bits) or through
    /// <see cref="TryWrite"/>. Several logs may be open; each sees every page. With no log open there is no cost.
    /// </summary>
    public DirtyPages CreateDirtyLog()
    {
        ObjectDisposedException.ThrowIf(Base == null, this);
        if (_logs.Count == 0)
        {
            for (int page = 0; page < PageCount; page++) Track[page] |= PageTrack.DirtyLogClean;
            _mmu?.WithdrawAllWriteTags();
        }
        else
        {
            Rearm();
        }
        var log = new DirtyPages(this);
        _logs.Add(log);
        return log;
    }

    /// <summary>Notes that a page is about to change. Cheap and idempotent.</summary>
    internal void MarkDirty(int pageIndex)
    {
        if ((Track[pageIndex] & PageTrack.DirtyLogClean) == 0) return;
        Track[pageIndex] &= ~PageTrack.DirtyLogClean;
        _pendingDirty.Add(pageIndex);
    }

    /// <summary>Hands the pages written so far to every log and watches for the next write to each.</summary>
    internal void Rearm()
    {
        ObjectDisposedException.ThrowIf(Base == null, this);
        if (_pendingDirty.Count == 0) return;
        foreach (int page in _pendingDirty)
        {
            Track[page] |= PageTrack.DirtyLogClean;
            foreach (DirtyPages log in _logs) log.Add(page);
        }
        _pendingDirty.Clear();
        // Every page with a write tag has been written or at least checked for a write since the last arming, so it was in the list.
        _mmu?.WithdrawAllWriteTags();
    }

    internal int CountPending(DirtyPages log)
    {
        int count = 0;
        foreach (int page in _pendingDirty)
        {
            if (!log.Contains(page)) count++;
        }
        return count;
    }

    internal void Close(DirtyPages log)
    {
        if (!_logs.Remove(log) || _logs.Count > 0 || Base == null) return;
        for (int page = 0; page < PageCount; page++) Track[page] &= ~PageTrack.DirtyLogClean;
        _pendingDirty.Clear();
    }
}
