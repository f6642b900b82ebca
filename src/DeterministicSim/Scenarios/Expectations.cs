using System.Collections.Immutable;
using System.Globalization;

namespace FtAkka.DeterministicSim.Scenarios;

/// <summary>How a run ended, for its scenario's expectations.</summary>
public sealed record Outcome
{
    /// <summary>The host on which the VM is live; null if it is on none.</summary>
    public string? Live { get; init; }

    /// <summary>The VM's generation.</summary>
    public ulong Generation { get; init; }

    /// <summary>A backup could take over.</summary>
    public bool Protected { get; init; }

    /// <summary>The machine ended, by its guest or by an operator.</summary>
    public bool Ended { get; init; }

    /// <summary>Nobody was left who might go on: the VM was lost to a second failure.</summary>
    public bool Lost { get; init; }

    /// <summary>Hosts whose replica has halted itself at any time: it had lost the VM to another.</summary>
    public ImmutableSortedSet<string> Halted { get; init; } = [];

    /// <summary>How often each kind of fault took effect.</summary>
    public ImmutableSortedDictionary<FaultKind, long> Effects { get; init; } = ImmutableSortedDictionary<FaultKind, long>.Empty;

    /// <summary>How often each moment was reached.</summary>
    public ImmutableSortedDictionary<NamedMoment, long> Moments { get; init; } = ImmutableSortedDictionary<NamedMoment, long>.Empty;
}

/// <summary>What scenario files can expect: the table of docs/simulation.md.</summary>
public static class Expectations
{
    private const string Live = "live", Generation = "generation", Protected = "protected", Ended = "ended", Lost = "lost", Halted = "halted", Effect = "effect", Moment = "moment";

    /// <summary>Every name, for messages that say what is allowed.</summary>
    public static string Names => string.Join(", ", Live, Generation, Protected, Ended, Lost, Halted, Effect, Moment);

    /// <summary>What is wrong with an expectation, and what is allowed; null when nothing is.</summary>
    public static string? Problem(Expectation expectation, IReadOnlyCollection<string> hosts)
    {
        ArgumentNullException.ThrowIfNull(expectation);
        ArgumentNullException.ThrowIfNull(hosts);
        string[] words = expectation.Value.Split(' ');
        string? allowed = expectation.What switch
        {
            Live => hosts.Contains(expectation.Value) || expectation.Value is "any" or "none" ? null : $"{string.Join(", ", hosts)}, any or none",
            Generation => TryRange(expectation.Value, out _, out _) ? null : "a number such as 2, or a range such as 2.. or 2..5",
            Protected or Ended or Lost => expectation.Value is "yes" or "no" ? null : "yes or no",
            Halted => hosts.Contains(expectation.Value) || expectation.Value == "none" ? null : $"{string.Join(", ", hosts)} or none",
            Effect => words is [var kind, var range] && ScenarioNames.TryParse(kind, out FaultKind _) && TryRange(range, out _, out _)
                ? null : $"a kind of fault and a number or range, such as 'host-crash 1..'; kinds: {ScenarioNames.All<FaultKind>()}",
            Moment => words is [var moment, var range] && ScenarioNames.TryParse(moment, out NamedMoment _) && TryRange(range, out _, out _)
                ? null : $"a moment and a number or range, such as 'drain 1..'; moments: {ScenarioNames.All<NamedMoment>()}",
            _ => null,
        };
        if (allowed is not null)
        {
            return $"expect {expectation.What}: {allowed}, not '{expectation.Value}'";
        }
        return expectation.What is Live or Generation or Protected or Ended or Lost or Halted or Effect or Moment
            ? null : $"expect: there is no '{expectation.What}': {Names}";
    }

    /// <summary>The first expectation that a run did not meet, and what it did instead; null when it met all.</summary>
    public static string? FirstUnmet(Scenario scenario, Outcome outcome)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        ArgumentNullException.ThrowIfNull(outcome);
        foreach (Expectation expectation in scenario.Expect)
        {
            string[] words = expectation.Value.Split(' ');
            string actual = expectation.What switch
            {
                Live => outcome.Live ?? "none",
                Generation => outcome.Generation.ToString(CultureInfo.InvariantCulture),
                Protected => outcome.Protected ? "yes" : "no",
                Ended => outcome.Ended ? "yes" : "no",
                Lost => outcome.Lost ? "yes" : "no",
                Halted => outcome.Halted.Count == 0 ? "none" : string.Join(' ', outcome.Halted),
                Effect when ScenarioNames.TryParse(words[0], out FaultKind kind) =>
                    outcome.Effects.GetValueOrDefault(kind).ToString(CultureInfo.InvariantCulture),
                Moment when ScenarioNames.TryParse(words[0], out NamedMoment moment) =>
                    outcome.Moments.GetValueOrDefault(moment).ToString(CultureInfo.InvariantCulture),
                _ => throw new ScenarioException($"expect: there is no '{expectation.What}': {Names}"),
            };
            bool met = expectation.What switch
            {
                Live => expectation.Value == "any" ? outcome.Live is not null : actual == expectation.Value,
                Generation => Within(expectation.Value, actual),
                Effect or Moment => Within(words[1], actual),
                Halted => expectation.Value == "none" ? actual == "none" : outcome.Halted.Contains(expectation.Value),
                _ => actual == expectation.Value,
            };
            if (!met)
            {
                return $"expected {expectation.What} {expectation.Value}, and it is {actual}";
            }
        }
        return null;
    }

    private static bool Within(string range, string actual) =>
        TryRange(range, out ulong least, out ulong most) && ulong.Parse(actual, CultureInfo.InvariantCulture) is var number && number >= least && number <= most;

    private static bool TryRange(string text, out ulong least, out ulong most)
    {
        var (first, last) = ScenarioUnits.Range(text);
        most = ulong.MaxValue;
        return ulong.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out least)
            && (last.Length == 0 || ulong.TryParse(last, NumberStyles.None, CultureInfo.InvariantCulture, out most)) && most >= least;
    }
}
