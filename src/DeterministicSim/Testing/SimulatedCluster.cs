using System.Globalization;
using Akka.Actor;
using FtAkka.DeterministicSim.Cluster;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Testing;

/// <summary>
/// A whole simulated cluster for tests of one's own: real nodes and a real guest under virtual time, into which a test injects faults, in which it starts
/// actors of its own, and which it lets run until something is so. All invariants of the simulator are checked meanwhile; the first that does not hold
/// ends the test. docs/simulation.md has two complete examples.
/// </summary>
/// <remarks>
/// Time stands still while the test's code runs. A probe of Akka.TestKit belongs to the test's own actor system, which lives in real time: let virtual
/// time pass first (<see cref="RunFor"/>, <see cref="RunUntil"/>), then expect. Tests with a simulated cluster run one at a time in a process.
/// </remarks>
public sealed class SimulatedCluster
{
    private static readonly TimeSpan ProtectionPatience = TimeSpan.FromSeconds(20);

    private readonly ClusterWorld _world;

    private SimulatedCluster(ClusterWorld world) => _world = world;

    /// <summary>The simulation: time, the seed, and a generator for the test's own choices.</summary>
    public Simulation Simulation => _world.Simulation;

    /// <summary>Virtual time since the beginning.</summary>
    public TimeSpan Now => _world.Now;

    /// <summary>The host on which the VM is live and may act; null while there is none.</summary>
    public string? Primary => _world.Primary?.Host.Name;

    /// <summary>The host that is, or is about to be, the backup; null while there is none.</summary>
    public string? Backup => _world.Backup?.Host.Name;

    /// <summary>The backup could take over now.</summary>
    public bool IsProtected => _world.Primary?.Status.Protected ?? false;

    /// <summary>The VM's generation by the arbiter's records; 0 before it was started.</summary>
    public ulong Generation => _world.Records.Newest?.Generation ?? 0;

    /// <summary>Bytes of the guest's console that its reader has, each of them once.</summary>
    public ulong ConsoleBytes => _world.Outside.BytesRead;

    /// <summary>Everything that has happened, in order.</summary>
    public IReadOnlyList<TimelineEvent> Timeline => _world.Timeline;

    /// <summary>Starts a cluster, runs a test on it from one seed, and waits for its end.</summary>
    /// <param name="scenario">Hosts, guest, settings, and faults if there are some; its expectations are the test's business.</param>
    /// <param name="seed">Decides everything left to chance: a failing test says it, and is repeated by it.</param>
    /// <param name="test">The test, run on the simulation's own thread.</param>
    /// <exception cref="SimulatedTestException">The test or an invariant failed; the message has seed and virtual time, the inner exception the failure.</exception>
    /// <exception cref="ScenarioException">The scenario is not a valid one.</exception>
    public static void Run(Scenario scenario, ulong seed, Action<SimulatedCluster> test)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        ArgumentNullException.ThrowIfNull(test);
        var plan = FaultPlanner.Plan(scenario, seed);
        ClusterWorld? world = null;
        try
        {
            Simulation.Run(seed, simulation =>
            {
                world = new ClusterWorld(simulation, scenario, plan, new RunOptions { KeepTimeline = true });
                var cluster = new SimulatedCluster(world);
                cluster.Begin();
                test(cluster);
                cluster.CheckInvariants();
            });
        }
        // Whatever an assertion throws: it is told with the seed that repeats it.
        catch (Exception failure) when (failure is not ScenarioException)
        {
            throw new SimulatedTestException(string.Create(
                CultureInfo.InvariantCulture, $"seed {seed} of {scenario.Name}, at {world?.Now.TotalSeconds ?? 0:F4} s of virtual time: {failure.Message}"), failure);
        }
        finally
        {
            world?.Dispose();
        }
    }

    /// <summary>The actor system of a host's process, for actors of the test's own; null while the host is down. A crash takes them with it.</summary>
    public ActorSystem? SystemOf(string host) => _world.Host(host).System;

    /// <summary>The node's actor on a host, which answers <see cref="Nodes.NodeProtocol"/>; nobody while the host is down.</summary>
    public IActorRef NodeOf(string host) => _world.Host(host) is { System: not null, Node: { } node } ? node : ActorRefs.Nobody;

    /// <summary>How the replica on a host stands; null where there is none.</summary>
    public ReplicaStatus? StatusOf(string host) => _world.Host(host).Replica?.Status;

    /// <summary>How often a kind of fault has taken effect.</summary>
    public long EffectsOf(FaultKind kind) => _world.Effects.GetValueOrDefault(kind);

    /// <summary>Lets virtual time pass.</summary>
    /// <exception cref="SimulatedTestException">An invariant did not hold.</exception>
    public void RunFor(TimeSpan time)
    {
        _world.Simulation.RunUntil(() => _world.Violation is not null, time);
        CheckInvariants();
    }

    /// <summary>Lets virtual time pass until a condition holds.</summary>
    /// <returns>False if it did not within the limit.</returns>
    /// <exception cref="SimulatedTestException">An invariant did not hold.</exception>
    public bool RunUntil(Func<bool> condition, TimeSpan limit)
    {
        ArgumentNullException.ThrowIfNull(condition);
        _world.Simulation.RunUntil(() => _world.Violation is not null || condition(), limit);
        CheckInvariants();
        return condition();
    }

    /// <summary>Lets virtual time pass until the VM is live and protected.</summary>
    /// <exception cref="SimulatedTestException">It was not within 20 s, or an invariant did not hold.</exception>
    public void RunUntilProtected()
    {
        if (!RunUntil(() => IsProtected, ProtectionPatience))
        {
            throw new SimulatedTestException($"the VM is not protected after {ProtectionPatience.TotalSeconds} s: primary {Primary ?? "none"}, backup {Backup ?? "none"}");
        }
    }

    /// <summary>A fault begins now; its own time does not count. Kinds, targets and magnitudes are those of scenario files.</summary>
    /// <exception cref="ScenarioException">There is no such host, or the fault lacks something.</exception>
    public void Inject(Fault fault)
    {
        ArgumentNullException.ThrowIfNull(fault);
        if (FaultCatalog.Problem(fault, _world.Scenario.Hosts) is { } wrong)
        {
            throw new ScenarioException($"fault {ScenarioNames.Of(fault.Kind)}: {wrong}");
        }
        _world.Faults.Begin(fault with { At = Now });
    }

    /// <summary>A host loses its power, for a time or, without one, for good.</summary>
    public void Crash(string host, TimeSpan startsAgainAfter = default) => Inject(new Fault(FaultKind.HostCrash, default, host, Duration: startsAgainAfter));

    /// <summary>Throws if an invariant did not hold.</summary>
    /// <exception cref="SimulatedTestException">Says which.</exception>
    public void CheckInvariants()
    {
        if (_world.Violation is { } violation)
        {
            throw new SimulatedTestException($"{violation.Invariant}: {violation.Detail}");
        }
    }

    private void Begin()
    {
        foreach (SimulatedHost host in _world.Hosts)
        {
            _world.Start(host);
        }
        _world.Faults.Begin();
        _world.Operator.Begin();
        if (_world.Profile.Nics.Length > 0)
        {
            _world.Lan.Start();
        }
    }
}
