using System.Collections.Immutable;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Nodes.Arbiters;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;

namespace FtAkka.Nodes;

/// <summary>What a <see cref="NodeActor"/> works with.</summary>
public sealed record NodeOptions
{
    /// <summary>Name of the actor system on every node: part of all addresses.</summary>
    public const string SystemName = "ftakka";

    /// <summary>Name of the node.</summary>
    public required string Name { get; init; }

    /// <summary>Differs between two lives of a node of the same name, and grows.</summary>
    public required long Incarnation { get; init; }

    /// <summary>The other nodes' wire addresses, host:port, by name.</summary>
    public required ImmutableSortedDictionary<string, string> Peers { get; init; }

    /// <summary>What the guests of this node may have of RAM together, in bytes. A VM for which there is not enough is refused.</summary>
    public ulong MemoryBytesMax { get; init; } = ulong.MaxValue;

    /// <summary>Limits and intervals of protected VMs.</summary>
    public required ProtectionOptions Protection { get; init; }

    /// <summary>
    /// Messages of other nodes come over connections that prove who speaks: what claims to be from one node and comes from another is dropped. False
    /// where nothing can be proved, as over plain TCP.
    /// </summary>
    public bool SendersProved { get; init; }

    /// <summary>Longest message to another node, in bytes; longer ones are cut.</summary>
    public int MessageBytesMax { get; init; } = MessageCutter.BytesMaxDefault;

    /// <summary>Limits of copies.</summary>
    public CloneOptions CloneLimits { get; init; } = new();

    /// <summary>New backups without a person.</summary>
    public AutoProtectOptions AutoProtect { get; init; } = new();

    /// <summary>How long after one proof that a backup could go live here the next begins.</summary>
    public TimeSpan ProofInterval { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long an orderly stop waits for VMs to be handed over.</summary>
    public TimeSpan HandOverTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long an orderly stop lets VMs without a backup be copied to a peer, to be handed over to it; zero: they are switched off at once.</summary>
    public TimeSpan StopCopyTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Keeps reports of divergences; must not block. Null: they are only logged.</summary>
    public Action<DivergenceReport>? KeepEvidence { get; init; }

    /// <summary>Instructions between the digests by which a backup is compared with its primary.</summary>
    public ulong DigestInterval { get; init; } = ReplicaDefinition.DefaultDigestInterval;

    /// <summary>How much of the log is kept for them, in bytes for each replica.</summary>
    public long EvidenceLogBytes { get; init; } = 8 << 20;

    /// <summary>Decides who owns a VM; shared by all nodes.</summary>
    public required INodeArbiter Arbiter { get; init; }

    /// <summary>Opens what the guests' devices stand on.</summary>
    public required INodeDevices Devices { get; init; }

    /// <summary>Has the last word on each replica of this node, such as limits of what its machine may use; by default it changes nothing.</summary>
    public Func<ReplicaDefinition, ReplicaDefinition> Adapt { get; init; } = definition => definition;
}
