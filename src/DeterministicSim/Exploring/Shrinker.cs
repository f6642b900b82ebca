using System.Collections.Immutable;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Exploring;

/// <summary>What is left of a failing run.</summary>
/// <param name="Scenario">The scenario, without chance: run with the same seed it fails alike.</param>
/// <param name="Report">Its run.</param>
/// <param name="FaultsBefore">Faults of the run that was shrunk.</param>
/// <param name="Runs">Runs that it took.</param>
public sealed record ShrinkResult(Scenario Scenario, SimulationReport Report, int FaultsBefore, int Runs);

/// <summary>
/// Finds the fewest faults and the shortest time that still violate the same invariant: delta debugging over the run's faults, then over what
/// operators do, then shorter durations. The seed stays, since it decides everything else.
/// </summary>
public sealed class Shrinker(IScenarioRunner runner, RunOptions options, Action<string>? progress = null)
{
    private static readonly TimeSpan DurationStep = TimeSpan.FromMilliseconds(100);
    private const int HalvingsMost = 8;

    private int _runs;
    private string _invariant = "";
    private ulong _seed;
    private SimulationReport? _best;

    /// <summary>Shrinks a failing seed.</summary>
    /// <exception cref="ScenarioException">The seed does not fail.</exception>
    public ShrinkResult Shrink(Scenario scenario, ulong seed)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        _seed = seed;
        TimeSpan duration = options.Duration ?? scenario.Duration;
        ImmutableArray<Fault> plan = Within(duration, options.Plan ?? FaultPlanner.Plan(scenario, seed));
        ImmutableArray<ScriptedAction> actions = [.. OperatorPlanner.Plan(scenario, seed).Where(action => action.At <= duration)];
        Scenario current = scenario with { Duration = duration, Rates = [], Faults = plan, OperatorRates = [], Actions = actions };
        _best = Run(current);
        if (_best.Violation is not { } violation)
        {
            throw new ScenarioException($"seed {seed} of {scenario.Name} does not fail: there is nothing to shrink");
        }
        _invariant = violation.Invariant;
        if (_invariant != "expectation")
        {
            current = current with { Expect = [] };
        }
        current = FewestFaults(current);
        current = FewestActions(current);
        current = Shortest(current);
        current = ShortestFaults(current);
        current = current with
        {
            Name = NameOf(scenario.Name, seed),
            Description = $"Seed {seed} of {scenario.Name}, shrunk: violates {_invariant}.",
        };
        return new ShrinkResult(current, _best with { Scenario = current.Name }, plan.Length, _runs);
    }

    /// <summary>A shorter run's faults: those that strike in it, and those that hold from the beginning whenever they are due.</summary>
    private static ImmutableArray<Fault> Within(TimeSpan duration, ImmutableArray<Fault> plan) =>
    [
        .. plan.Where(fault => fault.At <= duration || fault.Kind is FaultKind.ClockSkew or FaultKind.LogBufferFull or FaultKind.SmallLimits)
            .Select(fault => fault.At <= duration ? fault : fault with { At = TimeSpan.Zero }),
    ];

    private static string NameOf(string name, ulong seed)
    {
        string shrunk = $"{name}-seed-{seed}";
        return shrunk.Length <= 80 ? shrunk : shrunk[^80..].TrimStart('-');
    }

    /// <summary>Zeller's ddmin: tries ever smaller pieces, and everything but a piece.</summary>
    private Scenario FewestFaults(Scenario scenario)
    {
        int pieces = 2;
        while (scenario.Faults.Length >= 1)
        {
            Scenario? smaller = TryPieces(scenario, Math.Min(pieces, scenario.Faults.Length));
            if (smaller is not null)
            {
                scenario = smaller;
                pieces = Math.Max(2, pieces - 1);
                progress?.Invoke($"{scenario.Faults.Length} faults still fail");
            }
            else if (pieces >= scenario.Faults.Length)
            {
                break;
            }
            else
            {
                pieces *= 2;
            }
        }
        return scenario;
    }

    private Scenario? TryPieces(Scenario scenario, int pieces)
    {
        int length = scenario.Faults.Length;
        for (int number = 0; number < pieces; number++)
        {
            int from = length * number / pieces, to = length * (number + 1) / pieces;
            Scenario rest = scenario with { Faults = [.. scenario.Faults[..from], .. scenario.Faults[to..]] };
            if (Fails(rest))
            {
                return rest;
            }
        }
        return null;
    }

    private Scenario FewestActions(Scenario scenario)
    {
        for (int i = scenario.Actions.Length - 1; i >= 0; i--)
        {
            Scenario without = scenario with { Actions = scenario.Actions.RemoveAt(i) };
            scenario = Fails(without) ? without : scenario;
        }
        return scenario;
    }

    /// <summary>The shortest time for faults, found by bisection between the last fault and what is known to fail.</summary>
    private Scenario Shortest(Scenario scenario)
    {
        TimeSpan least = scenario.Faults.IsEmpty ? DurationStep : scenario.Faults.Max(fault => fault.At) + DurationStep;
        TimeSpan most = scenario.Duration;
        for (int i = 0; i < HalvingsMost && most - least > DurationStep; i++)
        {
            TimeSpan middle = least + ((most - least) / 2);
            middle = new TimeSpan(middle.Ticks / DurationStep.Ticks * DurationStep.Ticks);
            Scenario shorter = scenario with { Duration = middle };
            if (middle > TimeSpan.Zero && Fails(shorter))
            {
                (scenario, most) = (shorter, middle);
            }
            else
            {
                least = middle + DurationStep;
            }
        }
        return scenario;
    }

    private Scenario ShortestFaults(Scenario scenario)
    {
        for (int i = 0; i < scenario.Faults.Length; i++)
        {
            for (int halvings = 0; halvings < HalvingsMost && scenario.Faults[i].Duration > TimeSpan.FromMilliseconds(20); halvings++)
            {
                Fault fault = scenario.Faults[i];
                TimeSpan half = new(fault.Duration.Ticks / 2 / TimeSpan.TicksPerMillisecond * TimeSpan.TicksPerMillisecond);
                Scenario shorter = scenario with { Faults = scenario.Faults.SetItem(i, fault with { Duration = half }) };
                if (!Fails(shorter))
                {
                    break;
                }
                scenario = shorter;
            }
        }
        return scenario;
    }

    private bool Fails(Scenario scenario)
    {
        SimulationReport report = Run(scenario);
        if (report.Violation?.Invariant != _invariant)
        {
            return false;
        }
        _best = report;
        return true;
    }

    private SimulationReport Run(Scenario scenario)
    {
        _runs++;
        return runner.Run(scenario, _seed, options with { Plan = null, Duration = null, KeepTimeline = false });
    }
}
