using System.Collections.Immutable;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection.Clone;
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

    /// <summary>A backup that cannot use the copy it was given.</summary>
    CopyFailed,

    /// <summary>The devices of the machine cannot be opened on this host.</summary>
    DevicesRefused,

    /// <summary>Something on the host failed without which the replica cannot go on. It says nothing to its peer, which takes over.</summary>
    HostFailed,
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

/// <summary>
/// What the performer of a <see cref="ReplicaCore"/> has to do, in the order given. The contract of both is in the remarks of <see cref="ReplicaCore"/>.
/// </summary>
public abstract record ReplicaEffect
{
    /// <summary>The role changed; for status, logs and dashboards. A backup that becomes complete is noted on its disk.</summary>
    public sealed record RoleChanged(ReplicaRole From, ReplicaRole To, ulong Generation) : ReplicaEffect;

    /// <summary>Something a person should know.</summary>
    public sealed record ReportStatus(string What) : ReplicaEffect;

    /// <summary>Send to the replica of this VM on a node. A message may get lost, or come twice.</summary>
    public sealed record Send(string Node, IChannelMessage Message) : ReplicaEffect;

    /// <summary>Send the newest console output to a new backup, so that its clients can read it after a failover.</summary>
    public sealed record SendConsoleHistory(string Node, ChannelSession Session) : ReplicaEffect;

    /// <summary>Backup: keep console output of the primary from before the copy.</summary>
    public sealed record KeepConsoleHistory(ulong Offset, ImmutableArray<byte> Bytes) : ReplicaEffect;

    /// <summary>Keep what this replica knows of a divergence, for people.</summary>
    public sealed record KeepEvidence(DivergenceReport Report) : ReplicaEffect;

    /// <summary>Create the record of a generation on the arbiter's storage, atomically, unless there is one (<see cref="OwnershipRules"/>).</summary>
    public sealed record AskArbiter(ulong Attempt, OwnershipClaim Claim) : ReplicaEffect;

    /// <summary>Read the newest record. Answered like <see cref="AskArbiter"/>.</summary>
    public sealed record CheckOwnership(ulong Attempt, OwnershipClaim Claim) : ReplicaEffect;

    /// <summary>Devices may act while the local monotonic clock shows less than this (see <see cref="FenceTime"/>). Replaces the last value, also downwards.</summary>
    public sealed record FenceChanged(Instant Until) : ReplicaEffect;

    /// <summary>Whether the machine may run, live or in replay, and on what share of the CPU.</summary>
    public sealed record SetPace(StopReasons Stop, int SharePercent) : ReplicaEffect;

    /// <summary>
    /// Live: open the machine's devices and make the machine ready to run: a new one, or the one that replay has given away. Answered by
    /// <see cref="ReplicaInput.MachineReady"/> or <see cref="ReplicaInput.DevicesRefused"/>; after a refusal it may be asked for again.
    /// </summary>
    /// <param name="Position">The machine's log goes on after this position.</param>
    public sealed record OpenDevices(LogPosition Position) : ReplicaEffect;

    /// <summary>Going live: take over the VM's network addresses (gratuitous ARP).</summary>
    public sealed record Announce : ReplicaEffect;

    /// <summary>Going live: issue these disk requests again, in order. Each ends with <see cref="ReplicaInput.DiskRequestEnded"/>.</summary>
    public sealed record Reissue(ImmutableArray<PendingRequest> Requests) : ReplicaEffect;

    /// <summary>
    /// Live: hand outputs to their devices, in order. A device performs one only while its clock shows less than the fence, which it looks at
    /// immediately before it acts; until then it keeps it. Separate disks have no fence: nobody else has them.
    /// </summary>
    public sealed record Release(IReadOnlyList<GatedOutput> Outputs) : ReplicaEffect;

    /// <summary>Live: let the machine run.</summary>
    public sealed record Run(ulong Generation) : ReplicaEffect;

    /// <summary>Live: hand in everything that the machine was given and has not recorded, though it may not execute; answered by <see cref="ReplicaInput.Flushed"/>.</summary>
    public sealed record Flush : ReplicaEffect;

    /// <summary>Live: read something for the copy of this session; answered by <see cref="ReplicaInput.CopyRead"/> where it says so.</summary>
    public sealed record ReadCopy(ChannelSession Session, CloneSenderEffect.Work Work) : ReplicaEffect;

    /// <summary>Live: nothing more is read for the copy of this session; its dirty logs end.</summary>
    public sealed record EndCopy(ChannelSession Session) : ReplicaEffect;

    /// <summary>Live: goes on alone; the next generation is won. Place a new backup.</summary>
    public sealed record DropBackup(DropCause Cause, string Peer, string Why) : ReplicaEffect;

    /// <summary>Backup: take a part of the copy; answered by <see cref="ReplicaInput.CopyWritten"/> where it says so.</summary>
    public sealed record WriteCopy(CloneReceiverEffect.Work Work) : ReplicaEffect;

    /// <summary>Backup: the machine has the copy's state; replay from here what <see cref="FeedReplay"/> brings.</summary>
    public sealed record StartReplay(LogPosition Position) : ReplicaEffect;

    /// <summary>Backup: entries for replay, which follow those before without a gap.</summary>
    public sealed record FeedReplay(IReadOnlyList<LogEntry> Entries) : ReplicaEffect;

    /// <summary>Backup: perform requests of the machine on this replica's own disks, in order; each answered by <see cref="ReplicaInput.OwnRequestPerformed"/> if it changes the disk.</summary>
    public sealed record PerformOwn(IReadOnlyList<GatedOutput> Requests) : ReplicaEffect;

    /// <summary>Backup: the log has what this request returned: if it is a read, it need not be performed any more, and may not succeed.</summary>
    public sealed record ForgetOwnRead(int Disk, ulong Id) : ReplicaEffect;

    /// <summary>Going live: everything was replayed; take the machine from replay, and close this replica's own disks. Answered by <see cref="ReplicaInput.ReplayStopped"/>.</summary>
    public sealed record StopReplay : ReplicaEffect;

    /// <summary>Stop the machine and every device for good. The last effect.</summary>
    public sealed record HaltReplica(HaltReason Reason, string What) : ReplicaEffect;
}
