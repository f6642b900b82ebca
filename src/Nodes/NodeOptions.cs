using System.Collections.Immutable;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Actors.Vms;
using FtAkka.DeviceActors.Consoles;
using FtAkka.DeviceActors.Fencing;
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

/// <summary>The devices of a host.</summary>
public interface INodeDevices
{
    /// <summary>Looks at what the VM of another node names, before anything is opened for it: when its copy is offered, and again when it goes live here.</summary>
    /// <exception cref="IOException">This host opens something of it for nobody else.</exception>
    void Admit(VmProfile profile);

    /// <summary>
    /// Looks whether this host has what a VM needs that is to start here, and makes its disks the VM's. Keeps nobody waiting; answered once, on any thread, within a limit of time,
    /// with the reason or null. The profile of the answer names the disks as they are.
    /// </summary>
    void ProveStart(VmProfile profile, Action<VmProfile, string?> answer);

    /// <summary>Proves that a VM whose backup is here, or is to be, could go live: everything that it needs for that is there and can be written to. Answered like <see cref="ProveStart"/>.</summary>
    void ProveBackup(VmProfile profile, Action<string?> answer);

    /// <summary>Opens the devices of a VM that is live here. Shared disks are not locked; a fence keeps the replica that is not live from acting.</summary>
    /// <param name="profile">The VM.</param>
    /// <param name="generation">In which it writes from now on.</param>
    /// <param name="fence">Keeps it from acting while it may not.</param>
    /// <param name="console">Its serial console.</param>
    /// <exception cref="IOException">One cannot be opened; those opened before are closed.</exception>
    ImmutableArray<DeviceDefinition> Open(VmProfile profile, ulong generation, Fence fence, ConsoleScrollback console);

    /// <summary>Opens this host's own copies of the separate disks of a VM whose backup is to be here. They are written to at once, and have no fence: no other replica has them.</summary>
    /// <param name="profile">The VM.</param>
    /// <param name="generation">The generation of the primary whose disks are copied.</param>
    /// <exception cref="IOException">One is missing, has another size, is another VM's or newer, or cannot be opened; those opened before are closed.</exception>
    ImmutableArray<DeviceDefinition> OpenOwnDisks(VmProfile profile, ulong generation);

    /// <summary>What <see cref="OpenOwnDisks"/> opened has become the copy that a backup goes live with.</summary>
    /// <exception cref="IOException">That cannot be noted.</exception>
    void OwnDisksComplete(VmProfile profile, ulong generation);
}
