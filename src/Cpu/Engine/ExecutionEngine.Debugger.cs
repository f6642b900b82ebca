using FtAkka.Cpu.Debugging;

namespace FtAkka.Cpu.Engine;

/// <summary>
/// Stops for a debugger of the host. Nothing of it is visible to the guest: blocks end earlier and watched pages are accessed the long way, which
/// the determinism contract says must leave no trace.
/// </summary>
internal sealed unsafe partial class ExecutionEngine
{
    private IReadOnlySet<ulong>? _breakpoints;
    private bool _debugger;
    private ulong? _passedIcount;
    private ulong _passedRip;

    /// <summary>Replaces breakpoints and watchpoints.</summary>
    public void SetStops(IReadOnlySet<ulong> breakpoints, IReadOnlyList<HostWatchpoint> watchpoints)
    {
        _breakpoints = breakpoints.Count == 0 ? null : breakpoints;
        _translator.HostBreakpoints = _breakpoints;
        _passedIcount = null;
        Flush();
        _mmu.SetWatchpoints(watchpoints);
        _debugger = _breakpoints is not null || watchpoints.Count > 0;
    }

    /// <summary>The breakpoint at the present instruction has been reported: do not stop at it again before it is executed.</summary>
    public void PassBreakpoint() => (_passedIcount, _passedRip) = (_s->Icount, _s->Rip);

    /// <summary>Whether to stop before the next instruction.</summary>
    /// <param name="stepped">It was one with a breakpoint to pass, and has been executed.</param>
    private bool StopsForDebugger(out bool stepped)
    {
        stepped = false;
        if (_mmu.WatchHit is not null)
        {
            return true;
        }
        if (_breakpoints is null || !_breakpoints.Contains(_s->Rip))
        {
            return false;
        }
        if (_passedIcount != _s->Icount || _passedRip != _s->Rip)
        {
            return true;
        }
        stepped = true;
        StepOne(CurrentMode());
        return false;
    }
}
