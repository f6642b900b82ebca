using FtAkka.Machine.Digest;
using FtAkka.Machine.Events;
using FtAkka.Replication.Replay;

namespace FtAkka.Actors.Machines;

/// <summary>Messages of <see cref="MachineActor"/>.</summary>
public static class MachineProtocol
{
    /// <summary>Anyone to machine: deliver this input event at the next icount at which the machine stops. Not answered.</summary>
    public sealed record Deliver(InputEvent Input);

    /// <summary>The observer to a machine that waits for it since <see cref="IMachineObserver.Started"/>: execute. Not answered.</summary>
    public sealed record Run;

    /// <summary>Lag control to machine: execute at this share of the speed that it has when it runs, from now on. Not answered.</summary>
    /// <param name="Percent">100 for no limit, 0 to execute nothing.</param>
    public sealed record SetShare(int Percent);

    /// <summary>
    /// Whoever protects the machine to it: run this on the machine's thread while it stands between two quanta. Must be short; the
    /// guest waits meanwhile. Not run if the machine was never built.
    /// </summary>
    public sealed record Inspect(Action<IMachineRunner> Look);

    /// <summary>Anyone to machine: end the run without the guest's doing, as a process is killed. Leads to <see cref="Ended"/>.</summary>
    public sealed record Stop;

    /// <summary>Machine to its parent: digest at an icount that <see cref="MachineOptions.DigestEvery"/> asked for.</summary>
    public sealed record DigestTaken(MachineDigest Digest);

    /// <summary>Machine to its parent: it was started again, and runs on.</summary>
    /// <param name="Cause">What led to it.</param>
    /// <param name="Icount">When.</param>
    public sealed record Restarted(MachineEndReason Cause, ulong Icount);

    /// <summary>Machine to its parent: the guest has crashed, and the machine stands as it was then. An operator's reset starts it again.</summary>
    /// <param name="Cause">How it crashed.</param>
    /// <param name="CrashesInRow">The how manieth time in a row.</param>
    /// <param name="Icount">When.</param>
    public sealed record Held(MachineEndReason Cause, uint CrashesInRow, ulong Icount);

    /// <summary>
    /// Machine to its parent, once: it does not run on. The outputs that the machine actor performs have been sent to the devices before; those that the
    /// observer performs may still be under way.
    /// </summary>
    /// <param name="Reason">Why.</param>
    /// <param name="Detail">For people, where there is more to say; otherwise null.</param>
    /// <param name="Report">The state at the end; null if the machine could not be built.</param>
    public sealed record Ended(MachineEndReason Reason, string? Detail, MachineReport? Report);
}

/// <summary>Why a machine does not run on.</summary>
public enum MachineEndReason
{
    /// <summary>The guest or an operator switched it off.</summary>
    PowerOff,

    /// <summary>The guest or an operator reset it.</summary>
    Reset,

    /// <summary>The CPU shut down after a triple fault: a crash, or a guest that restarts this way.</summary>
    TripleFault,

    /// <summary>The guest's kernel panicked.</summary>
    Panic,

    /// <summary>The icount of <see cref="MachineOptions.IcountMax"/> was reached.</summary>
    IcountMax,

    /// <summary><see cref="MachineProtocol.Stop"/>.</summary>
    Stopped,

    /// <summary>The person at the console asked to leave.</summary>
    LeaveRequested,

    /// <summary>A device cannot go on.</summary>
    DeviceFailed,

    /// <summary>The machine could not be built, or its kernel not be loaded.</summary>
    StartFailed,

    /// <summary>An error of the monitor itself.</summary>
    Failed,
}
