using Akka.Actor;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.DeterministicSim.Contract;
using FtAkka.DeterministicSim.Loop;
using FtAkka.Machine;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>A replica that a host has, or had.</summary>
internal sealed class TrackedReplica(SimulatedHost host, long incarnation, ReplicaHandle handle, OutputMarks outputs, StepChecks steps)
{
    public SimulatedHost Host { get; } = host;

    /// <summary>The process it lives in.</summary>
    public long Incarnation { get; } = incarnation;

    /// <summary>What its host's other threads have of it.</summary>
    public ReplicaHandle Handle { get; } = handle;

    /// <summary>What its machine has put out.</summary>
    public OutputMarks Outputs { get; } = outputs;

    /// <summary>What its core has done.</summary>
    public StepChecks Steps { get; } = steps;

    /// <summary>Its machine.</summary>
    public GuestMachine? Machine { get; set; }

    public ReplicaEnd? End { get; set; }

    /// <summary>The actor that replays, once there is one.</summary>
    public IActorRef? Replay { get; set; }

    /// <summary>Its replay was told to stand.</summary>
    public bool IsHeld { get; set; }

    /// <summary>Its limit in instructions per millisecond, where one was set from outside.</summary>
    public ulong? Pace { get; set; }

    /// <summary>Whether it exists: its process runs or is paused, and it has not ended.</summary>
    public bool Exists => End is null && Host.System is not null && Host.Incarnation == Incarnation;

    public ReplicaStatus Status => Handle.View.Status;
}

/// <summary>One host: a process that may run, stand still or be gone, and a clock that outlives it.</summary>
internal sealed class SimulatedHost(string name)
{
    public string Name { get; } = name;

    public HostClock Clock { get; } = new();

    /// <summary>Its process; null while the host is down.</summary>
    public ActorSystem? System { get; set; }

    /// <summary>The node's actor in that process.</summary>
    public IActorRef? Node { get; set; }

    /// <summary>Number of the process, from 1 on.</summary>
    public long Incarnation { get; set; }

    public bool IsPaused { get; set; }

    /// <summary>Runs, and is not paused.</summary>
    public bool IsRunning => System is not null && !IsPaused;

    /// <summary>All replicas of all processes, oldest first.</summary>
    public List<TrackedReplica> Replicas { get; } = [];

    /// <summary>The replica that exists now.</summary>
    public TrackedReplica? Replica => Replicas.Count > 0 && Replicas[^1].Exists ? Replicas[^1] : null;

    /// <summary>Its copy of a disk that is not shared; outlives the process.</summary>
    public StoredDisk? OwnDisk { get; set; }

    /// <summary>Wall clock jumps that nobody has looked at yet.</summary>
    public int UnseenJumps { get; set; }
}
