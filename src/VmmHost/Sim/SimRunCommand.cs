using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using FtAkka.DeterministicSim.Reports;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Sim;

/// <summary><c>ftakka sim run</c>: one seed of a scenario.</summary>
public sealed class SimRunCommand : ICommandModule
{
    private readonly SimOptions options = new();
    private readonly Option<string> seed = SimOptions.Seed();
    private readonly Option<string?> trace = new("--trace") { Description = "Write the time line to this file; 'sim show' reads it.", HelpName = "FILE" };
    private readonly Option<string?> recording = new("--recording") { Description = "Write the VM's log to this folder, as a recording that 'replay' and gdb open.", HelpName = "DIR" };
    private readonly Option<bool> twice = new("--twice") { Description = "Run it twice and compare the traces." };
    private readonly Option<bool> json = ReportOptions.Json();

    /// <inheritdoc/>
    public string Path => "sim run";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        var command = new Command("run", "Run one seed of a scenario. Exits with 1 when an invariant was violated.");
        options.AddTo(command);
        command.Add(seed);
        command.Add(trace);
        command.Add(recording);
        command.Add(twice);
        command.Add(json);
        command.SetAction((parsed, _) => SimOptions.Guard(() => Run(terminal, parsed)));
        return command;
    }

    private int Run(Terminal terminal, ParseResult parsed)
    {
        SimChoice choice = options.Choose(parsed);
        ulong number = SimOptions.SeedOf(parsed, seed);
        string? file = parsed.GetValue(trace);
        RunOptions how = choice.Options with { KeepTimeline = file is not null, Recording = parsed.GetValue(recording) };
        var watch = Stopwatch.StartNew();
        SimulationReport report = choice.CreateRunner().Run(choice.Scenario, number, how);
        TimeSpan real = watch.Elapsed;
        if (file is not null)
        {
            using var writer = new StreamWriter(file);
            TraceFile.Of(choice.Scenario, report, choice.Runner, how.Mutation).Write(writer);
        }
        bool same = !parsed.GetValue(twice) || SameAgain(terminal, choice, number, how, report, parsed.GetValue(json));
        if (parsed.GetValue(json))
        {
            terminal.Output.WriteLine(JsonSerializer.Serialize(
                new { choice.Runner, Report = report with { Timeline = [] }, RealSeconds = real, Same = parsed.GetValue(twice) ? same : (bool?)null, Repeat = choice.RepeatCommand(number) },
                ReportJson.Indented));
        }
        else
        {
            SimText.Write(terminal.Output, choice, report, real);
        }
        return report.Violation is null && same ? ExitCode.Ok : ExitCode.Failed;
    }

    private static bool SameAgain(Terminal terminal, SimChoice choice, ulong seed, RunOptions how, SimulationReport first, bool quiet)
    {
        // Without recording the second time: the folder is taken. Nothing of the run may depend on that.
        SimulationReport second = choice.CreateRunner().Run(choice.Scenario, seed, how with { Recording = null });
        bool same = second.TraceHash == first.TraceHash;
        if (!quiet)
        {
            terminal.Output.WriteLine(same ? "twice: both runs left the same trace" : $"twice: the runs DIFFER: trace hash {first.TraceHash}, then {second.TraceHash}");
        }
        return same;
    }
}
