using System.Collections.Immutable;

namespace FtAkka.DeterministicSim.Scenarios;

/// <summary>One fault: what, to whom, when and for how long.</summary>
/// <param name="Kind">What.</param>
/// <param name="At">Virtual time from the beginning; for a fault at a moment, the time from which the moment counts.</param>
/// <param name="Target">A host's name, or <c>primary</c> or <c>backup</c>: whoever that is then. Empty where the kind has no target.</param>
/// <param name="Other">The other host of a partition; empty otherwise.</param>
/// <param name="Duration">How long, or until a crashed host starts again. Zero: for good.</param>
/// <param name="Magnitude">See <see cref="FaultKind"/>; 0 for the kind's default.</param>
/// <param name="Moment">If given, the fault strikes when this is next reached.</param>
public sealed record Fault(
    FaultKind Kind, TimeSpan At, string Target, string Other = "", TimeSpan Duration = default, long Magnitude = 0, NamedMoment? Moment = null);

/// <summary>Faults by chance: how many of a kind per second of virtual time, and their shape.</summary>
/// <param name="Kind">What.</param>
/// <param name="PerSecond">Mean rate.</param>
/// <param name="DurationLeast">Shortest.</param>
/// <param name="DurationMost">Longest.</param>
/// <param name="MagnitudeLeast">Smallest.</param>
/// <param name="MagnitudeMost">Greatest.</param>
/// <param name="Moment">If given, at this moment after a time by chance.</param>
public sealed record FaultRate(
    FaultKind Kind, double PerSecond, TimeSpan DurationLeast, TimeSpan DurationMost, long MagnitudeLeast = 0, long MagnitudeMost = 0, NamedMoment? Moment = null);

/// <summary>What an operator does in a scenario.</summary>
public enum OperatorAction
{
    /// <summary>Make a backup on <see cref="ScriptedAction.Host"/>.</summary>
    Protect,

    /// <summary>Go on without backup.</summary>
    Unprotect,

    /// <summary>Let the backup take over.</summary>
    Failover,

    /// <summary>Press reset.</summary>
    Reset,

    /// <summary>Switch off.</summary>
    PowerOff,

    /// <summary>Start the VM on <see cref="ScriptedAction.On"/>, with a backup on <see cref="ScriptedAction.Host"/> if there is one.</summary>
    Start,

    /// <summary>Stop the node of <see cref="ScriptedAction.On"/> in order; it starts again a while later.</summary>
    NodeStop,
}

/// <summary>Something an operator does at a time.</summary>
/// <param name="At">When.</param>
/// <param name="Action">What.</param>
/// <param name="Host">The host of a new backup; empty where there is none.</param>
/// <param name="On">Whose node is asked: a host's name, or <c>primary</c> or <c>backup</c>: whoever that is then. Empty for the primary's.</param>
/// <param name="TakeOver">Start although the arbiter knows an owner that did not end in order.</param>
/// <param name="Once">Ask at this time and never again, whether or not the cluster is ready for it.</param>
public sealed record ScriptedAction(TimeSpan At, OperatorAction Action, string Host = "", string On = "", bool TakeOver = false, bool Once = false);

/// <summary>Operator's acts by chance: how many of a kind per second of virtual time. Where and how is left to chance as well.</summary>
/// <param name="Action">What.</param>
/// <param name="PerSecond">Mean rate.</param>
public sealed record OperatorRate(OperatorAction Action, double PerSecond);

/// <summary>The guest of a scenario: one of the tiny guest's workloads (src/TinyGuests).</summary>
/// <param name="CommandLine">Such as <c>workload=all records=200</c>.</param>
/// <param name="MemoryBytes">RAM.</param>
/// <param name="Disk">It has a disk.</param>
/// <param name="Nic">It has a network card, at which a client sends numbered requests.</param>
/// <param name="OwnDisk">Each host has its own copy of the disk.</param>
/// <param name="BackupReads">The backup reads from it what the primary reads.</param>
public sealed record GuestSpec(string CommandLine, ulong MemoryBytes, bool Disk, bool Nic, bool OwnDisk = false, bool BackupReads = false);

/// <summary>What must be so at the end, besides the checkers that always run.</summary>
/// <param name="What">One of the names in docs/simulation.md, such as <c>live</c>, <c>generation</c>, <c>protected</c>, <c>halted</c>.</param>
/// <param name="Value">Its value.</param>
public sealed record Expectation(string What, string Value);

/// <summary>A scenario: who is there, what happens, and what must come of it. Everything left to chance comes from the seed.</summary>
public sealed record Scenario
{
    /// <summary>Name, as its file.</summary>
    public required string Name { get; init; }

    /// <summary>What it tells.</summary>
    public string Description { get; init; } = "";

    /// <summary>Hosts; the VM starts on the first and is protected onto the second.</summary>
    public ImmutableArray<string> Hosts { get; init; } = ["A", "B", "C"];

    /// <summary>The guest.</summary>
    public required GuestSpec Guest { get; init; }

    /// <summary>Virtual time in which faults may strike.</summary>
    public TimeSpan Duration { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Virtual time after the last fault within which the VM must be live and protected.</summary>
    public TimeSpan LivenessBound { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Scripted faults.</summary>
    public ImmutableArray<Fault> Faults { get; init; } = [];

    /// <summary>Faults by chance.</summary>
    public ImmutableArray<FaultRate> Rates { get; init; } = [];

    /// <summary>What operators do.</summary>
    public ImmutableArray<ScriptedAction> Actions { get; init; } = [];

    /// <summary>What operators do by chance.</summary>
    public ImmutableArray<OperatorRate> OperatorRates { get; init; } = [];

    /// <summary>The harness protects a survivor again by itself, as an operator would.</summary>
    public bool AutoProtect { get; init; } = true;

    /// <summary>Settings of the nodes under <c>ftakka.ft</c>, by key, such as <c>failure-timeout</c>.</summary>
    public ImmutableSortedDictionary<string, string> Settings { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>What must be so at the end.</summary>
    public ImmutableArray<Expectation> Expect { get; init; } = [];
}
