using FtAkka.Cpu.Debugging;

namespace FtAkka.Cpu.Memory;

/// <summary>Watchpoints of the host's debugger, on guest physical addresses. Invisible to the guest.</summary>
internal sealed unsafe partial class Mmu
{
    private IReadOnlyList<HostWatchpoint> _watchpoints = [];

    /// <summary>The first watched access since this was last taken; null: none.</summary>
    public HostWatchHit? WatchHit { get; set; }

    /// <summary>Set while the engine runs.</summary>
    public bool IsExecuting { get; set; }

    /// <summary>Replaces the watchpoints.</summary>
    public void SetWatchpoints(IReadOnlyList<HostWatchpoint> watchpoints)
    {
        Mark(watched: false);
        _watchpoints = watchpoints;
        WatchHit = null;
        Mark(watched: true);
        // Entries of the pages that are watched now must go.
        FlushAll();
    }

    private void Mark(bool watched)
    {
        foreach (HostWatchpoint watchpoint in _watchpoints)
        {
            for (ulong offset = 0; offset < (ulong)watchpoint.LengthBytes + 4095; offset += 4096)
            {
                ulong address = Math.Min(watchpoint.PhysicalAddress + offset, watchpoint.PhysicalAddress + (ulong)watchpoint.LengthBytes - 1);
                int page = _memory.PageIndexOf(address);
                if (page < 0) continue;
                if (watched) _memory.Track[page] |= PageTrack.Watched;
                else _memory.Track[page] &= ~PageTrack.Watched;
            }
        }
    }

    private void NoteWatched(ulong physicalAddress, int length, bool write)
    {
        if (WatchHit is not null) return;
        foreach (HostWatchpoint watchpoint in _watchpoints)
        {
            bool overlaps = physicalAddress < watchpoint.PhysicalAddress + (ulong)watchpoint.LengthBytes
                && watchpoint.PhysicalAddress < physicalAddress + (ulong)length;
            if (overlaps && (write ? watchpoint.OnWrite : watchpoint.OnRead))
            {
                WatchHit = new HostWatchHit(watchpoint, write, _state->Icount, IsExecuting);
                return;
            }
        }
    }
}
