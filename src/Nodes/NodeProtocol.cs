using System.Collections.Immutable;
using Akka.Actor;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Replication.Protection;
using FtAkka.Machine.Events;

namespace FtAkka.Nodes;

/// <summary>Messages of <see cref="NodeActor"/>, from the control API. Each is answered by <see cref="Done"/> or <see cref="Refused"/> unless said otherwise.</summary>
public static class NodeProtocol
{
    /// <summary>Start a VM here.</summary>
    /// <param name="Profile">What it is.</param>
    /// <param name="Kernel">bzImage or ELF.</param>
    /// <param name="Initrd">Initial RAM disk; empty for none.</param>
    /// <param name="Backup">Node that gets its backup, or null.</param>
    /// <param name="TakeOver">Although the arbiter knows an owner that did not end in order.</param>
    /// <param name="AcceptOldDisk">Although another node has newer images of its disks that are not shared.</param>
    public sealed record Start(VmProfile Profile, ReadOnlyMemory<byte> Kernel, ReadOnlyMemory<byte> Initrd, string? Backup, bool TakeOver, bool AcceptOldDisk = false);

    /// <summary>Make a backup on a node.</summary>
    public sealed record Protect(string Vm, string Node);

    /// <summary>Go on without backup.</summary>
    public sealed record Unprotect(string Vm);

    /// <summary>Let the backup take over.</summary>
    public sealed record Failover(string Vm);

    /// <summary>Switch off, reset, or raise an NMI.</summary>
    public sealed record Operate(string Vm, ControlOperation Operation);

    /// <summary>
    /// The node is to stop in order: hand over what has a backup, switch off what has none, take nothing new. Answered by <see cref="Left"/> when that
    /// is done, or has taken too long.
    /// </summary>
    public sealed record Leave;

    /// <summary>The node may be stopped now.</summary>
    /// <param name="What">What became of its VMs, for people.</param>
    public sealed record Left(ImmutableArray<string> What);

    /// <summary>Answered by <see cref="Replicas"/>.</summary>
    public sealed record List;

    /// <summary>Answered by <see cref="Attached"/> or <see cref="Refused"/>.</summary>
    public sealed record Attach(string Vm);

    /// <summary>It was done, or begun.</summary>
    public sealed record Done(string Text);

    /// <summary>It was not.</summary>
    public sealed record Refused(string Why);

    /// <summary>The replicas on this node.</summary>
    public sealed record Replicas(ImmutableArray<ReplicaLine> Lines);

    /// <summary>The console of a live VM.</summary>
    public sealed record Attached(VmConsole Console);

    /// <summary>Output of the console of a replica's process, from a position on. Answered by <see cref="ConsoleRead"/>.</summary>
    public sealed record ReadConsole(IActorRef Process, ulong From);

    /// <summary>Console output.</summary>
    /// <param name="Offset">Position of the first byte since power-on.</param>
    /// <param name="Bytes">None if there is nothing new yet.</param>
    /// <param name="IsEnd">There will be no more.</param>
    public sealed record ConsoleRead(ulong Offset, ImmutableArray<byte> Bytes, bool IsEnd);

    /// <summary>Somebody types. Answered by <see cref="ConsoleTyped"/>.</summary>
    public sealed record TypeConsole(IActorRef Process, ImmutableArray<byte> Bytes);

    /// <summary>Whether what was typed was taken; it is to be tried again otherwise.</summary>
    public sealed record ConsoleTyped(bool IsTaken);
}

/// <summary>One replica on a node, for people and programs.</summary>
/// <param name="Node">The node.</param>
/// <param name="Vm">The VM.</param>
/// <param name="View">Its state; null once it has ended.</param>
/// <param name="End">How it ended; null while it exists.</param>
/// <param name="Gaps">How often the node stood still.</param>
public sealed record ReplicaLine(string Node, string Vm, ReplicaView? View, ReplicaEnd? End, NodeGaps Gaps = default);
