using System.CommandLine;
using FtAkka.DeterministicSim.Exploring;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Sim;

/// <summary><c>ftakka sim shrink</c>: the fewest faults and the shortest time with which a seed still fails.</summary>
public sealed class SimShrinkCommand : ICommandModule
{
    private readonly SimOptions options = new();
    private readonly Option<string> seed = SimOptions.Seed();
    private readonly Option<string?> file = new("--output", "-o") { Description = "Write the scenario to this file instead of standard output.", HelpName = "FILE" };

    /// <inheritdoc/>
    public string Path => "sim shrink";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        var command = new Command("shrink", "Find the fewest faults and the shortest time with which a failing seed still violates the same invariant.");
        options.AddTo(command);
        command.Add(seed);
        command.Add(file);
        command.SetAction((parsed, _) => SimOptions.Guard(() => Shrink(terminal, parsed)));
        return command;
    }

    private int Shrink(Terminal terminal, ParseResult parsed)
    {
        SimChoice choice = options.Choose(parsed);
        ulong number = SimOptions.SeedOf(parsed, seed);
        ShrinkResult result = new Shrinker(choice.CreateRunner(), choice.Options, terminal.Progress).Shrink(choice.Scenario, number);
        string text = ScenarioPrinter.Print(result.Scenario);
        string? path = parsed.GetValue(file);
        if (path is null)
        {
            terminal.Output.Write(text);
        }
        else
        {
            File.WriteAllText(path, text);
        }
        SimChoice smaller = choice with { Named = path ?? "FILE", Scenario = result.Scenario, Options = choice.Options with { Duration = null } };
        terminal.ErrorOutput.WriteLine(SimText.Line(
            $"{result.FaultsBefore} faults became {result.Scenario.Faults.Length}, {ScenarioUnits.Print(choice.Scenario.Duration)} became {ScenarioUnits.Print(result.Scenario.Duration)}, in {result.Runs} runs"));
        terminal.ErrorOutput.WriteLine($"{result.Report.Violation!.Invariant}: {result.Report.Violation.Detail}");
        terminal.ErrorOutput.WriteLine($"repeat:  {smaller.RepeatCommand(number)}");
        return ExitCode.Ok;
    }
}
