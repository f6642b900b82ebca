using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.GuestKit;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Sim;

namespace FtAkka.VmmHost.Tests.Sim;

/// <summary>The verbs of the simulation as a user calls them.</summary>
public sealed class SimVerbsTests : IDisposable
{
    private const string Broken = "two-winners";

    private readonly TemporaryFolder folder = new(Path.GetTempPath());
    private readonly StringWriter output = new();
    private readonly StringWriter error = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task List_names_every_scenario_and_prints_one()
    {
        Assert.Equal(ExitCode.Ok, await Run("sim", "list"));
        Assert.All(ScenarioLibrary.Names, name => Assert.Contains(name, output.ToString(), StringComparison.Ordinal));
        Assert.Equal(ExitCode.Ok, await Run("sim", "list", "--json"));
        using JsonDocument list = JsonDocument.Parse(output.ToString());
        Assert.Equal(ScenarioLibrary.Names.Count, list.RootElement.GetArrayLength());
        Assert.Equal(ExitCode.Ok, await Run("sim", "list", "--print", "primary-dies"));
        Assert.Equal("primary-dies", ScenarioParser.Parse(output.ToString(), "printed").Name);
    }

    [Fact]
    public async Task Run_is_the_same_twice_and_leaves_a_trace_that_show_reads()
    {
        string trace = At("trace.jsonl");
        Assert.Equal(ExitCode.Ok, await Run("sim", "run", "primary-dies", "--seed", "7", "--protocol", "--twice", "--trace", trace));
        Assert.Contains("both runs left the same trace", output.ToString(), StringComparison.Ordinal);
        Assert.Contains("every invariant held; 2 generations", output.ToString(), StringComparison.Ordinal);

        Assert.Equal(ExitCode.Ok, await Run("sim", "show", trace, "--from", "3s", "--to", "5s"));
        Assert.Contains("! host-crash at 4s on A", output.ToString(), StringComparison.Ordinal);
        Assert.Contains("# live, generation 2", output.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("Solo, generation 1", output.ToString(), StringComparison.Ordinal);

        Assert.Equal(ExitCode.Ok, await Run("sim", "show", trace, "--html", At("page.html")));
        Assert.StartsWith("<!DOCTYPE html>", File.ReadAllText(At("page.html")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_reports_as_json()
    {
        Assert.Equal(ExitCode.Ok, await Run("sim", "run", "primary-dies", "--seed", "7", "--protocol", "--json"));
        using JsonDocument json = JsonDocument.Parse(output.ToString());
        JsonElement report = json.RootElement.GetProperty("report");
        Assert.Equal(1, report.GetProperty("effects").GetProperty("host-crash").GetInt32());
        Assert.Equal(1, report.GetProperty("momentsReached").GetProperty("drain").GetInt32());
        Assert.True(report.GetProperty("virtualTime").GetDouble() > 8);
        Assert.Equal("./ftakka sim run primary-dies --seed 7 --protocol", json.RootElement.GetProperty("repeat").GetString());
    }

    /// <summary>What a person gets to see of a failure is enough to repeat it: the command that is printed is run here.</summary>
    [Fact]
    public async Task Failure_names_seed_invariant_events_and_the_command_that_repeats_it()
    {
        Assert.Equal(ExitCode.Failed, await Run("sim", "explore", "mixed-faults", "--seeds", "1..300", "--protocol", "--mutation", Broken));
        string text = output.ToString();
        Assert.Contains("FAILED: seed", text, StringComparison.Ordinal);
        Assert.Contains("the events before it:", text, StringComparison.Ordinal);
        string repeat = Line(text, "repeat:  ./ftakka ");
        string failed = Line(text, "FAILED: ");

        Assert.Equal(ExitCode.Failed, await Run(repeat.Split(' ')));
        Assert.Equal(failed, Line(output.ToString(), "FAILED: "));
    }

    [Fact]
    public async Task Shrunk_file_fails_alike()
    {
        Assert.Equal(ExitCode.Failed, await Run("sim", "explore", "mixed-faults", "--seeds", "1..300", "--protocol", "--mutation", Broken));
        string[] shrink = Line(output.ToString(), "shrink:  ./ftakka ").Split(' ');
        string file = At("smaller.scenario");
        Assert.Equal(ExitCode.Ok, await Run([.. shrink[..^1], file]));
        string repeat = Line(error.ToString(), "repeat:  ./ftakka ");
        Assert.Contains(file, repeat, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Failed, await Run(repeat.Split(' ')));
    }

    /// <summary>Several processes come to the same as one: seeds, virtual time, effects, and the sum of all traces.</summary>
    [Fact]
    public async Task Exploring_in_several_processes_comes_to_the_same()
    {
        string[] command = ["sim", "explore", "mixed-faults", "--seeds", "1..40", "--protocol", "--duration", "5s", "--json"];
        Assert.Equal(ExitCode.Ok, await Run(command));
        using JsonDocument one = JsonDocument.Parse(output.ToString());
        Assert.Equal(ExitCode.Ok, await Run([.. command, "--jobs", "2"]));
        using JsonDocument two = JsonDocument.Parse(output.ToString());
        foreach (string name in (string[])["seedsRun", "virtualSeconds", "effects", "momentsReached", "crashedAt", "traceSum"])
        {
            Assert.Equal(one.RootElement.GetProperty(name).GetRawText(), two.RootElement.GetProperty(name).GetRawText());
        }
        Assert.Equal(40, one.RootElement.GetProperty("seedsRun").GetInt32());
        Assert.Equal(0, one.RootElement.GetProperty("failures").GetArrayLength());
    }

    /// <summary>A process of its own, ended by a signal after its first words of progress.</summary>
    [Fact]
    public async Task Exploring_that_is_told_to_end_prints_what_it_has()
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        string program = Path.Combine(AppContext.BaseDirectory, Path.GetFileName(typeof(CommandLineApplication).Assembly.Location));
        foreach (string argument in (string[])["exec", program, "sim", "explore", "mixed-faults", "--protocol", "--duration", "2s", "--seeds", "1..100000000", "--jobs", "2", "--json"])
        {
            start.ArgumentList.Add(argument);
        }
        using Process process = Process.Start(start)!;
        Task<string> said = process.StandardOutput.ReadToEndAsync();
        while (await process.StandardError.ReadLineAsync() is { } line && !line.Contains("seeds,", StringComparison.Ordinal))
        {
        }
        HostCommand.RunChecked("kill", ["-TERM", process.Id.ToString(CultureInfo.InvariantCulture)]);
        await process.StandardError.ReadToEndAsync();
        using JsonDocument json = JsonDocument.Parse(await said);
        Assert.True(json.RootElement.GetProperty("interrupted").GetBoolean());
        Assert.InRange(json.RootElement.GetProperty("seedsRun").GetInt64(), 1, 99_999_999);
    }

    [Fact]
    public async Task Explore_prints_its_tables()
    {
        Assert.Equal(ExitCode.Ok, await Run("sim", "explore", "primary-dies", "--seeds", "1..3", "--protocol"));
        Assert.Matches(@"host-crash +3\n", output.ToString());
        Assert.Matches(@"drain +3 +0\n", output.ToString());
        Assert.Contains("3 seeds, 0 failed;", output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Worker_answers_pieces_and_ends_with_its_input()
    {
        var setup = new WorkerSetup(ScenarioPrinter.Print(ScenarioLibrary.Get("primary-dies")), "f", "protocol", null, null);
        string input = JsonSerializer.Serialize(setup, DeterministicSim.Reports.ReportJson.Line) + "\n"
            + JsonSerializer.Serialize(new WorkerPiece(1, 2, true), DeterministicSim.Reports.ReportJson.Line) + "\n";
        Assert.Equal(ExitCode.Ok, SimWorkCommand.Work(new StringReader(input), output));
        using JsonDocument tally = JsonDocument.Parse(output.ToString());
        Assert.Equal(2, tally.RootElement.GetProperty("seeds").GetInt32());
    }

    [Theory]
    [InlineData(ExitCode.Failed, "neither a scenario of the library", "sim", "run", "nothing", "--seed", "1")]
    [InlineData(ExitCode.Failed, "'x' is no seed: a whole number", "sim", "run", "primary-dies", "--seed", "x")]
    [InlineData(ExitCode.Usage, "Option '--seed' is required", "sim", "run", "primary-dies")]
    [InlineData(ExitCode.Failed, "--seeds: A..B with whole numbers, A not above B, not '9..1'", "sim", "explore", "primary-dies", "--seeds", "9..1")]
    [InlineData(ExitCode.Failed, "--jobs: from 1 to 256, not 0", "sim", "explore", "primary-dies", "--jobs", "0")]
    [InlineData(ExitCode.Failed, "--time: a time above zero such as 500ms, 60s or 5min, not 'long'", "sim", "explore", "primary-dies", "--time", "long")]
    [InlineData(ExitCode.Failed, "there is no mutation 'gremlin' of the protocol", "sim", "run", "primary-dies", "--seed", "1", "--protocol", "--mutation", "gremlin")]
    [InlineData(ExitCode.Failed, "does not fail: there is nothing to shrink", "sim", "shrink", "primary-dies", "--seed", "1", "--protocol")]
    [InlineData(ExitCode.Failed, "/nonexistent", "sim", "show", "/nonexistent")]
    public async Task Mistakes_are_named(int code, string text, params string[] arguments)
    {
        Assert.Equal(code, await Run(arguments));
        Assert.Contains(text, error.ToString(), StringComparison.Ordinal);
    }

    private static string Line(string text, string beginning) =>
        Assert.Single(text.Split('\n'), line => line.StartsWith(beginning, StringComparison.Ordinal))[beginning.Length..];

    private string At(string name) => Path.Combine(folder.Path, name);

    private Task<int> Run(params string[] arguments)
    {
        output.GetStringBuilder().Clear();
        error.GetStringBuilder().Clear();
        return new CommandLineApplication(CommandLineApplication.FindModules(), output, error).RunAsync(arguments);
    }
}
