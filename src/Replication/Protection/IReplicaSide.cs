using FtAkka.Replication.Messages;

namespace FtAkka.Replication.Protection;

/// <summary>What a replica does in its present roles: <see cref="LiveSide"/> or <see cref="BackupSide"/>. A backup that goes live changes from one to the other.</summary>
internal interface IReplicaSide
{
    /// <summary>Outputs were handed to devices or wait for it, and are not performed.</summary>
    bool HasOutputsUnderWay { get; }

    /// <summary>How far the copy to a backup is, or how the last one went; null if there was none.</summary>
    CloneView? LastClone { get; }

    /// <summary>Takes an input that the core does not take itself.</summary>
    void Step(Instant now, ReplicaInput input);

    /// <summary>The peer's node was heard.</summary>
    void NodeHeard(Instant now);

    /// <summary>The connection to the peer's node was made anew.</summary>
    void Reconnected(Instant now);

    /// <summary>The peer's node has begun anew: the process in which the peer's replica was is gone.</summary>
    void PeerRestarted(Instant now);

    /// <summary>A message of the session.</summary>
    void Hear(Instant now, IChannelMessage message);

    /// <summary>Does what has become due, after every input.</summary>
    void Settle(Instant now);

    /// <summary>The arbiter has granted a generation that this replica has claimed.</summary>
    void Won(Instant now, ulong generation);

    /// <summary>The arbiter says that this replica still owns its generation.</summary>
    void StillOwner();

    /// <summary>This process did not run for a while.</summary>
    void AfterPause(Instant now);

    /// <summary>Adds what this side knows to a status.</summary>
    ReplicaStatus Describe(Instant now, ReplicaStatus common);
}
