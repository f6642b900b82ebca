using System.Globalization;
using FtAkka.DeterministicSim.Cluster;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Tests.Cluster;

/// <summary>A seed decides everything: the same run again, in this process and in another, with and without a time line.</summary>
public sealed class RepeatTests
{
    private const string Mixed = "mixed-faults";
    private const int Seconds = 10;

    [Fact]
    public void Same_seed_gives_the_same_trace_in_another_process()
    {
        const ulong First = 1, Last = 4;
        string[] here = [.. Enumerable.Range((int)First, (int)(Last - First + 1))
            .Select(seed => new ClusterRunner().Run(ScenarioLibrary.Get(Mixed), (ulong)seed, new RunOptions()).TraceHash)];
        Assert.Equal(here.Length, here.Distinct().Count());
        Assert.Equal(here, Elsewhere(First, Last));
    }

    /// <summary>Two processes side by side, one from the first seed to the last and one back: 1,000 seeds with FTAKKA_LONG_TESTS=1.</summary>
    [Fact]
    public async Task Many_seeds_have_the_same_traces_in_two_processes_and_in_any_order()
    {
        int seeds = Environment.GetEnvironmentVariable("FTAKKA_LONG_TESTS") == "1" ? 1000 : 10;
        Task<string[]> upwards = Task.Run(() => Elsewhere(1, (ulong)seeds, Seconds)), downwards = Task.Run(() => Elsewhere((ulong)seeds, 1, Seconds));
        string[] there = await upwards, back = await downwards;
        Assert.Equal(seeds, there.Distinct().Count());
        Assert.Equal(there, back.Reverse());
    }

    /// <summary>What a process keeps from seed to seed (storage, reference texts, compiled code) must not show.</summary>
    [Fact]
    public void A_seed_that_a_process_runs_first_runs_as_after_others()
    {
        const ulong Seed = 6;
        var runner = new ClusterRunner();
        Scenario scenario = ScenarioLibrary.Get(Mixed);
        runner.Run(scenario, Seed + 1, new RunOptions());
        runner.Run(ScenarioLibrary.Get("torn-write"), 1, new RunOptions());
        Assert.Equal(Assert.Single(Elsewhere(Seed, Seed)), runner.Run(scenario, Seed, new RunOptions()).TraceHash);
    }

    [Fact]
    public void A_time_line_changes_nothing()
    {
        Scenario scenario = ScenarioLibrary.Get("primary-dies");
        SimulationReport plain = new ClusterRunner().Run(scenario, 3, new RunOptions());
        SimulationReport told = new ClusterRunner().Run(scenario, 3, new RunOptions { KeepTimeline = true });
        Assert.Equal(plain.TraceHash, told.TraceHash);
        Assert.Empty(plain.Timeline);
        Assert.Contains(told.Timeline, line => line.Kind == TimelineKind.Role && line.Text.Contains("GoingLive", StringComparison.Ordinal));
    }

    [Fact]
    public void The_plan_in_a_report_repeats_its_run()
    {
        Scenario scenario = ScenarioLibrary.Get(Mixed) with { Duration = TimeSpan.FromSeconds(10) };
        SimulationReport report = new ClusterRunner().Run(scenario, 9, new RunOptions());
        Assert.NotEmpty(report.Plan);
        Assert.Equal(report.TraceHash, new ClusterRunner().Run(scenario with { Rates = [] }, 9, new RunOptions { Plan = report.Plan }).TraceHash);
    }

    private static string[] Elsewhere(ulong first, ulong last, int? seconds = null)
    {
        string[] arguments = ["cluster-hashes", Mixed, first.ToString(CultureInfo.InvariantCulture), last.ToString(CultureInfo.InvariantCulture)];
        string[] limit = seconds is { } duration ? [duration.ToString(CultureInfo.InvariantCulture)] : [];
        return OtherProcess.Run([.. arguments, .. limit]).Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
