using System.Collections.Immutable;
using FtAkka.Machine.Events;
using FtAkka.Replication.Messages;

namespace FtAkka.Nodes.VmProcesses;

/// <summary>
/// What a node tells the process of one of its VMs (<see cref="VmProcessActor"/>). All of it is plain data: nothing that the two share is reached but by these messages
/// and by <see cref="VmReport"/>. Commands are taken in the order in which they are given.
/// </summary>
public abstract record VmCommand
{
    private VmCommand()
    {
    }

    /// <summary>Start the VM. Answered once by <see cref="VmReport.Began"/> or <see cref="VmReport.CannotBegin"/>.</summary>
    /// <param name="Profile">What it is.</param>
    /// <param name="Kernel">bzImage or ELF.</param>
    /// <param name="Initrd">Initial RAM disk; empty for none.</param>
    /// <param name="Generation">To be claimed from the arbiter before the guest runs.</param>
    /// <param name="Backup">Node that gets its backup, or null.</param>
    public sealed record Start(VmProfile Profile, ReadOnlyMemory<byte> Kernel, ReadOnlyMemory<byte> Initrd, ulong Generation, string? Backup) : VmCommand;

    /// <summary>Become the backup of a VM. Answered like <see cref="Start"/>.</summary>
    /// <param name="Profile">What it is.</param>
    /// <param name="Offer">The offer that the node has accepted.</param>
    public sealed record TakeCopy(VmProfile Profile, CloneOffer Offer) : VmCommand;

    /// <summary>The accepted offer came once more.</summary>
    public sealed record OfferedAgain(CloneOffer Offer) : VmCommand;

    /// <summary>The node of the backup to be has judged an offer.</summary>
    /// <param name="Node">That node.</param>
    /// <param name="Answer">In the words of the channel: accepted, or why not.</param>
    /// <param name="Address">Where the new backup's process is; empty if it was refused.</param>
    public sealed record OfferJudged(string Node, CloneAnswer Answer, string Address) : VmCommand;

    /// <summary>An operator asks for something. Judged by how the replica stands when it has done all that was asked before, and answered once by <see cref="VmReport.Answered"/>.</summary>
    /// <param name="Number">Comes back with the answer.</param>
    /// <param name="Verb">What is asked for.</param>
    /// <param name="Node">Of <see cref="VmVerb.Protect"/>: where the backup is to be.</param>
    public sealed record Ask(long Number, VmVerb Verb, string? Node = null) : VmCommand;

    /// <summary>The node itself wants something, whatever the replica's role is. Answered once by <see cref="VmReport.Settled"/>, when the replica has taken it.</summary>
    /// <param name="Number">Comes back with the answer.</param>
    /// <param name="What">What it wants.</param>
    /// <param name="Node">Of <see cref="VmOrder.Protect"/>: where the backup is to be.</param>
    public sealed record Order(long Number, VmOrder What, string? Node = null) : VmCommand;

    /// <summary>End the VM as if by its plug: it has no other replica, and nobody takes it.</summary>
    public sealed record SwitchOff : VmCommand;

    /// <summary>How does the replica stand? Answered by <see cref="VmReport.Settled"/>.</summary>
    public sealed record Look(long Number) : VmCommand;

    /// <summary>Console output from a position on. Answered by <see cref="VmReport.ConsoleRead"/>: at once if there is some, otherwise when there is, or when a while has passed.</summary>
    public sealed record ReadConsole(long Number, ulong From) : VmCommand;

    /// <summary>Somebody types. Answered by <see cref="VmReport.ConsoleTyped"/>.</summary>
    public sealed record TypeConsole(long Number, ImmutableArray<byte> Bytes) : VmCommand;

    /// <summary>A node has begun anew: the replicas that it had are gone.</summary>
    public sealed record NodeRestarted(string Node) : VmCommand;
}

/// <summary>What an operator asks of a VM that is live.</summary>
public enum VmVerb
{
    /// <summary>Make a backup.</summary>
    Protect,

    /// <summary>Go on without backup.</summary>
    Unprotect,

    /// <summary>Let the backup take over.</summary>
    Failover,

    /// <summary>Switch off: <see cref="ControlOperation.PowerOff"/>.</summary>
    PowerOff,

    /// <summary>Reset: <see cref="ControlOperation.Reset"/>.</summary>
    Reset,

    /// <summary>Raise an NMI: <see cref="ControlOperation.Nmi"/>.</summary>
    Nmi,

    /// <summary>Be there, and live: somebody wants its console.</summary>
    Attach,
}

/// <summary>What a node wants of a replica.</summary>
public enum VmOrder
{
    /// <summary>Make a backup.</summary>
    Protect,

    /// <summary>Go on without backup.</summary>
    Unprotect,

    /// <summary>The node stops: hand over to the backup, or give up a copy, or say goodbye as a backup.</summary>
    Leave,
}
