using System.Collections.Immutable;
using Akka.Actor;
using FtAkka.DeterministicSim.Network;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Nodes;
using FtAkka.Replication.Protection;

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

    /// <summary>What is asked of nodes, and their answers.</summary>
    public OperatorVerbs Verbs { get; } = new(world);

    /// <summary>What operators do in this run.</summary>
    public ImmutableArray<ScriptedAction> Acts { get; } = OperatorPlanner.Plan(world.Scenario, world.Simulation.Seed);

    /// <summary>A VM that was switched off is started again: the run goes on.</summary>
    public bool GoesOn => world.Scenario.OperatorRates.Length > 0 || world.Scenario.Actions.Any(act => act.Once);

    /// <summary>What is left to chance in operators' acts.</summary>
    public SimulatedRandom Random { get; } = SimulatedRandom.Stream(world.Simulation.Seed, "operator");

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
        foreach (ScriptedAction action in Acts)
        {
            world.Simulation.Schedule(action.At, () =>
            {
                if (action.Once)
                {
                    OperateOnce(action);
                }
                else
                {
                    Operate(action, action.At + Patience);
                }
            });
        }
        world.Simulation.Schedule(LookEvery, Look);
    }

    private void Look()
    {
        world.Checks.Sample();
        if (world.Checks.Ended && !GoesOn)
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
            Verbs.Ask(primary.Host, new ScriptedAction(world.Now, OperatorAction.Protect, chosen.Name, primary.Host.Name, Once: true));
        }
    }

    private void StartAnew()
    {
        SimulatedHost[] up = [.. world.Hosts.Where(host => host.IsRunning)];
        // What was switched off stays off, unless operators do whatever comes to mind.
        bool isOff = !GoesOn && world.Records.Newest is { } last && world.Records.HasEnded(last.Generation);
        if (up.Length == 0 || isOff)
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
        Verbs.Ask(chosen, new ScriptedAction(world.Now, OperatorAction.Start, On: chosen.Name, TakeOver: true, Once: true));
    }

    /// <summary>A VM may be lost only with the process that owned it. One that has ended, or was switched off, is not lost.</summary>
    private void CheckLoss()
    {
        if (world.Records.Newest is { } owner && ClusterWorld.IsAlive(world.Host(owner.Node), owner.Incarnation)
            && world.Host(owner.Node).Replicas.FindLast(replica => replica.Incarnation == owner.Incarnation) is { End: { Reason: not HaltReason.MachineEnded } end, Steps.HasThrown: false } && !world.Records.HasEnded(owner.Generation))
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
        Verbs.Ask(world.Nearest(action.On) ?? primary.Host, action);
    }

    /// <summary>Asks whoever is there, whatever comes of it.</summary>
    private void OperateOnce(ScriptedAction action)
    {
        if (world.Faults.IsOver)
        {
            return;
        }
        if (world.Nearest(action.On) is { System: not null } host)
        {
            Verbs.Ask(host, action);
        }
        else
        {
            world.Tell("", TimelineKind.Operator, $"{ScenarioPrinter.Print(action)}: there is nobody to ask");
        }
    }

    private bool IsReadyFor(ScriptedAction action, ReplicaStatus status) => action.Action switch
    {
        OperatorAction.Protect => status.Role == ReplicaRole.Solo && world.Host(action.Host) is { IsRunning: true, Replica: null },
        OperatorAction.Unprotect => status.Role != ReplicaRole.Solo,
        OperatorAction.Failover => status.CanTakeOver,
        _ => true,
    };
}
