using System.Diagnostics;
using System.Text.Json;
using FtAkka.DeterministicSim.Exploring;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Sim;

/// <summary>First line to a worker process: what it will run.</summary>
internal sealed record WorkerSetup(string ScenarioText, string File, string Runner, string? Mutation, TimeSpan? Duration);

/// <summary>Each further line: seeds to run. Answered by a line with an <see cref="ExploreTally"/>.</summary>
internal sealed record WorkerPiece(ulong First, ulong Last, bool StopAtFailure);

/// <summary>A process of this same program that runs seeds, told by JSON lines on its standard input.</summary>
internal sealed class ChildSeedWorker : ISeedWorker
{
    private static readonly TimeSpan ExitPatience = TimeSpan.FromSeconds(10);

    private readonly Process _process;

    public ChildSeedWorker(SimChoice choice)
    {
        _process = Process.Start(StartInfo()) ?? throw new CommandFailedException("A worker process could not be started.");
        Tell(new WorkerSetup(ScenarioPrinter.Print(choice.Scenario), choice.Named, choice.Runner, choice.Options.Mutation, choice.Options.Duration));
    }

    public ExploreTally Run(SeedRange range, bool stopAtFailure)
    {
        Tell(new WorkerPiece(range.First, range.Last, stopAtFailure));
        string? answer = _process.StandardOutput.ReadLine();
        if (answer is null || !answer.StartsWith('{'))
        {
            throw new CommandFailedException($"A worker process ended while it ran seeds {range}; its complaint is above. Run them with --jobs 1 to see more.");
        }
        return JsonSerializer.Deserialize<ExploreTally>(answer, ReportJson.Line)!;
    }

    public void Dispose()
    {
        try
        {
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It is gone already.
        }
        if (!_process.WaitForExit(ExitPatience))
        {
            _process.Kill(entireProcessTree: true);
        }
        _process.Dispose();
    }

    private void Tell<T>(T line)
    {
        try
        {
            _process.StandardInput.WriteLine(JsonSerializer.Serialize(line, ReportJson.Line));
            _process.StandardInput.Flush();
        }
        catch (IOException failure)
        {
            throw new CommandFailedException("A worker process ended early; its complaint is above.", failure);
        }
    }

    /// <summary>The program itself; where it was started through another one (dotnet, a test), by its assembly.</summary>
    private static ProcessStartInfo StartInfo()
    {
        string assembly = typeof(ChildSeedWorker).Assembly.Location;
        bool own = Environment.ProcessPath is { } path && Path.GetFileName(path) == Path.GetFileNameWithoutExtension(assembly);
        var start = new ProcessStartInfo(own ? Environment.ProcessPath! : "dotnet") { RedirectStandardInput = true, RedirectStandardOutput = true };
        if (!own)
        {
            start.ArgumentList.Add(assembly);
        }
        start.ArgumentList.Add("sim");
        start.ArgumentList.Add("work");
        return start;
    }
}
