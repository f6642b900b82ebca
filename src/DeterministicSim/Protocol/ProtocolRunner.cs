using System.Collections.Immutable;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Protocol;

/// <summary>
/// Runs the decisions of src/Replication alone: replicas, clone, output rule, lease and arbiter, with a tiny machine whose every output depends on every
/// input, without actors, sockets or the CPU. A thousand times faster than real time, and blind for mistakes of the shells.
/// </summary>
public sealed class ProtocolRunner : IScenarioRunner
{
    /// <summary>Names of the mistakes that <see cref="RunOptions.Mutation"/> can plant.</summary>
    public static IReadOnlyList<string> Mutations { get; } =
        [.. Enum.GetValues<ProtocolMutation>().Where(mutation => mutation != ProtocolMutation.None).Select(ScenarioNames.Of)];

    /// <summary>Whether a kind of fault means anything to the protocol alone. Others are passed over.</summary>
    public static bool Knows(FaultKind kind) => ProtocolFaults.Knows(kind);

    /// <inheritdoc/>
    /// <exception cref="ScenarioException">The scenario is not a valid one, or there is no such mutation.</exception>
    public SimulationReport Run(Scenario scenario, ulong seed, RunOptions options)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        ArgumentNullException.ThrowIfNull(options);
        return RunCounted(scenario, seed, options).Report;
    }

    /// <summary>A run, and how often it met each state that no fault or moment names.</summary>
    internal static (SimulationReport Report, SortedDictionary<string, long> Counters) RunCounted(Scenario scenario, ulong seed, RunOptions options)
    {
        ProtocolMutation mutation = MutationOf(options.Mutation);
        ImmutableArray<Fault> plan = options.Plan ?? FaultPlanner.Plan(scenario, seed);
        var journal = new ProtocolJournal(options.KeepTimeline);
        var cluster = new ProtocolCluster(scenario, seed, plan, options.Duration ?? scenario.Duration, mutation, journal);
        Violation? violation = RunGuarded(cluster);
        if (violation is not null)
        {
            cluster.Note("", TimelineKind.Violation, $"{violation.Invariant}: {violation.Detail}");
        }
        var report = new SimulationReport
        {
            Scenario = scenario.Name,
            Seed = seed,
            TraceHash = journal.TraceHash,
            VirtualTime = new TimeSpan(cluster.Time),
            Violation = violation,
            Plan = plan,
            Acts = OperatorPlanner.Plan(scenario, seed),
            Effects = journal.Effects(),
            MomentsReached = journal.Moments(),
            CrashedAt = journal.Crashes(),
            Generations = cluster.World.Newest?.Generation ?? 0,
            Instructions = cluster.Primary?.Machine?.Icount ?? 0,
            Timeline = options.KeepTimeline || violation is not null ? journal.Timeline() : [],
        };
        return (report, journal.Counters);
    }

    private static Violation? RunGuarded(ProtocolCluster cluster)
    {
        try
        {
            cluster.Run();
            return null;
        }
        catch (InvariantException broken)
        {
            return new Violation(broken.Invariant, new TimeSpan(cluster.Time), broken.Message);
        }
        // Whatever the protocol throws is a finding of its own, to be reported with its seed like any other.
        catch (Exception failure) when (failure is InvalidOperationException or ArgumentException or KeyNotFoundException or NullReferenceException
            or IndexOutOfRangeException or OverflowException or InvalidCastException or FormatException)
        {
            // The method, not the file: a report is the same wherever the program was built.
            string where = failure.StackTrace?.Split('\n').FirstOrDefault(line => line.Contains("FtAkka", StringComparison.Ordinal))?.Split(" in ")[0].Trim() ?? "";
            return new Violation(Invariant.NoException, new TimeSpan(cluster.Time), $"{failure.GetType().Name}: {failure.Message} {where}");
        }
    }

    private static ProtocolMutation MutationOf(string? name)
    {
        if (name is null)
        {
            return ProtocolMutation.None;
        }
        return ScenarioNames.TryParse(name, out ProtocolMutation mutation) && mutation != ProtocolMutation.None
            ? mutation
            : throw new ScenarioException($"there is no mutation '{name}' of the protocol: {string.Join(", ", Mutations)}");
    }
}
