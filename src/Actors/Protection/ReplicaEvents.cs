using FtAkka.Machine;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Replay;

namespace FtAkka.Actors.Protection;

/// <summary>What a <see cref="ReplicaShell"/> tells its supervisor. In a fixed order, but from any thread.</summary>
public static class ReplicaEvents
{
    /// <summary>Something a person should know.</summary>
    public sealed record Reported(string What);

    /// <summary>The role changed.</summary>
    public sealed record RoleChanged(ReplicaRole From, ReplicaRole To, ulong Generation);

    /// <summary>Backup: the copied machine is complete; replay it from here.</summary>
    public sealed record ReplayFrom(GuestMachine Machine, LogPosition Position);

    /// <summary>Backup: the copy failed; forget the replica.</summary>
    public sealed record CopyFailed(string Why);

    /// <summary>The arbiter granted the next generation: open the devices and run the machine.</summary>
    public sealed record GoLive(GoLivePlan Plan);

    /// <summary>Stop everything.</summary>
    public sealed record Halted(HaltReason Reason, string What);

    /// <summary>A mistake of the monitor: the replica has fallen silent, so that the other one takes over.</summary>
    public sealed record Failed(Exception Mistake);

    /// <summary>Primary: goes on without a backup.</summary>
    /// <param name="Cause">Why, for programs.</param>
    /// <param name="Peer">The node that had it.</param>
    /// <param name="Why">Why, for people.</param>
    public sealed record BackupDropped(DropCause Cause, string Peer, string Why);
}

/// <summary>What a replica does first when it is live, in this order.</summary>
/// <param name="Generation">The generation it owns.</param>
/// <param name="Position">Where its log goes on.</param>
/// <param name="Outputs">Outputs that may not have left; after the pending disk requests were issued again.</param>
public sealed record GoLivePlan(ulong Generation, LogPosition Position, IReadOnlyList<GatedOutput> Outputs);

/// <summary>Moments of a failover by the local monotonic clock, for reports; zero until they come.</summary>
public sealed record FailoverTimes
{
    /// <summary>Last message of the primary.</summary>
    public TimeSpan LastHeard { get; init; }

    /// <summary>The primary was suspected, or handed over.</summary>
    public TimeSpan Suspected { get; init; }

    /// <summary>Everything received was replayed, and the arbiter was asked.</summary>
    public TimeSpan Drained { get; init; }

    /// <summary>The arbiter had granted the generation.</summary>
    public TimeSpan Won { get; init; }

    /// <summary>The devices were open, the held outputs handed over, and the machine running.</summary>
    public TimeSpan Live { get; init; }

    /// <summary>Outputs handed over again because the primary had not reported them as released.</summary>
    public int OutputsResent { get; init; }

    /// <summary>Disk requests issued again.</summary>
    public int DiskRequestsReissued { get; init; }
}
