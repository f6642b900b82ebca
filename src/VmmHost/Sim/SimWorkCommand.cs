using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text.Json;
using FtAkka.DeterministicSim.Exploring;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Sim;

/// <summary><c>ftakka sim work</c>: the process behind <c>sim explore --jobs N</c>. Not for people.</summary>
public sealed class SimWorkCommand : ICommandModule
{
    /// <inheritdoc/>
    public string Path => "sim work";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        var command = new Command("work", "Run seeds as told on standard input: the process behind 'sim explore --jobs N', not for people.");
        command.SetAction((_, _) => SimOptions.Guard(() =>
        {
            // Ctrl-C reaches the whole group of processes: it is for the one that explores, which closes this one's input.
            using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal => signal.Cancel = true);
            return Work(Console.In, terminal.Output);
        }));
        return command;
    }

    /// <summary>Reads a setup, then pieces; answers each. Ends with the input.</summary>
    internal static int Work(TextReader input, TextWriter output)
    {
        if (input.ReadLine() is not { } first)
        {
            return ExitCode.Ok;
        }
        WorkerSetup setup = Read<WorkerSetup>(first);
        Scenario scenario = ScenarioParser.Parse(setup.ScenarioText, setup.File);
        var options = new RunOptions { Mutation = setup.Mutation, Duration = setup.Duration };
        using var worker = new LocalSeedWorker(ScenarioRunners.Create(setup.Runner), scenario, options);
        while (input.ReadLine() is { } line)
        {
            WorkerPiece piece = Read<WorkerPiece>(line);
            ExploreTally tally = worker.Run(new SeedRange(piece.First, piece.Last), piece.StopAtFailure);
            output.WriteLine(JsonSerializer.Serialize(tally, ReportJson.Line));
            output.Flush();
        }
        return ExitCode.Ok;
    }

    private static T Read<T>(string line)
    {
        try
        {
            return JsonSerializer.Deserialize<T>(line, ReportJson.Line) ?? throw new CommandFailedException($"'{line}' tells nothing to do.");
        }
        catch (JsonException failure)
        {
            throw new CommandFailedException($"'{line}' is not what 'sim explore' says to its workers: {failure.Message}", failure);
        }
    }
}
