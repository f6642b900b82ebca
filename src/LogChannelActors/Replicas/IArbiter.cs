using FtAkka.Replication.Protection;

namespace FtAkka.LogChannelActors.Replicas;

/// <summary>
/// Ownership records on storage shared by all hosts, which may hang. Neither call blocks or throws; the answer comes on any thread, later, or
/// never.
/// </summary>
public interface IArbiter
{
    /// <summary>Creates the record of a generation unless there is one, atomically, and judges the claim.</summary>
    void Claim(OwnershipClaim claim, Action<OwnershipVerdict> answer);

    /// <summary>Judges a claim by the newest record, without creating one.</summary>
    void Check(OwnershipClaim claim, Action<OwnershipVerdict> answer);
}
