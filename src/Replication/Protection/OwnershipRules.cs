namespace FtAkka.Replication.Protection;

/// <summary>Who a replica is.</summary>
/// <param name="Vm">Name of the VM, unique in the cluster.</param>
/// <param name="Node">Name of the node it runs on.</param>
/// <param name="Incarnation">Of the node's process: a node that was restarted has forgotten its replicas and is another owner.</param>
public sealed record ReplicaIdentity(string Vm, string Node, long Incarnation);

/// <summary>One line of the arbiter's record: this replica may act as the VM in this generation. Written once, never changed.</summary>
/// <param name="Vm">The VM.</param>
/// <param name="Generation">From 1 on; each is claimed by one replica only.</param>
/// <param name="Node">Owner's node.</param>
/// <param name="Incarnation">Owner's process.</param>
/// <param name="TakenAt">Wall-clock time for people, as the shell gives it; decides nothing.</param>
public sealed record OwnershipRecord(string Vm, ulong Generation, string Node, long Incarnation, string TakenAt)
{
    /// <summary>Whether the record names this replica.</summary>
    public bool Names(ReplicaIdentity replica)
    {
        ArgumentNullException.ThrowIfNull(replica);
        return Vm == replica.Vm && Node == replica.Node && Incarnation == replica.Incarnation;
    }
}

/// <summary>A replica wants to be the only one from <paramref name="Generation"/> on.</summary>
public sealed record OwnershipClaim(ReplicaIdentity Replica, ulong Generation);

/// <summary>How a claim or a check ended.</summary>
public enum OwnershipVerdict
{
    /// <summary>The replica owns the VM.</summary>
    Owned,

    /// <summary>Another replica does, now or in a later generation. Final: halt.</summary>
    Lost,

    /// <summary>The storage did not answer, or failed, or its records are not whole. Nothing is known: ask again.</summary>
    Unreachable,
}

/// <summary>
/// The arbiter's rule. A store offers one atomic operation, <em>create the record of generation N unless it exists</em>, and reading
/// the newest record; what these mean is decided here, for every store alike.
/// </summary>
public static class OwnershipRules
{
    /// <summary>Whether the store must try to create the record of the claim, given the newest record it has.</summary>
    public static bool MustCreate(OwnershipRecord? newest, OwnershipClaim claim)
    {
        ArgumentNullException.ThrowIfNull(claim);
        return (newest?.Generation ?? 0) == claim.Generation - 1;
    }

    /// <summary>
    /// What the newest record says about a claim, after the creation was tried or was not due. A claim whose answer got lost is thus
    /// answered again when it is repeated.
    /// </summary>
    public static OwnershipVerdict Judge(OwnershipRecord? newest, OwnershipClaim claim)
    {
        ArgumentNullException.ThrowIfNull(claim);
        ulong generation = newest?.Generation ?? 0;
        if (generation < claim.Generation)
            return OwnershipVerdict.Unreachable;
        return generation == claim.Generation && newest!.Names(claim.Replica) ? OwnershipVerdict.Owned : OwnershipVerdict.Lost;
    }
}
