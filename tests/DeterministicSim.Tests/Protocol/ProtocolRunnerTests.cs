using System.Diagnostics;
using FtAkka.DeterministicSim.Exploring;
using FtAkka.DeterministicSim.Protocol;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using Xunit.Abstractions;

namespace FtAkka.DeterministicSim.Tests.Protocol;

/// <summary>
/// The decisions of the replicas against crashes, pauses, partitions, loss, repetition, reordering, slow and failing disks, and an arbiter that comes and
/// goes. FTAKKA_SEEDS=first..last runs other seeds.
/// </summary>
public sealed class ProtocolRunnerTests(ITestOutputHelper output)
{
    private static readonly Scenario Mixed = ScenarioLibrary.Get("mixed-faults");

    [Fact]
    public void Every_seed_keeps_every_invariant()
    {
        Assert.True(SeedRange.TryParse(Environment.GetEnvironmentVariable("FTAKKA_SEEDS") ?? "1..400", out SeedRange range), "FTAKKA_SEEDS=first..last");
        var counters = new SortedDictionary<string, long>(StringComparer.Ordinal);
        ExploreTally tally = ExploreTally.Empty;
        var watch = Stopwatch.StartNew();
        for (ulong seed = range.First; seed <= range.Last; seed++)
        {
            var (report, counted) = ProtocolRunner.RunCounted(Mixed, seed, new RunOptions());
            tally = tally.Add(report);
            Assert.True(report.Violation is null, $"seed {seed}: {report.Violation}\n./ftakka sim run mixed-faults --seed {seed} --protocol");
            foreach (var (what, count) in counted)
            {
                counters[what] = counters.GetValueOrDefault(what) + count;
            }
        }
        output.WriteLine(FormattableString.Invariant($"{tally.Seeds} seeds, {tally.VirtualTime} of virtual time in {watch.Elapsed.TotalSeconds:F1} s"));
        foreach (var (what, count) in counters)
        {
            output.WriteLine(FormattableString.Invariant($"{count,8}  {what}"));
        }
        if (range.Count < 400)
        {
            return;
        }
        // A state that is never met is never tested.
        foreach (string state in (string[])["crash Solo", "crash CloningPrimary", "crash ProtectedPrimary", "crash BackupSyncing", "crash Backup", "crash GoingLive",
            "GoingLive -> Solo", "ProtectedPrimary -> Solo", "halt ArbiterLost", "halt OwnershipLost", "halt Diverged", "clone failed",
            "stop LogFull", "stop OutputsFull", "outputs repeated", "end: live", "end: lost to two failures"])
        {
            Assert.True(counters.GetValueOrDefault(state) > 0, $"no seed met: {state}");
        }
        Assert.All(Enum.GetValues<NamedMoment>(), moment => Assert.True(tally.CrashedAt.GetValueOrDefault(moment) > 0, $"nobody crashed at {moment}"));
        Assert.All(
            Enum.GetValues<FaultKind>().Where(ProtocolRunner.Knows), kind => Assert.True(tally.Effects.GetValueOrDefault(kind) > 0, $"{kind} never took effect"));
    }

    /// <summary>A simulation that cannot see a planted mistake proves nothing: each must be seen within so many seeds (docs/simulation.md).</summary>
    [Theory]
    [InlineData("release-before-ack", 20)]
    [InlineData("two-winners", 50)]
    [InlineData("lost-entry", 20)]
    [InlineData("skipped-reissue", 50)]
    [InlineData("skipped-resend", 50)]
    [InlineData("ignored-fence", 100)]
    [InlineData("console-repeated", 50)]
    [InlineData("off-by-one-icount", 20)]
    [InlineData("watermark-ahead", 50)]
    [InlineData("unserialized-disk", 50)]
    [InlineData("lease-from-receipt", 800)]
    [InlineData("forgotten-bounce-buffer", 20)]
    [InlineData("ignored-digest", 100)]
    [InlineData("lasting-hold", 100, "full-gates")]
    public void Planted_mistake_is_seen(string mutation, int seedsMost, string name = "mixed-faults")
    {
        Scenario scenario = ScenarioLibrary.Get(name);
        var request = new ExploreRequest { Seeds = new SeedRange(1, (ulong)seedsMost) };
        var options = new RunOptions { Mutation = mutation };
        ExploreResult result = new Explorer(() => new LocalSeedWorker(new ProtocolRunner(), scenario, options), request).Run();
        Assert.True(result.Tally.Failures.Length == 1, $"{mutation} was not seen in {seedsMost} seeds of {name}");
        output.WriteLine($"seen by seed {result.Tally.Failures[0].Seed}: {result.Tally.Failures[0].Violation}");
    }

    [Fact]
    public void Every_mutation_is_tested()
    {
        var tested = typeof(ProtocolRunnerTests).GetMethod(nameof(Planted_mistake_is_seen))!.GetCustomAttributes(typeof(InlineDataAttribute), false)
            .Cast<InlineDataAttribute>().Select(data => (string)data.GetData(null!).Single()[0]);
        Assert.Equal(ProtocolRunner.Mutations.Order(StringComparer.Ordinal), tested.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Same_seed_same_trace_and_time_line()
    {
        for (ulong seed = 1; seed <= 20; seed++)
        {
            SimulationReport first = new ProtocolRunner().Run(Mixed, seed, new RunOptions { KeepTimeline = true });
            SimulationReport second = new ProtocolRunner().Run(Mixed, seed, new RunOptions { KeepTimeline = true });
            Assert.Equal(first.TraceHash, second.TraceHash);
            Assert.Equal(first.Timeline.ToArray(), second.Timeline.ToArray());
            Assert.Equal(first.TraceHash, new ProtocolRunner().Run(Mixed, seed, new RunOptions()).TraceHash);
        }
        Assert.NotEqual(new ProtocolRunner().Run(Mixed, 1, new RunOptions()).TraceHash, new ProtocolRunner().Run(Mixed, 2, new RunOptions()).TraceHash);
    }

    [Fact]
    public void Plan_of_a_report_repeats_the_run()
    {
        SimulationReport report = new ProtocolRunner().Run(Mixed, 3, new RunOptions());
        SimulationReport again = new ProtocolRunner().Run(Mixed with { Rates = [] }, 3, new RunOptions { Plan = report.Plan });
        Assert.Equal(report.TraceHash, again.TraceHash);
    }

    [Fact]
    public void Expectation_that_is_not_met_is_a_violation()
    {
        Scenario wrong = ScenarioLibrary.Get("primary-dies") with { Expect = [new Expectation("live", "A")] };
        Violation violation = new ProtocolRunner().Run(wrong, 1, new RunOptions()).Violation!;
        Assert.Equal(("expectation", "expected live A, and it is B"), (violation.Invariant, violation.Detail));
    }

    [Fact]
    public void Unknown_mutation_is_refused()
    {
        var refused = Assert.Throws<ScenarioException>(() => new ProtocolRunner().Run(Mixed, 1, new RunOptions { Mutation = "gremlin" }));
        Assert.Contains("there is no mutation 'gremlin' of the protocol: release-before-ack, two-winners", refused.Message, StringComparison.Ordinal);
    }
}
