using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using FtAkka.DeterministicSim.Exploring;
using FtAkka.DeterministicSim.Protocol;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Sim;

/// <summary><c>ftakka sim explore</c>: many seeds of a scenario.</summary>
public sealed class SimExploreCommand : ICommandModule
{
    /// <summary>Name of the verb.</summary>
    public const string Verb = "explore";

    private const int JobsMost = 256;
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromSeconds(2);

    /// <summary>How long it may take to end after a signal: seeds under way are run to their end.</summary>
    public static TimeSpan SignalPatience { get; } = TimeSpan.FromMinutes(1);

    private readonly SimOptions options = new();
    private readonly Option<string?> seeds = new("--seeds") { Description = "Seeds A..B; without it fresh ones, until --time is over (60 s if it is not given).", HelpName = "A..B" };
    private readonly Option<int> jobs = new("--jobs") { Description = "Processes side by side; 1 runs in this process.", DefaultValueFactory = _ => 1, HelpName = "N" };
    private readonly Option<string?> time = new("--time") { Description = "Stop after this much real time, such as 60s.", HelpName = "TIME" };
    private readonly Option<bool> keepGoing = new("--keep-going") { Description = "Collect failing seeds instead of stopping at the first." };
    private readonly Option<bool> json = ReportOptions.Json();

