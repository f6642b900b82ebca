using FtAkka.Machine.Events;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Protection;

/// <summary>Something that happened to a replica. Handed to <see cref="Replica.Step"/>; what does not fit the role is ignored.</summary>
public abstract record ReplicaInput
{
    /// <summary>Time has passed. At least every <see cref="ProtectionOptions.HeartbeatInterval"/>, or half the pause guard if that is less.</summary>
    public sealed record Tick : ReplicaInput;

    /// <summary>The peer's node sent a heartbeat.</summary>
    public sealed record PeerNodeHeard : ReplicaInput;

    /// <summary>A message of the peer's replica.</summary>
    public sealed record Received(IChannelMessage Message) : ReplicaInput;

    /// <summary>The connection to the peer was lost and is there again: what was under way may be lost.</summary>
    public sealed record ChannelReconnected : ReplicaInput;

    /// <summary>Operator, or placement: make a backup on that node. Solo only.</summary>
    public sealed record Protect(string PeerNode) : ReplicaInput;

    /// <summary>Operator: go on without backup. Cancels a clone.</summary>
    public sealed record Unprotect : ReplicaInput;

    /// <summary>Operator: the backup takes over, nothing is lost and nothing repeated. Protected primary only.</summary>
    public sealed record PlannedFailover : ReplicaInput;

    /// <summary>
    /// The node stops in order. A protected primary hands over as for <see cref="PlannedFailover"/>, a clone is given up, a backup says goodbye and
    /// halts, so that its primary does not have to wait for silence. A replica that runs its VM alone goes on: whoever stops the node must know.
    /// </summary>
    public sealed record Leave : ReplicaInput;

    /// <summary>Clone, primary: the final copy was taken at this position of the log, and the machine records from there.</summary>
    public sealed record CloneSwitched(LogPosition Position) : ReplicaInput;

    /// <summary>Clone, primary: the backup has assembled the copy, and its digest is the right one.</summary>
    public sealed record CloneConfirmed : ReplicaInput;

    /// <summary>Clone, primary: it failed; the reason is for people.</summary>
    public sealed record CloneFailed(string Why) : ReplicaInput;

    /// <summary>Clone, backup: the machine has the copy's state, and replay begins here.</summary>
    public sealed record CopyAssembled(LogPosition Position, ulong Icount) : ReplicaInput;

    /// <summary>
    /// Live: the machine has run or taken inputs. Every output is covered by an <see cref="OutputMarkPayload"/> among the entries.
    /// </summary>
    public sealed record Recorded(IReadOnlyList<LogEntry> Entries, IReadOnlyList<MachineEffect> Outputs, ulong Icount) : ReplicaInput;

    /// <summary>Backup: the machine has replayed up to and including an entry.</summary>
    public sealed record Replayed(Lsn Executed, ulong Icount, IReadOnlyList<MachineEffect> Outputs) : ReplicaInput;

    /// <summary>Backup: this is not the primary's execution.</summary>
    public sealed record Diverged(Divergence Divergence) : ReplicaInput;

    /// <summary>Live: every disk request issued has completed and its completion was recorded, as asked by <see cref="ReplicaEffect.QuiesceDisks"/>.</summary>
    public sealed record DisksQuiesced : ReplicaInput;

    /// <summary>Live: a device has acted on an output, past the last look at the fence. Backup: the same of its own disk.</summary>
    public sealed record OutputPerformed(ulong Number) : ReplicaInput;

    /// <summary>Backup: a request that changes its own disk could not be performed.</summary>
    public sealed record OwnDiskFailed(string What) : ReplicaInput;

    /// <summary>The arbiter's storage has answered, or the shell gave up on it (<see cref="OwnershipVerdict.Unreachable"/>).</summary>
    public sealed record ArbiterAnswered(ulong Attempt, OwnershipVerdict Verdict) : ReplicaInput;
}
