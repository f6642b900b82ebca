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

    /// <summary>No replica that could go live for so long: the VM is lost.</summary>
    private static readonly TimeSpan LostAfter = TimeSpan.FromSeconds(3);

    private TimeSpan _presentAt;
    private bool _begun;

    /// <summary>How often the VM was lost and started anew.</summary>
    public int Restarts { get; private set; }

    public void Begin()
    {
        SimulatedHost first = world.Hosts[0];
        string? backup = world.Scenario.AutoProtect && world.Hosts.Length > 1 ? world.Hosts[1].Name : null;
        first.Node!.Tell(new NodeProtocol.Start(world.Profile, ClusterWorld.KernelImage, default, backup, TakeOver: false), ActorRefs.NoSender);
        _begun = true;
        foreach (ScriptedAction action in world.Scenario.Actions)
        {
            world.Simulation.Schedule(action.At, () => Perform(action));
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
        if (primary is not null && world.Scenario.AutoProtect && primary.Host.IsRunning && primary.Status.Role == ReplicaRole.Solo)
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
        SimulatedHost chosen = up[world.Random.Below(up.Length)];
        world.Tell(chosen.Name, TimelineKind.Operator, "starts the lost VM anew");
        Restarts++;
        _presentAt = world.Now;
        if (world.Profile.Disks.Length > 0)
        {
            world.Outside.Restart(JournalRecord.CountGood(world.Disk.Content, world.Outside.JournalSeed));
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
        chosen.Node!.Tell(new NodeProtocol.Start(world.Profile, ClusterWorld.KernelImage, default, Backup: null, TakeOver: true), ActorRefs.NoSender);
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

    private void Perform(ScriptedAction action)
    {
        if (world.Primary is not { Host.Node: { } node } primary)
        {
            return;
        }
        world.Tell(primary.Host.Name, TimelineKind.Operator, $"{action.Action} {action.Host}");
        node.Tell(action.Action switch
        {
            OperatorAction.Protect => new NodeProtocol.Protect(ClusterWorld.Vm, action.Host),
            OperatorAction.Unprotect => new NodeProtocol.Unprotect(ClusterWorld.Vm),
            OperatorAction.Failover => new NodeProtocol.Failover(ClusterWorld.Vm),
            OperatorAction.Reset => new NodeProtocol.Operate(ClusterWorld.Vm, ControlOperation.Reset),
            OperatorAction.PowerOff => (object)new NodeProtocol.Operate(ClusterWorld.Vm, ControlOperation.PowerOff),
            _ => throw new ArgumentOutOfRangeException(nameof(action)),
        }, ActorRefs.NoSender);
    }
}
