using FtAkka.Cpu;
using FtAkka.Cpu.Debugging;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Machine.Snapshots;
using FtAkka.Replication.Replay;
using FtAkka.Replication.Snapshots;

namespace FtAkka.Recordings;

/// <summary>Why a <see cref="TimeTraveller"/> stands where it stands.</summary>
public enum TravelStop
{
    /// <summary>The icount asked for.</summary>
    Arrived,

    /// <summary>Before an instruction with a breakpoint.</summary>
    Breakpoint,

    /// <summary>Going forward: behind an instruction that made a watched access. Going back: before it.</summary>
    Watchpoint,

    /// <summary>The start of the recording.</summary>
    Start,

    /// <summary>The end of the recording.</summary>
    End,

    /// <summary>Cancelled on the way.</summary>
    Interrupted,
}

/// <summary>Where a movement ended.</summary>
/// <param name="Stop">Why.</param>
/// <param name="Hit">The watched access, for <see cref="TravelStop.Watchpoint"/>.</param>
public sealed record TravelResult(TravelStop Stop, HostWatchHit? Hit = null);

/// <summary>
/// Moves a replaying machine to any icount of its recording, forward by execution and back by the nearest snapshot and execution from there.
/// Snapshots are the recording's keyframes and a few of its own, in memory, near where it has lately been.
/// </summary>
public sealed class TimeTraveller : IDisposable
{
    /// <summary>Instructions executed between looks at the request to interrupt.</summary>
    private const ulong Slice = 50_000_000;

    /// <summary>When going back so far by execution, a snapshot is taken this many instructions before the goal, for the next step back.</summary>
    private const ulong NearInstructions = 1_000_000;

    /// <summary>Memory for snapshots of its own.</summary>
    private const long OwnBytesMax = 1L << 30;

    private readonly RecordingReader recording;
    private readonly GuestMachine machine;
    private readonly List<SnapshotCapture> own = [];
    private RecordingReplay replay;
    private bool armed;
    private IReadOnlySet<ulong> breakpoints = new SortedSet<ulong>();
    private IReadOnlyList<HostWatchpoint> watchpoints = [];

    /// <summary>Stands at the start of the recording.</summary>
    /// <exception cref="RecordingException">The recording cannot be used.</exception>
    public TimeTraveller(RecordingReader recording)
    {
        ArgumentNullException.ThrowIfNull(recording);
        this.recording = recording;
        machine = recording.CreateMachine();
        try
        {
            replay = new RecordingReplay(recording, recording.Keyframes[0], machine);
        }
        catch
        {
            machine.Dispose();
            throw;
        }
        replay.Run(0);
    }

    /// <summary>The machine. May be read; whoever changes it must not move on.</summary>
    public GuestMachine Machine => machine;

    /// <summary>Its CPU.</summary>
    public Vcpu Vcpu => machine.Vcpu!;

    /// <summary>Where it stands.</summary>
    public ulong Icount => machine.Icount;

    /// <summary>First icount of the recording.</summary>
    public ulong StartIcount => recording.Keyframes[0].Icount;

    /// <summary>What replay has found wrong; null: nothing.</summary>
    public Divergence? Divergence => replay.Player.Divergence;

    /// <summary>Icount of the last digest that was equal on the present stretch; null if there was none.</summary>
    public ulong? LastDigestIcount => replay.Player.LastDigestIcount;

    /// <summary>Takes outputs that are made for the first time, and again when going over them again.</summary>
    public Action<MachineEffect>? Output { get; set; }

    /// <summary>
    /// Keyframes behind this icount are not used: where a log was changed, they are of the execution before the change, and only what is executed counts.
    /// </summary>
    public ulong KeyframesUpTo { get; set; } = ulong.MaxValue;

    /// <summary>Asked now and then whether to stop.</summary>
    public Func<bool> Interrupted { get; set; } = () => false;

    /// <summary>Sets what stops <see cref="Forward"/> and <see cref="Back"/>.</summary>
    public void SetStops(IReadOnlySet<ulong> stopAt, IReadOnlyList<HostWatchpoint> watched)
    {
        breakpoints = stopAt;
        watchpoints = watched;
    }

    /// <summary>Goes to an icount, forward or back, without stopping for anything but the end. Outputs that it jumps over are not made.</summary>
    public TravelResult Seek(ulong icount)
    {
        ClearStops();
        if (icount < machine.Icount)
        {
            GoBackTo(icount, near: true);
        }
        else if (NearestIcount(icount) > machine.Icount + NearInstructions)
        {
            Restore(icount);
        }
        return RunTo(icount);
    }

    /// <summary>Keeps the present state in memory, so that <see cref="Seek"/> comes back here quickly.</summary>
    public void Keep()
    {
        own.RemoveAll(entry => entry.Header.Icount == machine.Icount);
        own.Add(SnapshotCapture.Full(recording.Manifest.Recording, machine, replay.Player.Position));
        while (own.Count > 1 && own.Sum(entry => entry.ContentBytes) > OwnBytesMax)
        {
            own.RemoveAt(0);
        }
    }

    /// <summary>Executes up to an icount, or to the first stop.</summary>
    public TravelResult Forward(ulong toIcount)
    {
        ArmStops();
        Vcpu.PassHostBreakpoint();
        TravelResult result = RunTo(toIcount);
        ClearStops();
        return result;
    }

