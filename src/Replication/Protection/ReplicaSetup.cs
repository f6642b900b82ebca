using FtAkka.Cpu.Memory;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection.Clone;

namespace FtAkka.Replication.Protection;

/// <summary>What a <see cref="ReplicaCore"/> works with.</summary>
public sealed record ReplicaSetup
{
    /// <summary>Who the replica is.</summary>
    public required ReplicaIdentity Id { get; init; }

    /// <summary>Limits and intervals; both replicas must have the same.</summary>
    public required ProtectionOptions Protection { get; init; }

    /// <summary>Limits of a copy.</summary>
    public CloneOptions CloneLimits { get; init; } = new();

    /// <summary>What a backup's host must know to build the same machine.</summary>
    public required string Profile { get; init; }

    /// <summary>Bytes of a page of the machine's memory.</summary>
    public int PageBytes { get; init; } = GuestMemory.PageSizeBytes;

    /// <summary>Bytes of the newest part of the log that are kept to explain a divergence.</summary>
    public long EvidenceLogBytes { get; init; } = 8 << 20;

    internal CloneOffer OfferOf(ChannelSession session, int pageCount) =>
        new(session.Generation, session.Attempt, Id.Vm, Id.Node, Profile, LogFrame.Version, PageBytes, pageCount);
}
