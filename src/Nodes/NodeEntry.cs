using Akka.Actor;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Nodes.VmProcesses;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>A replica on a node, beginning, running or ended, as the node knows it from its process.</summary>
internal sealed class NodeEntry
{
    private ReplicaView? view;

    /// <summary>The VM.</summary>
    public required string Vm { get; init; }

    /// <summary>Of a replica that came as a backup: the session of its copy.</summary>
    public required ChannelSession Session { get; init; }

    /// <summary>When and where it gets a new backup.</summary>
    public required Reprotection Reprotection { get; init; }

    /// <summary>What the VM is.</summary>
    public required VmProfile Profile { get; init; }

    /// <summary>Of a replica that is started here: the generation that it claims from the arbiter for that; 0 for a backup.</summary>
    public required ulong Generation { get; init; }

    /// <summary>Its process: takes <see cref="VmCommand"/>.</summary>
    public required IActorRef Process { get; init; }

    /// <summary>Told once how the beginning went: null, or why there is no replica.</summary>
    public required Action<string?> Begun { get; init; }

    /// <summary>The replica is there, or was.</summary>
    public bool HasBegun { get; set; }

    /// <summary>Where its process is reached by that of the other replica; null before it has begun.</summary>
    public string? Address { get; set; }

    /// <summary>Who waits for an answer of its process, by the number of the question. Told null when there will be none.</summary>
    public SortedDictionary<long, Action<VmReport.Answer?>> Waiting { get; } = [];

    /// <summary>Operators have asked it for something, and have no answer yet.</summary>
    public int VerbsUnderWay { get; set; }

    /// <summary>How it ended; null while it exists.</summary>
    public ReplicaEnd? End { get; set; }

    /// <summary>How it leaves, once its node stops in order.</summary>
    public Departure? Departure { get; set; }

    /// <summary>It is being switched off with its node, as its only replica.</summary>
    public bool SwitchedOff { get; set; }

    /// <summary>How it stood when its process last said so; null once it has ended, or before it began.</summary>
    public ReplicaView? View
    {
        get => End is null ? view : null;
        set => view = value;
    }
}
