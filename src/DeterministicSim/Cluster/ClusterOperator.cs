using Akka.Actor;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Machine.Events;
using FtAkka.Nodes;
using FtAkka.Replication.Protection;
using FtAkka.TinyGuests;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>What a person, or a script, does to the cluster: starts the VM, protects it again, and starts it anew when it is lost.</summary>
internal sealed class ClusterOperator(ClusterWorld world)
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan OperatesEvery = TimeSpan.FromMilliseconds(50);

    /// <summary>No replica that could go live for so long: the VM is lost.</summary>
    private static readonly TimeSpan LostAfter = TimeSpan.FromSeconds(3);

    /// <summary>How long an operator repeats what the cluster is not ready for.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>A node finds a new backup by itself; where it does not, a person helps.</summary>
    private static readonly TimeSpan HelpsAfter = TimeSpan.FromSeconds(3);

    private TimeSpan _presentAt;
    private TimeSpan _unprotectedSince;
    private bool _begun;

    /// <summary>The VM was lost to two failures, and the scenario wants to see that it stays lost.</summary>
    public bool IsLost { get; private set; }

    /// <summary>How often the VM was lost and started anew.</summary>
    public int Restarts { get; private set; }

    public void Begin()
    {
        SimulatedHost first = world.Hosts[0];
        string? backup = world.Hosts.Length > 1 ? world.Hosts[1].Name : null;
        first.Node!.Tell(new NodeProtocol.Start(world.Profile, ClusterWorld.KernelImage, default, backup, TakeOver: false), ActorRefs.NoSender);
        _begun = true;
        foreach (ScriptedAction action in world.Scenario.Actions)
        {
            world.Simulation.Schedule(action.At, () => Operate(action, action.At + Patience));
        }
        world.Simulation.Schedule(LookEvery, Look);
    }

    private void Look()
    {
        world.Checks.Sample();
        if (world.Checks.Ended)
        {
            return;
        }
        TrackedReplica? primary = world.Primary;
        if (primary is null || !world.Scenario.AutoProtect || primary.Status.Role != ReplicaRole.Solo)
        {
            _unprotectedSince = world.Now;
        }
        else if (primary.Host.IsRunning && world.Now - _unprotectedSince > HelpsAfter)
        {
            Protect(primary);
        }
        if (world.Hosts.Any(MayGoLive))
        {
            _presentAt = world.Now;
        }
        else if (_begun && world.Now - _presentAt > LostAfter)
        {
            StartAnew();
        }
        world.Simulation.Schedule(LookEvery, Look);
    }

    /// <summary>A host has, or is about to have, a replica that is live or can become so.</summary>
    private static bool MayGoLive(SimulatedHost host) => host.Replica is { } replica
        && (ReplicaRoles.IsLive(replica.Status.Role) || replica.Status.Role is ReplicaRole.Backup or ReplicaRole.GoingLive);

    private void Protect(TrackedReplica primary)
    {
        SimulatedHost[] free = [.. world.Hosts.Where(host => host != primary.Host && host.IsRunning && host.Replica is null)];
        if (free.Length > 0)
        {
            SimulatedHost chosen = free[world.Random.Below(free.Length)];
            world.Tell(primary.Host.Name, TimelineKind.Operator, $"protect onto {chosen.Name}");
            primary.Host.Node!.Tell(new NodeProtocol.Protect(ClusterWorld.Vm, chosen.Name), ActorRefs.NoSender);
        }
    }

    private void StartAnew()
    {
        SimulatedHost[] up = [.. world.Hosts.Where(host => host.IsRunning)];
        if (up.Length == 0)
        {
            return;
        }
        CheckLoss();
        if (world.Scenario.Expect.Length > 0)
        {
            IsLost = true;
            return;
        }
        SimulatedHost chosen = up[world.Random.Below(up.Length)];
        world.Tell(chosen.Name, TimelineKind.Operator, "starts the lost VM anew");
        Restarts++;
        _presentAt = world.Now;
        if (world.Profile.Disks.Length > 0)
        {
            world.Outside.Restart(JournalRecord.CountGood(world.DiskOf(chosen).Content, world.Outside.JournalSeed));
        }
        else
        {
            world.Outside.Restart(0);
        }
        if (world.Profile.Nics.Length > 0)
        {
            world.Lan.Reset();
        }
        world.Checks.Restart();
        chosen.Node!.Tell(new NodeProtocol.Start(world.Profile, ClusterWorld.KernelImage, default, Backup: null, TakeOver: true, AcceptOldDisk: true), ActorRefs.NoSender);
    }

    /// <summary>A VM may be lost only with the process that owned it.</summary>
    private void CheckLoss()
    {
        if (world.Records.Newest is { } owner && ClusterWorld.IsAlive(world.Host(owner.Node), owner.Incarnation)
            && world.Host(owner.Node).Replicas.FindLast(replica => replica.Incarnation == owner.Incarnation) is { End: { } end })
        {
            world.Fail("vm-lost", $"{owner.Node} owns the VM, runs, and has given it up: {end.Reason}: {end.What}");
        }
    }

    private void Operate(ScriptedAction action, TimeSpan until)
    {
        if (world.Checks.Ended || world.Now > until)
        {
            return;
        }
        if (world.Primary is not { } primary || !primary.Host.IsRunning || !IsReadyFor(action, primary.Status))
        {
            world.Simulation.Schedule(OperatesEvery, () => Operate(action, until));
            return;
        }
        world.Tell(primary.Host.Name, TimelineKind.Operator, $"{ScenarioNames.Of(action.Action)} {action.Host}".TrimEnd());
        primary.Host.Node!.Tell(action.Action switch
        {
            OperatorAction.Protect => new NodeProtocol.Protect(ClusterWorld.Vm, action.Host),
            OperatorAction.Unprotect => new NodeProtocol.Unprotect(ClusterWorld.Vm),
            OperatorAction.Failover => new NodeProtocol.Failover(ClusterWorld.Vm),
            OperatorAction.Reset => new NodeProtocol.Operate(ClusterWorld.Vm, ControlOperation.Reset),
            OperatorAction.PowerOff => (object)new NodeProtocol.Operate(ClusterWorld.Vm, ControlOperation.PowerOff),
            _ => throw new ArgumentOutOfRangeException(nameof(action)),
        }, ActorRefs.NoSender);
    }

    private bool IsReadyFor(ScriptedAction action, ReplicaStatus status) => action.Action switch
    {
        OperatorAction.Protect => status.Role == ReplicaRole.Solo && world.Host(action.Host) is { IsRunning: true, Replica: null },
        OperatorAction.Unprotect => status.Role != ReplicaRole.Solo,
        OperatorAction.Failover => status.CanTakeOver,
        _ => true,
    };
}
