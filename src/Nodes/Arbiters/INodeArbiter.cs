using FtAkka.LogChannelActors.Replicas;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes.Arbiters;

/// <summary>The arbiter as a node sees it: besides claims, what operators ask for. These calls throw where the storage fails.</summary>
public interface INodeArbiter : IArbiter
{
    /// <summary>Where the records are, for messages to people.</summary>
    string Place { get; }

    /// <summary>The newest record of a VM; null if it never ran.</summary>
    /// <exception cref="IOException">The storage fails.</exception>
    OwnershipRecord? Newest(string vm);

    /// <summary>Creates the record of a generation unless there is one, atomically, and judges the claim.</summary>
    OwnershipVerdict ClaimNow(OwnershipClaim claim);

    /// <summary>Whether the VM of a generation is known to have ended in order.</summary>
    /// <exception cref="IOException">The storage fails.</exception>
    bool HasEnded(string vm, ulong generation);

    /// <summary>Notes that the VM ended in order, so that it may be started anew.</summary>
    /// <exception cref="IOException">The storage fails.</exception>
    void NoteEnd(string vm, ulong generation);
}
