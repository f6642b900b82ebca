using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Protection;

/// <summary>Why the live machine does not run.</summary>
[Flags]
public enum StopReasons
{
    None = 0,

    /// <summary>The log is full of entries that the backup has not acknowledged.</summary>
    LogFull = 1,

    /// <summary>Too many outputs wait or are on their way to devices.</summary>
    OutputsFull = 2,

    /// <summary>The backup is too far behind.</summary>
    Lag = 4,

    /// <summary>A planned failover is under way.</summary>
    HandingOver = 8,

    /// <summary>The machine ended.</summary>
    Ended = 16,

    /// <summary>Backup: too many outputs are kept that the primary has not reported as released. Going live: too many requests to its own disk are under way.</summary>
    ReplayOutputsFull = 32,
}

/// <summary>Why a replica halted.</summary>
public enum HaltReason
{
    /// <summary>Another replica won the generation.</summary>
    ArbiterLost,

    /// <summary>Woke up or looked again, and another replica owns the VM.</summary>
    OwnershipLost,

    /// <summary>The backup took over as asked.</summary>
    HandedOver,

    /// <summary>The machine ended, and everything it said has left.</summary>
    MachineEnded,

    /// <summary>The primary goes on without this backup.</summary>
    Dropped,

    /// <summary>The primary fell silent before this backup could take over.</summary>
    PrimaryLostBeforeSync,

    /// <summary>Replay left the recording.</summary>
    Diverged,

    /// <summary>A backup whose node stops in order.</summary>
    Left,

    /// <summary>A backup whose own disk does not take what the primary's has taken.</summary>
    DiskFailed,
}

/// <summary>Why a primary goes on without its backup.</summary>
public enum DropCause
{
    /// <summary>An operator wanted it.</summary>
    Unprotected,

    /// <summary>The backup, or the way to it, fell silent.</summary>
    Silent,

    /// <summary>The backup gave up, or its node knows of none.</summary>
    GaveUp,

    /// <summary>Replay left the recording.</summary>
    Diverged,

    /// <summary>The backup misses entries that are gone.</summary>
    EntriesGone,
}

/// <summary>What the shell has to do, in the order given.</summary>
public abstract record ReplicaEffect
{
    /// <summary>The role changed; for status, logs and dashboards.</summary>
    public sealed record RoleChanged(ReplicaRole From, ReplicaRole To, ulong Generation) : ReplicaEffect;

    /// <summary>Something a person should know.</summary>
    public sealed record ReportStatus(string What) : ReplicaEffect;

    /// <summary>Primary: connect to the peer's node, and start the clone (<see cref="Clone.CloneSender"/>) in this session.</summary>
    public sealed record OpenChannel(string PeerNode, ChannelSession Session) : ReplicaEffect;

    /// <summary>Nothing more is sent or expected in this session.</summary>
    public sealed record CloseChannel(ChannelSession Session) : ReplicaEffect;

    /// <summary>Primary: stop the clone of this session; the machine runs on.</summary>
    public sealed record AbortClone(string Why) : ReplicaEffect;

    /// <summary>Send to the peer's replica.</summary>
    public sealed record Send(IChannelMessage Message) : ReplicaEffect;

    /// <summary>
    /// Hand outputs to their devices, in order. A device performs one only while its clock shows less than the fence, which it looks at
    /// immediately before it acts; until then it keeps it. Separate disks have no fence: nobody else has them. Answered by <see cref="ReplicaInput.OutputPerformed"/>
    /// for each. A backup is given the requests that change its own disks.
    /// </summary>
    public sealed record ReleaseOutputs(IReadOnlyList<GatedOutput> Outputs) : ReplicaEffect;

    /// <summary>Devices may act while the local monotonic clock shows less than this (see <see cref="FenceTime"/>). Replaces the last value, also downwards.</summary>
    public sealed record FenceChanged(Instant Until) : ReplicaEffect;

    /// <summary>Whether the machine may run, and on what share of the CPU.</summary>
    public sealed record SetPace(StopReasons Stop, int SharePercent) : ReplicaEffect;

    /// <summary>Backup: entries for replay.</summary>
    public sealed record FeedReplay(IReadOnlyList<LogEntry> Entries) : ReplicaEffect;

    /// <summary>Backup: replay everything up to this entry; <see cref="SetPace"/> says when it may go on.</summary>
    public sealed record DrainThenGoLive(Lsn Last) : ReplicaEffect;

    /// <summary>Create the record of a generation on the arbiter's storage, atomically, unless there is one (<see cref="OwnershipRules"/>).</summary>
    public sealed record AskArbiter(ulong Attempt, OwnershipClaim Claim) : ReplicaEffect;

    /// <summary>Read the newest record. Answered like <see cref="AskArbiter"/>.</summary>
    public sealed record CheckOwnership(ulong Attempt, OwnershipClaim Claim) : ReplicaEffect;

    /// <summary>Going live: take over the VM's network addresses (gratuitous ARP).</summary>
    public sealed record AnnounceAddress : ReplicaEffect;

    /// <summary>Going live: issue every disk request again that the machine waits for, in order of ids.</summary>
    public sealed record ReissuePendingDiskIo : ReplicaEffect;

    /// <summary>Going live: the machine is at the end of the log; record from here and run.</summary>
    public sealed record BecomeLive(ulong Generation, LogPosition Position) : ReplicaEffect;

    /// <summary>Primary, planned failover: the machine is stopped; wait for disk requests, record their completions, say so.</summary>
    public sealed record QuiesceDisks : ReplicaEffect;

    /// <summary>Primary: goes on alone; the next generation is won. Place a new backup.</summary>
    public sealed record DropBackup(DropCause Cause, string Peer, string Why) : ReplicaEffect;

    /// <summary>Stop the machine and every device for good.</summary>
    public sealed record HaltReplica(HaltReason Reason, string What) : ReplicaEffect;
}