    /// <summary>Goes back to the last stop before the present icount, or to the start.</summary>
    public TravelResult Back()
    {
        ulong end = machine.Icount;
        // What is sought is often near; if it is not, whole stretches between keyframes are gone over.
        for (bool near = true; end > StartIcount; near = false)
        {
            ClearStops();
            ulong start = GoBackTo(end - 1, near);
            (ulong Icount, TravelResult Result)? last = LastStopBefore(end, start);
            if (Interrupted())
            {
                return new TravelResult(TravelStop.Interrupted);
            }
            if (last is { } found)
            {
                Seek(found.Icount);
                return found.Result;
            }
            end = start;
        }
        Seek(StartIcount);
        return new TravelResult(TravelStop.Start);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        replay.Dispose();
        machine.Dispose();
    }

    /// <summary>Goes over [start, end) with all stops set, and remembers the last one.</summary>
    private (ulong Icount, TravelResult Result)? LastStopBefore(ulong end, ulong start)
    {
        (ulong, TravelResult)? last = null;
        ArmStops();
        while (machine.Icount < end && !Interrupted())
        {
            TravelResult result = RunTo(end);
            if (result.Stop == TravelStop.Breakpoint && machine.Icount < end)
            {
                last = (machine.Icount, result);
                Vcpu.PassHostBreakpoint();
            }
            else if (result.Stop == TravelStop.Watchpoint)
            {
                // An input is delivered on arrival at its icount: the state before it is that of the instruction before.
                ulong at = result.Hit!.IsExecution || result.Hit.Icount == start ? result.Hit.Icount : result.Hit.Icount - 1;
                last = at < end ? (at, result) : last;
            }
            else
            {
                break;
            }
        }
        ClearStops();
        return last;
    }

    /// <summary>Executes to an icount or to a stop that is set.</summary>
    private TravelResult RunTo(ulong icount)
    {
        do
        {
            PlayerExit exit = replay.Run(Math.Min(icount - machine.Icount, Slice));
            if (Output is { } output)
            {
                foreach (MachineEffect effect in exit.Effects)
                {
                    output(effect);
                }
            }
            // A device may have made the access at the very end of a run that had another reason to end.
            if (Vcpu.TakeHostWatchHit() is { } hit)
            {
                return new TravelResult(TravelStop.Watchpoint, hit);
            }
            switch (exit.Stop)
            {
                case PlayerStop.Debug:
                    return new TravelResult(TravelStop.Breakpoint);
                case PlayerStop.Starved or PlayerStop.Ended or PlayerStop.Diverged:
                    return new TravelResult(TravelStop.End);
                default:
                    break;
            }
            if (Interrupted())
            {
                return new TravelResult(TravelStop.Interrupted);
            }
        }
        while (machine.Icount < icount);
        return new TravelResult(TravelStop.Arrived);
    }

    /// <summary>Stands at a snapshot at or before an icount, made on the way if there is none near and one is wanted. Returns its icount.</summary>
    private ulong GoBackTo(ulong icount, bool near)
    {
        Restore(icount);
        ulong goal = icount > NearInstructions ? icount - NearInstructions : 0;
        if (near && goal > machine.Icount + NearInstructions && (long)machine.Memory.SizeBytes <= OwnBytesMax / 2)
        {
            ulong from = machine.Icount;
            Action<MachineEffect>? output = Output;
            Output = null;
            RunTo(goal);
            Output = output;
            if (machine.Icount == goal)
            {
                Keep();
                return goal;
            }
            Restore(from);
        }
        return machine.Icount;
    }

    private Keyframe KeyframeFor(ulong icount) => recording.KeyframeFor(Math.Min(icount, KeyframesUpTo));

    private SnapshotCapture? OwnFor(ulong icount) => own.Where(entry => entry.Header.Icount <= icount).MaxBy(entry => entry.Header.Icount);

    /// <summary>Where <see cref="Restore"/> would stand.</summary>
    private ulong NearestIcount(ulong icount) => Math.Max(KeyframeFor(icount).Icount, OwnFor(icount)?.Header.Icount ?? 0);

    private void Restore(ulong icount)
    {
        Keyframe keyframe = KeyframeFor(icount);
        SnapshotCapture? capture = OwnFor(icount);
        replay.Dispose();
        if (capture is not null && capture.Header.Icount > keyframe.Icount)
        {
            SnapshotError error = capture.Restore(machine);
            if (error != SnapshotError.None)
            {
                throw new InvalidOperationException($"A snapshot of this very machine cannot be restored: {error}.");
            }
            replay = new RecordingReplay(recording, machine, capture.Header.Position);
        }
        else
        {
            replay = new RecordingReplay(recording, keyframe, machine);
        }
        Vcpu.TakeHostWatchHit();
        replay.Run(0);
    }

    private void ArmStops()
    {
        armed = breakpoints.Count > 0 || watchpoints.Count > 0;
        if (armed)
        {
            Vcpu.SetHostStops(breakpoints, watchpoints);
        }
    }

    private void ClearStops()
    {
        // Setting stops drops all translated code: not without need.
        if (armed)
        {
            armed = false;
            Vcpu.SetHostStops(new SortedSet<ulong>(), []);
        }
    }
}
