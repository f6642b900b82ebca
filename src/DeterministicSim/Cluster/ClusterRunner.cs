using System.Collections.Immutable;
using System.Globalization;
using FtAkka.DeterministicSim.Protocol;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>
/// Runs a scenario on the whole system: real nodes, replicas, machines and device actors, on simulated hosts, network, storage, arbiter and clocks.
/// </summary>
public sealed class ClusterRunner : IScenarioRunner
{
    /// <summary>Events before a violation that a report has even if no time line was asked for.</summary>
    private const int EventsBeforeViolation = 300;

    private static readonly TimeSpan SettlesIn = TimeSpan.FromMilliseconds(1500);

    /// <inheritdoc/>
    public SimulationReport Run(Scenario scenario, ulong seed, RunOptions options)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        ArgumentNullException.ThrowIfNull(options);
        SimulationReport report = RunOnce(scenario, seed, options);
        if (report.Violation is null || options.KeepTimeline)
        {
            return report;
        }
        // The same again, this time with a time line: it costs more than everything else, and most runs do not need it.
        SimulationReport again = RunOnce(scenario, seed, options with { KeepTimeline = true, Recording = null });
        return report with { Timeline = [.. again.Timeline.Where(one => Tells(one, report.Violation)).TakeLast(EventsBeforeViolation)] };
    }

    /// <summary>When nothing goes on, hundreds of questions of a client that has no answer, or of a guest that runs alone, say nothing.</summary>
    private static bool Tells(TimelineEvent one, Violation violation) =>
        violation.Invariant != Invariant.Liveness || one.Kind is not (TimelineKind.Outside or TimelineKind.Message);

    private static SimulationReport RunOnce(Scenario scenario, ulong seed, RunOptions options)
    {
        ImmutableArray<Fault> plan = options.Plan ?? FaultPlanner.Plan(scenario, seed);
        ClusterWorld? world = null;
        try
        {
            SimulationResult result = Simulation.Run(seed, simulation =>
            {
                world = new ClusterWorld(simulation, scenario, plan, options);
                Play(world, options.Duration ?? scenario.Duration);
            });
            if (options.Recording is { } folder)
            {
                world!.Recording!.Write(folder);
            }
            return Report(world!, plan, result.TraceHash);
        }
        finally
        {
            world?.Dispose();
        }
    }

    private static void Play(ClusterWorld world, TimeSpan duration)
    {
        foreach (SimulatedHost host in world.Hosts)
        {
            world.Start(host);
        }
        world.Faults.Begin();
        world.Operator.Begin();
        if (world.Profile.Nics.Length > 0)
        {
            world.Lan.Start();
        }
        bool IsOver() => world.Violation is not null || world.Operator.IsLost || (world.Checks.EndedFor > SettlesIn && !world.Operator.GoesOn);
        world.Simulation.RunUntil(IsOver, duration);
        if (!IsOver())
        {
            world.Tell("", TimelineKind.Operator, "faults stop");
            world.Faults.StopAll();
            BecomesWell(world, IsOver);
        }
        if (world.Violation is null && Expectations.FirstUnmet(world.Scenario, OutcomeOf(world)) is { } unmet)
        {
            world.Fail("expectation", unmet);
        }
    }

    /// <summary>The VM must be live and protected again, and its guest must get on, within the scenario's bound.</summary>
    private static void BecomesWell(ClusterWorld world, Func<bool> isOver)
    {
        ulong console = world.Outside.BytesRead;
        ulong answered = world.Lan.Answered;
        // Asked at every step: what costs least is asked first.
        bool IsWell() => (world.Outside.BytesRead > console || world.Outside.IsComplete)
            && (world.Profile.Nics.Length == 0 || world.Lan.Answered > answered)
            && world.Primary is { } primary && (!world.Scenario.AutoProtect || primary.Status.Protected);
        bool well = world.Simulation.RunUntil(() => isOver() || IsWell(), world.Scenario.LivenessBound);
        if (well && !isOver())
        {
            // Stale replicas get the time to do what harm they can.
            world.Simulation.RunUntil(isOver, SettlesIn);
        }
        else if (!isOver())
        {
            world.Fail("liveness", string.Create(CultureInfo.InvariantCulture,
                $"{world.Scenario.LivenessBound.TotalSeconds} s after the last fault the VM is not well: {WaitReport.Of(world)}"));
        }
    }

    private static Outcome OutcomeOf(ClusterWorld world)
    {
        TrackedReplica? live = world.Checks.Ended ? null : world.Primary;
        return new Outcome
        {
            Live = live?.Host.Name,
            Generation = world.Records.Newest?.Generation ?? 0,
            Protected = live?.Status.Protected ?? false,
            Ended = world.Checks.Ended,
            Lost = world.Operator.IsLost,
            Halted = [.. world.Checks.Halted],
            Effects = world.Effects.ToImmutableSortedDictionary(),
            Moments = world.Moments.Reached.ToImmutableSortedDictionary(),
        };
    }

    private static SimulationReport Report(ClusterWorld world, ImmutableArray<Fault> plan, string hash) => new()
    {
        Scenario = world.Scenario.Name,
        Seed = world.Simulation.Seed,
        TraceHash = hash,
        VirtualTime = world.Now,
        Violation = world.Violation,
        Plan = plan,
        Effects = world.Effects.ToImmutableSortedDictionary(),
        MomentsReached = world.Moments.Reached.ToImmutableSortedDictionary(),
        StatesReached = world.States.Reached.ToImmutableSortedDictionary(),
        CrashedAt = world.Moments.Crashes.ToImmutableSortedDictionary(),
        Connections = world.Connections.ToImmutableSortedDictionary(),
        Generations = world.Records.Newest?.Generation ?? 0,
        Acts = world.Operator.Acts,
        VerbsDone = world.Operator.Verbs.Done.ToImmutableSortedDictionary(),
        VerbsRefused = world.Operator.Verbs.Refused.ToImmutableSortedDictionary(),
        GenerationsBy = world.Calm.Generations.ToImmutableSortedDictionary(),
        Instructions = world.Instructions,
        Timeline = world.Timeline,
    };
}
