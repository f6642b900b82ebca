using System.Collections.Immutable;
using FtAkka.DeterministicSim.Network;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Reports;

/// <summary>What a line of a time line is about.</summary>
public enum TimelineKind
{
    /// <summary>A replica's role, generation or end.</summary>
    Role,

    /// <summary>A message between hosts; <see cref="TimelineEvent.To"/> is the receiver.</summary>
    Message,

    /// <summary>A fault began, ended or took effect.</summary>
    Fault,

    /// <summary>A named moment was reached.</summary>
    Moment,

    /// <summary>Something left for the outside, or came from there.</summary>
    Outside,

    /// <summary>An operator's act.</summary>
    Operator,

    /// <summary>A line of a node's log.</summary>
    Log,

    /// <summary>An invariant was violated.</summary>
    Violation,
}

/// <summary>One event of a run.</summary>
/// <param name="At">Virtual time.</param>
/// <param name="Host">Where; empty for the world outside.</param>
/// <param name="Kind">What it is about.</param>
/// <param name="Text">For people.</param>
/// <param name="To">The other host of a message.</param>
public sealed record TimelineEvent(TimeSpan At, string Host, TimelineKind Kind, string Text, string? To = null);

/// <summary>An invariant that did not hold.</summary>
/// <param name="Invariant">Its name, as in docs/simulation.md.</param>
/// <param name="At">Virtual time.</param>
/// <param name="Detail">What was seen, and what should have been.</param>
public sealed record Violation(string Invariant, TimeSpan At, string Detail);

/// <summary>How one seed of a scenario went.</summary>
public sealed record SimulationReport
{
    /// <summary>The scenario.</summary>
    public required string Scenario { get; init; }

    /// <summary>The seed that repeats it.</summary>
    public required ulong Seed { get; init; }

    /// <summary>Hash of everything observable; equal for equal runs, in any process.</summary>
    public required string TraceHash { get; init; }

    /// <summary>Virtual time that passed.</summary>
    public required TimeSpan VirtualTime { get; init; }

    /// <summary>The first invariant that was violated; null if none was.</summary>
    public Violation? Violation { get; init; }

    /// <summary>The faults of this run, scripted ones and those by chance: given back to the run they repeat it.</summary>
    public required ImmutableArray<Fault> Plan { get; init; }

    /// <summary>What operators did in this run, scripted and by chance.</summary>
    public ImmutableArray<ScriptedAction> Acts { get; init; } = [];

    /// <summary>How often a node did what an operator asked, or began it.</summary>
    public ImmutableSortedDictionary<OperatorAction, long> VerbsDone { get; init; } = ImmutableSortedDictionary<OperatorAction, long>.Empty;

    /// <summary>How often a node refused it.</summary>
    public ImmutableSortedDictionary<OperatorAction, long> VerbsRefused { get; init; } = ImmutableSortedDictionary<OperatorAction, long>.Empty;

    /// <summary>How often each kind of fault took effect: a frame lost, a write torn, a claim unanswered. Not how often it was switched on.</summary>
    public required ImmutableSortedDictionary<FaultKind, long> Effects { get; init; }

    /// <summary>How often each named moment was reached.</summary>
    public required ImmutableSortedDictionary<NamedMoment, long> MomentsReached { get; init; }

    /// <summary>How often each state of replicas was entered; nothing where nobody looks.</summary>
    public ImmutableSortedDictionary<RunState, long> StatesReached { get; init; } = ImmutableSortedDictionary<RunState, long>.Empty;

    /// <summary>How often a host was crashed at each named moment.</summary>
    public required ImmutableSortedDictionary<NamedMoment, long> CrashedAt { get; init; }

    /// <summary>How often each thing happened to connections between hosts; nothing where there are none.</summary>
    public ImmutableSortedDictionary<ConnectionEvent, long> Connections { get; init; } = ImmutableSortedDictionary<ConnectionEvent, long>.Empty;

    /// <summary>Generations of the VM at the end.</summary>
    public ulong Generations { get; init; }

    /// <summary>Why the VM got its generations, and how often; nothing where the runner does not know.</summary>
    public ImmutableSortedDictionary<GenerationCause, long> GenerationsBy { get; init; } = ImmutableSortedDictionary<GenerationCause, long>.Empty;

    /// <summary>Guest instructions executed by live machines.</summary>
    public ulong Instructions { get; init; }

    /// <summary>The time line, where it was kept; the last events before a violation always are.</summary>
    public ImmutableArray<TimelineEvent> Timeline { get; init; } = [];
}

/// <summary>How to run a seed.</summary>
public sealed record RunOptions
{
    /// <summary>Keep the whole time line.</summary>
    public bool KeepTimeline { get; init; }

    /// <summary>Use these faults instead of the scenario's; scripted actions stay.</summary>
    public ImmutableArray<Fault>? Plan { get; init; }

    /// <summary>Instead of the scenario's duration.</summary>
    public TimeSpan? Duration { get; init; }

    /// <summary>A folder that gets the VM's log as an ordinary recording (docs/log-format.md), or null.</summary>
    public string? Recording { get; init; }

    /// <summary>A mistake planted into the system, by name, to test the checkers; null for none.</summary>
    public string? Mutation { get; init; }
}

/// <summary>Runs one seed of a scenario: the whole system, or the protocol alone.</summary>
public interface IScenarioRunner
{
    /// <summary>Runs it to its end or to the first violation.</summary>
    SimulationReport Run(Scenario scenario, ulong seed, RunOptions options);
}
