using System.Collections.Immutable;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes.VmProcesses;

/// <summary>What the process of a VM (<see cref="VmProcessActor"/>) tells its node: answers to <see cref="VmCommand"/>, and what happens. Plain data.</summary>
public abstract record VmReport
{
    private VmReport()
    {
    }

    /// <summary>Answers a command with this number.</summary>
    /// <param name="Number">The command's.</param>
    public abstract record Answer(long Number) : VmReport;

    /// <summary>The replica is there, and the arbiter knows its owner.</summary>
    /// <param name="View">How it stands.</param>
    /// <param name="Address">Where other processes reach it.</param>
    public sealed record Began(ReplicaView View, string Address) : VmReport;

    /// <summary>There is no replica, and the process ends. The VM has run nowhere.</summary>
    /// <param name="Why">For people.</param>
    public sealed record CannotBegin(string Why) : VmReport;

    /// <summary>Something by which a node decides has changed.</summary>
    /// <param name="View">How the replica stands now.</param>
    public sealed record Changed(ReplicaView View) : VmReport;

    /// <summary>The replica offers a copy. It is repeated until it is answered.</summary>
    /// <param name="Node">For whom.</param>
    /// <param name="Offer">The offer, with the address of the process.</param>
    public sealed record Offers(string Node, CloneOffer Offer) : VmReport;

    /// <summary>A live replica goes on without its backup.</summary>
    /// <param name="Cause">Why.</param>
    /// <param name="Peer">Where that was.</param>
    public sealed record Dropped(DropCause Cause, string Peer) : VmReport;

    /// <summary>The replica is no more, and its devices are closed. Told once.</summary>
    public sealed record Ended(ReplicaEnd End) : VmReport;

    /// <summary>An operator's answer.</summary>
    /// <param name="Number">See <see cref="Answer"/>.</param>
    /// <param name="IsDone">It was done, or begun.</param>
    /// <param name="Text">What was done, or why not, for people.</param>
    /// <param name="Wish">Whether the VM is to have a backup from now on.</param>
    public sealed record Answered(long Number, bool IsDone, string Text, BackupWish Wish = BackupWish.AsBefore) : Answer(Number);

    /// <summary>What was ordered is taken.</summary>
    /// <param name="Number">See <see cref="Answer"/>.</param>
    /// <param name="View">How the replica stands now; null once it has ended.</param>
    public sealed record Settled(long Number, ReplicaView? View) : Answer(Number);

    /// <summary>Console output.</summary>
    /// <param name="Number">See <see cref="Answer"/>.</param>
    /// <param name="Offset">Position of the first byte since power-on.</param>
    /// <param name="Bytes">None if there is nothing new yet.</param>
    /// <param name="IsEnd">There will be no more: the replica has ended.</param>
    public sealed record ConsoleRead(long Number, ulong Offset, ImmutableArray<byte> Bytes, bool IsEnd) : Answer(Number);

    /// <summary>What was typed waits for the guest.</summary>
    /// <param name="Number">See <see cref="Answer"/>.</param>
    /// <param name="IsTaken">False: too much waits already, and nothing of it was taken.</param>
    public sealed record ConsoleTyped(long Number, bool IsTaken) : Answer(Number);
}

/// <summary>Whether a VM is to have a backup.</summary>
public enum BackupWish
{
    /// <summary>As was wished before.</summary>
    AsBefore,

    /// <summary>From now on, and a new one when it is lost.</summary>
    Wanted,

    /// <summary>No more.</summary>
    NotWanted,
}
