using System.Collections.Immutable;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.Machine.Events;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.LogChannelActors.Replicas;

/// <summary>What a <see cref="ReplicaShell"/> performs the effects of its core with.</summary>
public sealed record ReplicaShellOptions
{
    /// <summary>What the core works with.</summary>
    public required ReplicaSetup Setup { get; init; }

    /// <summary>The way to the other replica.</summary>
    public required IReplicaPort Port { get; init; }

    /// <summary>Decides who goes on.</summary>
    public required IArbiter Arbiter { get; init; }

    /// <summary>Monotonic clock; may be read on any thread.</summary>
    public required Func<TimeSpan> Clock { get; init; }

    /// <summary>Runs long work that keeps nobody waiting, by default on a thread of its own.</summary>
    public Action<Action> InBackground { get; init; } = work => new Thread(() => work()) { IsBackground = true, Name = "replica" }.Start();

    /// <summary>The newest output of the serial console, and its position; null: a new backup has none from before its copy.</summary>
    public Func<(ulong Offset, ImmutableArray<byte> Bytes)>? ConsoleHistory { get; init; }

    /// <summary>Given the primary's console output from before the copy; must not block.</summary>
    public Action<ulong, ImmutableArray<byte>>? ConsoleHistoryReceived { get; init; }

    /// <summary>Given what this replica knows of a divergence; must not block. Null: a divergence is only logged.</summary>
    public Action<DivergenceReport>? KeepEvidence { get; init; }

    /// <summary>Shown the entries that a live machine records, on the machine's thread; must not block.</summary>
    public Action<IReadOnlyList<LogEntry>>? Recorded { get; init; }

    /// <summary>Shown the outputs that a backup makes in replay; must not block.</summary>
    public Action<IReadOnlyList<MachineEffect>>? Replayed { get; init; }

    /// <summary>Shown every step of the core, before its effects are performed; must not block.</summary>
    public Action<ReplicaInput, IReadOnlyList<ReplicaEffect>>? Stepped { get; init; }
}

/// <summary>Everything a <see cref="ReplicaActor"/> needs.</summary>
public sealed record ReplicaDefinition
{
    /// <summary>What the shell works with.</summary>
    public required ReplicaShellOptions Shell { get; init; }

    /// <summary>The machine. Its limit of instructions holds in replay as well.</summary>
    public required MachineOptions Machine { get; init; }

    /// <summary>Opens the devices when the replica is live: not before, since the other replica has them.</summary>
    public required Func<ReplicaHandle, ImmutableArray<DeviceDefinition>> OpenDevices { get; init; }

    /// <summary>
    /// Instructions between digests in the log. Each digest hashes the pages written since the one before, and makes the next store to each
    /// of them a miss: a guest that writes much pays for short intervals.
    /// </summary>
    public ulong DigestInterval { get; init; } = DefaultDigestInterval;

    /// <summary>A few hundred milliseconds of a busy guest.</summary>
    public const ulong DefaultDigestInterval = 500_000_000;

    /// <summary>How often the core is told that time passes.</summary>
    public TimeSpan TickInterval { get; init; } = TimeSpan.FromMilliseconds(10);

    /// <summary>For a primary: the generation that the arbiter has granted. 0 for a backup.</summary>
    public ulong Generation { get; init; }

    /// <summary>For a primary: the node that gets its backup as soon as there is a machine to copy; null for none.</summary>
    public string? ProtectOn { get; init; }

    /// <summary>For a backup: the offer it has accepted.</summary>
    public CloneOffer? Offer { get; init; }

    /// <summary>For a backup: its separate disks, opened. The replica closes them.</summary>
    public ImmutableArray<DeviceDefinition> OwnDisks { get; init; } = [];

    /// <summary>Given the handle as soon as there is one.</summary>
    public required Action<ReplicaHandle> Created { get; init; }

    /// <summary>Told when a backup is complete: it could take over. An <see cref="IOException"/> ends the replica.</summary>
    public Action Synced { get; init; } = () => { };

    /// <summary>Told when a live replica goes on without its backup.</summary>
    public Action<ReplicaEffect.DropBackup> Dropped { get; init; } = _ => { };

    /// <summary>Told of the end, once: the replica's devices are closed.</summary>
    public required Action<ReplicaEnd> Ended { get; init; }
}

/// <summary>Why a replica is no more.</summary>
/// <param name="Reason">Why it halted; null if it was stopped from outside, or failed by a mistake of the monitor.</param>
/// <param name="Generation">The generation it belonged to.</param>
/// <param name="What">For people.</param>
public sealed record ReplicaEnd(HaltReason? Reason, ulong Generation, string What);

/// <summary>Messages of <see cref="ReplicaActor"/>, beside the inputs of its core.</summary>
public static class ReplicaProtocol
{
    /// <summary>Operator to a live replica: deliver this to the machine; in a protected VM the log carries it to the backup. Not answered.</summary>
    public sealed record Operate(ControlOperation Operation);

    /// <summary>Node to replica: answer when everything that was asked before is done, and shows in <see cref="ReplicaHandle.View"/>. Answered by <see cref="Settled"/>.</summary>
    /// <param name="Then">What the node wants to do then, on its own thread.</param>
    public sealed record Settle(Action Then);

    /// <summary>Answers <see cref="Settle"/>.</summary>
    public sealed record Settled(Action Then);
}
