using FtAkka.Replication.Protection;

namespace FtAkka.Actors.Protection;

/// <summary>Storage of ownership records, shared by all hosts. Calls may take as long as the storage does; none throws for it.</summary>
public interface IArbiterStore
{
    /// <summary>Creates the record of a generation unless there is one, atomically, and judges the claim.</summary>
    OwnershipVerdict Claim(OwnershipClaim claim);

    /// <summary>Judges a claim by the newest record, without creating one.</summary>
    OwnershipVerdict Check(OwnershipClaim claim);
}
