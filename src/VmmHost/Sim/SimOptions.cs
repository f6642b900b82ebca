using System.CommandLine;
using System.Globalization;
using System.Runtime;
using FtAkka.DeterministicSim.Exploring;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Sim;

/// <summary>What the verbs of the simulation have in common: which scenario, by which runner, how.</summary>
internal sealed class SimOptions
{
    public Argument<string> Scenario { get; } = new("SCENARIO") { Description = "Name of a scenario ('sim list'), or path of a scenario file." };

    public Option<bool> Protocol { get; } = new("--protocol") { Description = "Simulate the protocol alone: much faster, without actors, devices and the CPU." };

    public Option<string?> Mutation { get; } = new("--mutation") { Description = "Plant a mistake, to see that the checkers see it (docs/simulation.md).", HelpName = "NAME" };

    public Option<string?> Duration { get; } = new("--duration") { Description = "Time in which faults may strike, instead of the scenario's, such as 10s.", HelpName = "TIME" };

    /// <summary>The options that every verb takes which runs something.</summary>
    public void AddTo(Command command)
    {
        command.Add(Scenario);
        command.Add(Protocol);
        command.Add(Mutation);
        command.Add(Duration);
    }

    public SimChoice Choose(ParseResult parsed)
    {
        string named = parsed.GetRequiredValue(Scenario);
        string runner = parsed.GetValue(Protocol) ? ScenarioRunners.Protocol : ScenarioRunners.Cluster;
        var options = new RunOptions { Mutation = parsed.GetValue(Mutation), Duration = TimeOf(parsed.GetValue(Duration), "--duration") };
        return new SimChoice(named, ScenarioLibrary.Open(named), runner, options);
    }

    public static Option<string> Seed() => new("--seed") { Description = "The seed: everything left to chance comes from it.", Required = true, HelpName = "N" };

    public static ulong SeedOf(ParseResult parsed, Option<string> option)
    {
        string text = parsed.GetRequiredValue(option);
        return ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong seed)
            ? seed
            : throw new CommandFailedException($"'{text}' is no seed: a whole number from 0 to {ulong.MaxValue}.");
    }

    public static TimeSpan? TimeOf(string? text, string option)
    {
        if (text is null)
        {
            return null;
        }
        return ScenarioUnits.TryTime(text, out TimeSpan time) && time > TimeSpan.Zero
            ? time
            : throw new CommandFailedException($"{option}: a time above zero such as 500ms, 60s or 5min, not '{text}'.");
    }

    /// <summary>Runs an action whose failures a user can understand.</summary>
    public static Task<int> Guard(Func<int> action)
    {
        // One thread does everything: collecting side by side with it only costs.
        GCSettings.LatencyMode = GCLatencyMode.Batch;
        try
        {
            return Task.FromResult(action());
        }
        catch (ScenarioException failure)
        {
            throw new CommandFailedException(failure.Message, failure);
        }
        catch (ArgumentException failure)
        {
            throw new CommandFailedException(failure.Message, failure);
        }
        catch (IOException failure)
        {
            throw new CommandFailedException(failure.Message, failure);
        }
        catch (UnauthorizedAccessException failure)
        {
            throw new CommandFailedException(failure.Message, failure);
        }
    }
}

/// <summary>What a command line asks to be simulated.</summary>
/// <param name="Named">How the user named the scenario.</param>
/// <param name="Scenario">The scenario.</param>
/// <param name="Runner">Name of the runner.</param>
/// <param name="Options">How to run.</param>
internal sealed record SimChoice(string Named, Scenario Scenario, string Runner, RunOptions Options)
{
    public IScenarioRunner CreateRunner() => ScenarioRunners.Create(Runner);

    /// <summary>The options of the command that repeats this.</summary>
    public string CommandOptions
    {
        get
        {
            string protocol = Runner == ScenarioRunners.Protocol ? " --protocol" : "";
            string mutation = Options.Mutation is { } name ? $" --mutation {name}" : "";
            string duration = Options.Duration is { } time ? $" --duration {ScenarioUnits.Print(time)}" : "";
            return protocol + mutation + duration;
        }
    }

    public string RepeatCommand(ulong seed) => string.Create(CultureInfo.InvariantCulture, $"./ftakka sim run {Quoted} --seed {seed}{CommandOptions}");

    public string ShrinkCommand(ulong seed) => string.Create(CultureInfo.InvariantCulture, $"./ftakka sim shrink {Quoted} --seed {seed}{CommandOptions} -o smaller.scenario");

    private string Quoted => Named.Contains(' ', StringComparison.Ordinal) ? $"'{Named}'" : Named;
}
