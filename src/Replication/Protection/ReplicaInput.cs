using System.Collections.Immutable;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection.Clone;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Protection;

/// <summary>Something that happened to a replica. Handed to <see cref="ReplicaCore.Step"/>, which ignores what does not fit the replica's role.</summary>
public abstract record ReplicaInput
{
    /// <summary>The performer is ready to perform effects. The first input of every replica, and given once.</summary>
    public sealed record Begin : ReplicaInput;

    /// <summary>Time has passed. Given at least every <see cref="ProtectionOptions.HeartbeatInterval"/>, or half the pause guard if that is less.</summary>
    public sealed record Tick : ReplicaInput;

    /// <summary>A node has begun anew: its former process, and every replica that was in it, is gone.</summary>
    public sealed record NodeRestarted(string Node) : ReplicaInput;

    /// <summary>A message of the peer's replica.</summary>
    public sealed record Received(IChannelMessage Message) : ReplicaInput;

    /// <summary>Operator, or placement: make a backup on that node. A machine that does not run yet is copied as soon as it does.</summary>
    public sealed record Protect(string PeerNode) : ReplicaInput;

    /// <summary>Operator: go on without backup. Cancels a copy.</summary>
    public sealed record Unprotect : ReplicaInput;

    /// <summary>Operator: the backup takes over, nothing is lost and nothing repeated. Protected primary only.</summary>
    public sealed record PlannedFailover : ReplicaInput;

    /// <summary>
    /// The node stops in order. A protected primary hands over as for <see cref="PlannedFailover"/>, a copy is given up, and a backup says goodbye and
    /// halts, so that its primary does not have to wait for silence. A replica without a backup goes on: whoever stops the node ends it.
    /// </summary>
    public sealed record Leave : ReplicaInput;

    /// <summary>Something without which the replica cannot go on has failed on its host. It falls silent, so that the other replica takes over.</summary>
    public sealed record HostFailed(string What) : ReplicaInput;

    /// <summary>The arbiter's storage has answered, or the performer gave up on it (<see cref="OwnershipVerdict.Unreachable"/>).</summary>
    public sealed record ArbiterAnswered(ulong Attempt, OwnershipVerdict Verdict) : ReplicaInput;

    /// <summary>Live, answers <see cref="ReplicaEffect.OpenDevices"/>: the devices are open, and the machine stands still until <see cref="ReplicaEffect.Run"/>.</summary>
    /// <param name="Devices">The devices that the machine has.</param>
    /// <param name="PageCount">Pages of its memory.</param>
    public sealed record MachineReady(MachineDevices Devices, int PageCount) : ReplicaInput;

    /// <summary>Live, answers <see cref="ReplicaEffect.OpenDevices"/>: a device cannot be opened now.</summary>
    public sealed record DevicesRefused(string Why) : ReplicaInput;

    /// <summary>Backup: its host has found out whether the replica could go live. Given again and again.</summary>
    /// <param name="Refusal">Why it could not; null if it could.</param>
    public sealed record HostProved(string? Refusal) : ReplicaInput;

    /// <summary>Live: the machine has run or taken inputs. Every output is covered by an <see cref="OutputMarkPayload"/> among the entries.</summary>
    public sealed record Recorded(IReadOnlyList<LogEntry> Entries, IReadOnlyList<MachineEffect> Outputs, ulong Icount) : ReplicaInput;

    /// <summary>Live: the state at a digest of the log, kept in case the backup has another one there.</summary>
    public sealed record Witnessed(StateWitness Witness) : ReplicaInput;

    /// <summary>Live: a disk has ended a request, past its last look at the fence. Given before the entries that record it.</summary>
    public sealed record DiskRequestEnded(int Disk, ulong Id, DiskStatus Status) : ReplicaInput;

    /// <summary>Live: a console has taken all output before this position of its stream.</summary>
    public sealed record ConsoleTaken(ConsoleKind Console, ulong Position) : ReplicaInput;

    /// <summary>Live, answers <see cref="ReplicaEffect.Flush"/>: all that the machine was given so far has been handed in as <see cref="Recorded"/>.</summary>
    public sealed record Flushed : ReplicaInput;

    /// <summary>Live, answers <see cref="ReplicaEffect.ReadCopy"/> of the same session.</summary>
    public sealed record CopyRead(ChannelSession Session, CloneSenderInput Result) : ReplicaInput;

    /// <summary>Backup, answers <see cref="ReplicaEffect.WriteCopy"/>.</summary>
    public sealed record CopyWritten(CloneReceiverInput Result) : ReplicaInput;

    /// <summary>Backup: the machine has replayed up to and including an entry.</summary>
    /// <param name="Executed">The entry.</param>
    /// <param name="Icount">Instructions executed.</param>
    /// <param name="Outputs">Outputs made since the last report, in order.</param>
    /// <param name="DigestsChecked">Digests compared and found equal so far.</param>
    /// <param name="LastDigestIcount">Icount of the last of those digests; 0 before the first.</param>
    public sealed record Replayed(Lsn Executed, ulong Icount, IReadOnlyList<MachineEffect> Outputs, ulong DigestsChecked = 0, ulong LastDigestIcount = 0) : ReplicaInput;

    /// <summary>Backup: this is not the primary's execution.</summary>
    public sealed record Diverged(Divergence Divergence, StateWitness Witness) : ReplicaInput;

    /// <summary>Backup: its own disk has performed a request of <see cref="ReplicaEffect.PerformOwn"/>.</summary>
    public sealed record OwnRequestPerformed(ulong Number) : ReplicaInput;

    /// <summary>Backup: a request that changes its own disk could not be performed.</summary>
    public sealed record OwnDiskFailed(string What) : ReplicaInput;

    /// <summary>Answers <see cref="ReplicaEffect.StopReplay"/>: the machine stands at the end of the log, and its own disks are closed.</summary>
    /// <param name="Pending">Disk requests that the machine waits for, in order of their numbers.</param>
    public sealed record ReplayStopped(ImmutableArray<PendingRequest> Pending) : ReplicaInput;
}

/// <summary>A disk request that a machine waits for.</summary>
/// <param name="Disk">Index of the disk.</param>
/// <param name="Request">The request.</param>
public readonly record struct PendingRequest(int Disk, DiskRequest Request);

/// <summary>Devices of a machine, by index of each kind. What a machine says to a device that it does not have goes nowhere.</summary>
public sealed record MachineDevices(ImmutableArray<int> Disks, ImmutableArray<ConsoleKind> Consoles)
{
    /// <summary>Whether the machine has the device that an output is for and that will report its end. A network card reports none.</summary>
    public bool Reports(MachineEffect output) => output switch
    {
        DiskRequested request => Disks.Contains(request.Disk),
        ConsoleOutput text => Consoles.Contains(text.Console),
        _ => false,
    };
}
