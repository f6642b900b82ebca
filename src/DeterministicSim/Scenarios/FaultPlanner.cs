using System.Collections.Immutable;
using FtAkka.DeterministicSim.Network;

namespace FtAkka.DeterministicSim.Scenarios;

/// <summary>
/// Turns a scenario's rates into faults: a pure function of scenario and seed, the same in every process and on every machine. Arrivals are
/// drawn in slots of ten milliseconds, at most one of a rate in each: a Poisson process without its logarithm, whose last bit is the C
/// library's business. Each rate draws from a generator of its own, so that a rate more in a scenario does not move the others' faults.
/// </summary>
public static class FaultPlanner
{
    /// <summary>Highest mean rate: one in two slots.</summary>
    public const double RateMost = 50;

    private const int SlotMilliseconds = 10;
    private const int ParticularHostPercent = 20;

    /// <summary>The faults of a seed: scripted ones and those by chance, in order of time.</summary>
    /// <exception cref="ScenarioException">The scenario is not a valid one.</exception>
    public static ImmutableArray<Fault> Plan(Scenario scenario, ulong seed)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        ScenarioRules.Validate(scenario);
        var faults = new List<Fault>(scenario.Faults);
        for (int number = 0; number < scenario.Rates.Length; number++)
        {
            FaultRate rate = scenario.Rates[number];
            Draw(scenario, rate, SimulatedRandom.Stream(seed, $"plan {number} {rate.Kind} {rate.Moment}"), faults);
        }
        // Stable: faults of one time keep the order of the file.
        return [.. faults.OrderBy(fault => fault.At)];
    }

    private static void Draw(Scenario scenario, FaultRate rate, SimulatedRandom random, List<Fault> faults)
    {
        foreach (TimeSpan at in Arrivals(rate.PerSecond, scenario.Duration, random))
        {
            TimeSpan duration = Whole(random.Between(rate.DurationLeast, rate.DurationMost));
            long magnitude = rate.MagnitudeLeast;
            if (rate.MagnitudeMost > rate.MagnitudeLeast)
            {
                magnitude += (long)(random.Next() % (ulong)(rate.MagnitudeMost - rate.MagnitudeLeast + 1));
            }
            var (target, other) = Whom(scenario, rate, random);
            faults.Add(new Fault(rate.Kind, at, target, other, duration, magnitude, rate.Moment));
        }
    }

    /// <summary>When something happens that has a rate. Whoever asks may draw from the same generator between two of them.</summary>
    internal static IEnumerable<TimeSpan> Arrivals(double perSecond, TimeSpan duration, SimulatedRandom random)
    {
        int perMillion = (int)Math.Round(perSecond * SlotMilliseconds * 1000);
        long slots = (long)(duration.TotalMilliseconds / SlotMilliseconds);
        for (long slot = 0; slot < slots; slot++)
        {
            if (random.Chance(perMillion))
            {
                yield return TimeSpan.FromMilliseconds((slot * SlotMilliseconds) + random.Below(SlotMilliseconds));
            }
        }
    }

    /// <summary>Whole microseconds: what a scenario file can say.</summary>
    private static TimeSpan Whole(TimeSpan time) => new(time.Ticks / TimeSpan.TicksPerMicrosecond * TimeSpan.TicksPerMicrosecond);

    /// <summary>Mostly one of the pair, by role; now and then a particular host, which may be an idle one.</summary>
    private static (string Target, string Other) Whom(Scenario scenario, FaultRate rate, SimulatedRandom random)
    {
        switch (FaultCatalog.Of(rate.Kind).Scope)
        {
            case FaultScope.Host:
                bool particular = rate.Moment is null && random.Below(100) < ParticularHostPercent;
                return (particular ? Host(scenario, random) : random.Below(2) == 0 ? FaultCatalog.Primary : FaultCatalog.Backup, "");
            case FaultScope.Link:
                if (random.Below(100) < ParticularHostPercent)
                {
                    int first = random.Below(scenario.Hosts.Length);
                    int second = (first + 1 + random.Below(scenario.Hosts.Length - 1)) % scenario.Hosts.Length;
                    return (scenario.Hosts[first], scenario.Hosts[second]);
                }
                return random.Below(2) == 0 ? (FaultCatalog.Primary, FaultCatalog.Backup) : (FaultCatalog.Backup, FaultCatalog.Primary);
            default:
                return ("", "");
        }
    }

    private static string Host(Scenario scenario, SimulatedRandom random) => scenario.Hosts[random.Below(scenario.Hosts.Length)];
}
