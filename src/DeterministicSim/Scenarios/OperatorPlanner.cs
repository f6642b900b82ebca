using System.Collections.Immutable;
using FtAkka.DeterministicSim.Network;

namespace FtAkka.DeterministicSim.Scenarios;

/// <summary>Turns a scenario's rates of operator's acts into acts, as <see cref="FaultPlanner"/> does with faults: a pure function of scenario and seed.</summary>
public static class OperatorPlanner
{
    private const int WrongHostPercent = 20;

    /// <summary>The acts of a seed: scripted ones and those by chance, in order of time.</summary>
    public static ImmutableArray<ScriptedAction> Plan(Scenario scenario, ulong seed)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        var actions = new List<ScriptedAction>(scenario.Actions);
        for (int number = 0; number < scenario.OperatorRates.Length; number++)
        {
            OperatorRate rate = scenario.OperatorRates[number];
            SimulatedRandom random = SimulatedRandom.Stream(seed, $"operator {number} {rate.Action}");
            foreach (TimeSpan at in FaultPlanner.Arrivals(rate.PerSecond, scenario.Duration, random))
            {
                actions.Add(Draw(scenario, rate.Action, at, random));
            }
        }
        // Stable: acts of one time keep the order of the file.
        return [.. actions.OrderBy(action => action.At)];
    }

    private static ScriptedAction Draw(Scenario scenario, OperatorAction action, TimeSpan at, SimulatedRandom random)
    {
        string some = Host(scenario, random), other = Host(scenario, random);
        bool isOther = random.Below(100) < WrongHostPercent, isPrimary = random.Below(2) == 0, isFirm = random.Below(2) == 0;
        return action switch
        {
            OperatorAction.Start => new ScriptedAction(at, action, isPrimary && some != other ? other : "", some, TakeOver: isFirm, Once: true),
            OperatorAction.NodeStop => new ScriptedAction(at, action, On: isOther ? some : isPrimary ? FaultCatalog.Primary : FaultCatalog.Backup, Once: true),
            OperatorAction.Protect => new ScriptedAction(at, action, other, isOther ? some : FaultCatalog.Primary, Once: true),
            _ => new ScriptedAction(at, action, On: isOther ? some : FaultCatalog.Primary, Once: true),
        };
    }

    private static string Host(Scenario scenario, SimulatedRandom random) => scenario.Hosts[random.Below(scenario.Hosts.Length)];
}
