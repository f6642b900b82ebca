using FtAkka.Cpu.Debugging;
using FtAkka.Machine;
using FtAkka.Recordings;

namespace FtAkka.GdbStub;

/// <summary>A recording under a debugger: it can be gone through in both directions, and not be changed.</summary>
internal sealed class ReplayDebugTarget(TimeTraveller traveller) : IDebugTarget
{
    private readonly WatchedBytes watched = new();

    /// <summary>The debugger asked to end the replay.</summary>
    public bool IsKilled { get; private set; }

    /// <inheritdoc/>
    public CpuRegisters Registers => traveller.Vcpu.ReadRegisters();

    /// <inheritdoc/>
    public ulong Icount => traveller.Icount;

    /// <inheritdoc/>
    public bool CanReverse => true;

    /// <inheritdoc/>
    public string? WhyReadOnly => "a replay is what was recorded and cannot be changed";

    /// <inheritdoc/>
    public int ReadMemory(ulong address, Span<byte> destination) => LinearMemory.Read(traveller.Machine, address, destination);

    /// <inheritdoc/>
    public bool WriteMemory(ulong address, ReadOnlySpan<byte> source) => false;

    /// <inheritdoc/>
    public void WriteRegister(int number, ulong value) => throw new InvalidOperationException(WhyReadOnly);

    /// <inheritdoc/>
    public bool SetStops(IReadOnlySet<ulong> breakpoints, IReadOnlyList<LinearWatchpoint> watchpoints)
    {
        if (!watched.TrySet(traveller.Machine, watchpoints))
        {
            return false;
        }
        traveller.SetStops(breakpoints, watched.Physical);
        return true;
    }

    /// <inheritdoc/>
    public DebugStop Step()
    {
        // A step must report a watched access; without any, there is nothing to arm.
        ulong next = traveller.Icount + 1;
        TravelResult result = watched.Physical.Count > 0 ? traveller.Forward(next) : traveller.Seek(next);
        return result.Stop == TravelStop.Arrived ? new DebugStop(DebugStopKind.Step) : StopOf(result);
    }

    /// <inheritdoc/>
    public DebugStop Continue() => StopOf(traveller.Forward(ulong.MaxValue));

    /// <inheritdoc/>
    public DebugStop ReverseStep()
    {
        if (traveller.Icount == traveller.StartIcount)
        {
            return new DebugStop(DebugStopKind.HistoryStart);
        }
        TravelResult result = traveller.Seek(traveller.Icount - 1);
        return result.Stop == TravelStop.Arrived ? new DebugStop(DebugStopKind.Step) : StopOf(result);
    }

    /// <inheritdoc/>
    public DebugStop ReverseContinue() => StopOf(traveller.Back());

    /// <inheritdoc/>
    public DebugStop? Seek(ulong icount) => StopOf(traveller.Seek(Math.Max(icount, traveller.StartIcount)));

    /// <inheritdoc/>
    public void Detach()
    {
    }

    /// <inheritdoc/>
    public void Kill() => IsKilled = true;

    private DebugStop StopOf(TravelResult result) => result.Stop switch
    {
        TravelStop.Watchpoint => watched.StopOf(result.Hit!),
        TravelStop.Start => new DebugStop(DebugStopKind.HistoryStart),
        TravelStop.End => new DebugStop(DebugStopKind.HistoryEnd),
        TravelStop.Interrupted => new DebugStop(DebugStopKind.Interrupt),
        _ => new DebugStop(DebugStopKind.Breakpoint),
    };
}
