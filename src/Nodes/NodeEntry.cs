using Akka.Actor;
using FtAkka.DeviceActors.Consoles;
using FtAkka.LogChannelActors;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>A replica on a node, running or ended.</summary>
internal sealed class NodeEntry
{
    /// <summary>The VM.</summary>
    public required string Vm { get; init; }

    /// <summary>Its serial console since power-on, as far as it is kept.</summary>
    public required ConsoleScrollback Console { get; init; }

    /// <summary>Of a replica that came as a backup: the session of its copy.</summary>
    public required ChannelSession Session { get; init; }

    /// <summary>When and where it gets a new backup.</summary>
    public required Reprotection Reprotection { get; init; }

    /// <summary>What the VM is.</summary>
    public required VmProfile Profile { get; init; }

    /// <summary>Of a backup: from when on it is to be proved again that it could go live.</summary>
    public required TimeSpan NextProof { get; set; }

    /// <summary>That is being proved.</summary>
    public bool IsBeingProved { get; set; }

    /// <summary>Why it could not go live, as the last proof has found; null if it could.</summary>
    public string? Unable { get; set; }

    /// <summary>Its machine until its actor has it.</summary>
    public required PreparedMachine Machine { get; init; }

    /// <summary>Of a replica that was started here: the generation that the arbiter granted for that; 0 for a backup.</summary>
    public ulong Generation { get; set; }

    /// <summary>The replica; null until its actor has begun. Read on the wire's threads as well.</summary>
    public ReplicaHandle? Replica
    {
        get => Volatile.Read(ref replica);
        set => Volatile.Write(ref replica, value);
    }

    /// <summary>Takes its messages from the wire.</summary>
    public ReplicaEndpoint? Endpoint { get; set; }

    /// <summary>The replica's actor.</summary>
    public IActorRef? Actor { get; set; }

    /// <summary>What waits until the replica has done what it was asked before.</summary>
    public List<Action> Waiting { get; } = [];

    /// <summary>How it ended; null while it exists.</summary>
    public ReplicaEnd? End { get; set; }

    /// <summary>How it leaves, once its node stops in order.</summary>
    public Departure? Departure { get; set; }

    /// <summary>It is being switched off with its node, as its only replica: the arbiter is to know that it ended.</summary>
    public bool SwitchedOff { get; set; }

    /// <summary>What operators see; null once it has ended, or before it began.</summary>
    public ReplicaView? View => End is null ? Replica?.View : null;

    private ReplicaHandle? replica;
}
