using System.CommandLine;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Sim;

/// <summary><c>ftakka sim list</c>: the scenarios that come with the program.</summary>
public sealed class SimListCommand : ICommandModule
{
    private readonly Option<bool> json = ReportOptions.Json();

    private readonly Option<string?> print = new("--print") { Description = "Print the text of one scenario instead: a beginning for one's own.", HelpName = "NAME" };

    /// <inheritdoc/>
    public string Path => "sim list";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        var command = new Command("list", "List the scenarios that come with the program.") { json, print };
        command.SetAction((parsed, _) => SimOptions.Guard(() =>
        {
            if (parsed.GetValue(print) is { } name)
            {
                terminal.Output.Write(ScenarioPrinter.Print(ScenarioLibrary.Get(name)));
                return ExitCode.Ok;
            }
            Scenario[] scenarios = [.. ScenarioLibrary.Names.Select(ScenarioLibrary.Get)];
            if (parsed.GetValue(json))
            {
                terminal.WriteJson(scenarios.Select(scenario => new { scenario.Name, scenario.Description, Seconds = scenario.Duration.TotalSeconds, Faults = scenario.Faults.Length }));
                return ExitCode.Ok;
            }
            foreach (Scenario scenario in scenarios)
            {
                terminal.Output.WriteLine($"{scenario.Name,-28} {scenario.Description.ReplaceLineEndings(" ")}");
            }
            return ExitCode.Ok;
        }));
        return command;
    }
}
