namespace FtAkka.Replication.Protection;

/// <summary>
/// The two times of a fence that are no readings of the clock. Devices may act before the time of their replica's fence
/// (<see cref="ReplicaCore.Fence"/>); a protected primary's is the end of its lease.
/// </summary>
public static class FenceTime
{
    /// <summary>Devices may act, without an end: a replica that has no rival.</summary>
    public static Instant Open => Instant.Latest;

    /// <summary>Devices may not act: a replica that is not live, or does not know whether it still owns its VM.</summary>
    public static Instant Closed => Instant.Earliest;
}
