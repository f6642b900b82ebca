using FtAkka.Cpu.Debugging;
using FtAkka.Cpu.Memory;
using FtAkka.Machine;

namespace FtAkka.GdbStub;

/// <summary>
/// Watchpoints by linear address as gdb sets them, and the RAM they are mapped to. gdb takes them away at every stop and sets them again to go on: a
/// user-space address stays with the RAM it meant first, since in another process it means something else; a kernel address that is not mapped at this
/// point of time keeps the RAM it had.
/// </summary>
internal sealed class WatchedBytes
{
    private readonly List<(LinearWatchpoint Linear, IReadOnlyList<HostWatchpoint> Physical)> watched = [];
    private readonly Dictionary<LinearWatchpoint, (ulong Cr3, IReadOnlyList<HostWatchpoint> Physical)> known = [];

    /// <summary>What the vCPU is to watch.</summary>
    public IReadOnlyList<HostWatchpoint> Physical => [.. watched.SelectMany(entry => entry.Physical)];

    /// <summary>Replaces the set. False, and nothing changed, if something is not mapped and never was.</summary>
    public bool TrySet(GuestMachine machine, IReadOnlyList<LinearWatchpoint> wanted)
    {
        var next = new List<(LinearWatchpoint, IReadOnlyList<HostWatchpoint>)>();
        foreach (LinearWatchpoint watchpoint in wanted)
        {
            if (Locate(machine, watchpoint) is not { } physical)
            {
                return false;
            }
            next.Add((watchpoint, physical));
        }
        watched.Clear();
        watched.AddRange(next);
        return true;
    }

    private IReadOnlyList<HostWatchpoint>? Locate(GuestMachine machine, LinearWatchpoint watchpoint)
    {
        ulong cr3 = machine.Vcpu!.ReadRegisters().Cr3;
        bool isUser = (long)watchpoint.Address >= 0;
        bool isKnown = known.TryGetValue(watchpoint, out (ulong Cr3, IReadOnlyList<HostWatchpoint> Physical) before);
        if (isKnown && isUser && before.Cr3 != cr3)
        {
            return before.Physical;
        }
        if (MappedTo(machine, watchpoint) is { } physical)
        {
            known[watchpoint] = (cr3, physical);
            return physical;
        }
        return isKnown ? before.Physical : null;
    }

    /// <summary>The RAM bytes behind a linear watchpoint, one piece for each page; null if a page is not mapped to RAM.</summary>
    private static List<HostWatchpoint>? MappedTo(GuestMachine machine, LinearWatchpoint watchpoint)
    {
        var pieces = new List<HostWatchpoint>();
        for (int done = 0; done < watchpoint.LengthBytes;)
        {
            int length = Math.Min(watchpoint.LengthBytes - done, GuestMemory.PageSizeBytes - (int)((watchpoint.Address + (ulong)done) % GuestMemory.PageSizeBytes));
            if (!machine.Vcpu!.TryTranslate(watchpoint.Address + (ulong)done, out ulong physical) || machine.Memory.PageIndexOf(physical) < 0)
            {
                return null;
            }
            pieces.Add(new HostWatchpoint(physical, length, watchpoint.OnRead, watchpoint.OnWrite));
            done += length;
        }
        return pieces;
    }

    /// <summary>The stop that a hit means to gdb.</summary>
    public DebugStop StopOf(HostWatchHit hit)
    {
        LinearWatchpoint linear = watched.First(entry => entry.Physical.Contains(hit.Watchpoint)).Linear;
        return new DebugStop(DebugStopKind.Watchpoint, linear.Address, hit.Write);
    }
}