    /// <inheritdoc/>
    public string Path => "sim explore";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        var command = new Command(Verb, "Run many seeds of a scenario, and count what they met. Exits with 1 when a seed failed.");
        options.AddTo(command);
        command.Add(seeds);
        command.Add(jobs);
        command.Add(time);
        command.Add(keepGoing);
        command.Add(json);
        // On another thread: signals are heard only once the action has returned to the parser.
        command.SetAction((parsed, cancelled) => Task.Run(() => SimOptions.Guard(() => Explore(terminal, parsed, cancelled)), CancellationToken.None));
        return command;
    }

    private int Explore(Terminal terminal, ParseResult parsed, CancellationToken cancelled)
    {
        SimChoice choice = options.Choose(parsed);
        ExploreRequest request = RequestOf(parsed);
        terminal.Progress(SimText.Line($"{choice.Scenario.Name} (runner {choice.Runner}): seeds {request.Seeds}, {request.Jobs} job(s)"));
        var shown = Stopwatch.StartNew();
        var explorer = new Explorer(() => WorkerOf(choice, request), request)
        {
            Progress = (tally, real) =>
            {
                if (shown.Elapsed >= ProgressInterval)
                {
                    shown.Restart();
                    terminal.Progress(ProgressLine(tally, real));
                }
            },
        };
        ExploreResult result = explorer.Run(cancelled);
        if (parsed.GetValue(json))
        {
            WriteJson(terminal, choice, request, result);
        }
        else
        {
            WriteText(terminal.Output, choice, result);
        }
        return result.Tally.Failures.IsEmpty ? ExitCode.Ok : ExitCode.Failed;
    }

    private ExploreRequest RequestOf(ParseResult parsed)
    {
        TimeSpan? limit = SimOptions.TimeOf(parsed.GetValue(time), "--time");
        SeedRange range;
        if (parsed.GetValue(seeds) is not { } text)
        {
            limit ??= TimeSpan.FromSeconds(60);
            ulong first = BitConverter.ToUInt32(RandomNumberGenerator.GetBytes(4)) * 1_000_000ul;
            range = new SeedRange(first, first + 999_999_999);
        }
        else if (!SeedRange.TryParse(text, out range))
        {
            throw new CommandFailedException($"--seeds: A..B with whole numbers, A not above B, not '{text}'.");
        }
        int count = parsed.GetValue(jobs);
        if (count is < 1 or > JobsMost)
        {
            throw new CommandFailedException($"--jobs: from 1 to {JobsMost}, not {count}.");
        }
        return new ExploreRequest { Seeds = range, Jobs = count, TimeLimit = limit, KeepGoing = parsed.GetValue(keepGoing) };
    }

    /// <summary>Akka has state that belongs to the process: several simulations side by side need several processes.</summary>
    private static ISeedWorker WorkerOf(SimChoice choice, ExploreRequest request) => request.Jobs == 1
        ? new LocalSeedWorker(choice.CreateRunner(), choice.Scenario, choice.Options)
        : new ChildSeedWorker(choice, request.TimeLimit is null ? request.Seeds.Count / (ulong)request.Jobs : 0);

    private static string ProgressLine(ExploreTally tally, TimeSpan real) => SimText.Line(
        $"{tally.Seeds} seeds, {tally.Seeds / real.TotalSeconds:F1}/s, {tally.VirtualTime / real:F0} times real time, {tally.Failures.Length} failed, {tally.CrashedAt.Count} of {Enum.GetValues<NamedMoment>().Length} moments crashed at");

    private static void WriteText(TextWriter output, SimChoice choice, ExploreResult result)
    {
        ExploreTally tally = result.Tally;
        SimText.WriteTables(output, tally, kind => choice.Runner != ScenarioRunners.Protocol || ProtocolRunner.Knows(kind));
        if (choice.Runner != ScenarioRunners.Protocol)
        {
            SimText.WriteStates(output, tally);
        }
        output.WriteLine(SimText.Line(
            $"{tally.Seeds} seeds, {tally.Failures.Length} failed; {SimText.Seconds(tally.VirtualTime)} s of virtual time in {SimText.Seconds(result.RealTime)} s: {tally.Seeds / result.RealTime.TotalSeconds:F1} seeds/s, {tally.VirtualTime / result.RealTime:F0} times real time"));
        if (result.Interrupted)
        {
            output.WriteLine(SimText.Line($"interrupted: seeds from {result.NextSeed} on were not begun"));
        }
        output.WriteLine(SimText.Line($"{tally.Generations} generations, at most {tally.GenerationsMost} in a seed; sum of traces {tally.TraceSum:x16}"));
        if (tally.Failures.IsEmpty)
        {
            return;
        }
        foreach (FailedSeed failure in tally.Failures)
        {
            output.WriteLine(SimText.Line($"failed: seed {failure.Seed}: {failure.Violation.Invariant}: {failure.Violation.Detail}"));
        }
        // The first once more, with what led to it.
        SimulationReport report = choice.CreateRunner().Run(choice.Scenario, tally.Failures[0].Seed, choice.Options);
        if (report.Violation is null)
        {
            output.WriteLine(SimText.Line($"seed {report.Seed} does not fail when it is run again: the simulation is not deterministic"));
            return;
        }
        SimText.WriteFailure(output, choice, report);
    }

    private static void WriteJson(Terminal terminal, SimChoice choice, ExploreRequest request, ExploreResult result)
    {
        ExploreTally tally = result.Tally;
        terminal.Output.WriteLine(JsonSerializer.Serialize(
            new
            {
                Scenario = choice.Scenario.Name,
                choice.Runner,
                Seeds = request.Seeds.ToString(),
                SeedsRun = tally.Seeds,
                result.Interrupted,
                Failures = tally.Failures.Select(failure => new { failure.Seed, failure.Violation, Repeat = choice.RepeatCommand(failure.Seed) }),
                VirtualSeconds = tally.VirtualTime,
                RealSeconds = result.RealTime,
                SeedsPerSecond = Math.Round(tally.Seeds / result.RealTime.TotalSeconds, 3),
                VirtualPerReal = Math.Round(tally.VirtualTime / result.RealTime, 3),
                tally.Effects,
                tally.MomentsReached,
                tally.StatesReached,
                tally.CrashedAt,
                tally.Connections,
                tally.Generations,
                tally.GenerationsMost,
                tally.GenerationsBy,
                tally.VerbsDone,
                tally.VerbsRefused,
                TraceSum = tally.TraceSum.ToString("x16", CultureInfo.InvariantCulture),
            },
            ReportJson.Indented));
    }
}
