using FtAkka.Replication.Protection.Clone;

namespace FtAkka.Replication.Protection;

/// <summary>A replica as operators see it, at one moment.</summary>
/// <param name="Status">The protocol's state.</param>
/// <param name="Times">The last failover.</param>
/// <param name="DigestsChecked">Digests that replay has compared and found equal.</param>
/// <param name="LastDigestIcount">Icount of the last of those digests; 0 before the first.</param>
/// <param name="LogBitsPerSecond">Log sent or received, over the last second.</param>
/// <param name="Reconnects">How often messages of the peer's node were lost on the way, and the log was resumed.</param>
/// <param name="LastClone">The last copy to a backup, if there was one.</param>
/// <param name="Clock">The moment, by the clock of <paramref name="Times"/>.</param>
/// <param name="LastError">Why a copy failed, a backup was lost or devices cannot be opened, for people; null while there is a backup that can take over, and where nothing has failed.</param>
public sealed record ReplicaView(ReplicaStatus Status, FailoverTimes Times, ulong DigestsChecked, ulong LastDigestIcount, double LogBitsPerSecond, int Reconnects,
    CloneView? LastClone, TimeSpan Clock, string? LastError)
{
    /// <summary>Whether another view of the same replica says the same of what a node decides by: role, generation, peer, what the backup could do, and what has failed. Figures may differ.</summary>
    public bool IsSameForDecisions(ReplicaView other)
    {
        ArgumentNullException.ThrowIfNull(other);
        ReplicaStatus theirs = other.Status;
        return Status.Role == theirs.Role && Status.Generation == theirs.Generation && Status.Peer == theirs.Peer && Status.Protected == theirs.Protected
            && Status.CanTakeOver == theirs.CanTakeOver && Status.Runs == theirs.Runs && Status.Unable == theirs.Unable && LastError == other.LastError;
    }
}

/// <summary>How far a copy is, or how the last one went.</summary>
/// <param name="Round">0 is the whole memory, then rounds of dirty pages.</param>
/// <param name="Sent">Pages of the round sent.</param>
/// <param name="Of">Pages of the round.</param>
/// <param name="Pause">How long the machine stood for the final copy; zero before.</param>
/// <param name="Bytes">Bytes confirmed by the other side.</param>
/// <param name="Elapsed">Time since the offer was accepted.</param>
/// <param name="Disks">How far separate disks are; null where there are none.</param>
public sealed record CloneView(int Round, long Sent, long Of, TimeSpan Pause, long Bytes, TimeSpan Elapsed, DiskProgress? Disks);

/// <summary>Moments of a failover by the local monotonic clock, for reports; zero until they come.</summary>
public sealed record FailoverTimes
{
    /// <summary>Last message of the primary.</summary>
    public TimeSpan LastHeard { get; init; }

    /// <summary>The primary was suspected, or handed over.</summary>
    public TimeSpan Suspected { get; init; }

    /// <summary>Everything received was replayed, and the arbiter was asked.</summary>
    public TimeSpan Drained { get; init; }

    /// <summary>The arbiter had granted the generation.</summary>
    public TimeSpan Won { get; init; }

    /// <summary>The devices were open, the held outputs handed over, and the machine running.</summary>
    public TimeSpan Live { get; init; }

    /// <summary>Outputs handed over again because the primary had not reported them as released.</summary>
    public int OutputsResent { get; init; }

    /// <summary>Disk requests issued again.</summary>
    public int DiskRequestsReissued { get; init; }
}
