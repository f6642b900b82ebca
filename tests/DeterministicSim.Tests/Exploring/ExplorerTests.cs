using System.Collections.Immutable;
using FtAkka.DeterministicSim.Exploring;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Tests.Exploring;

/// <summary>Many seeds on several workers: each is run once, and what they came to does not depend on who ran them.</summary>
public sealed class ExplorerTests
{
    private static readonly Scenario Any = new() { Name = "any", Guest = ScenarioParser.DefaultGuest };

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void Every_seed_is_run_once(int jobs)
    {
        ExploreResult result = Explore(new ExploreRequest { Seeds = new SeedRange(5, 1004), Jobs = jobs, KeepGoing = true }, failing: []);
        Assert.Equal(1000, result.Tally.Seeds);
        Assert.Equal(TimeSpan.FromSeconds(1000), result.Tally.VirtualTime);
        Assert.Equal(Enumerable.Range(5, 1000).Sum(seed => seed % 3), result.Tally.Effects[FaultKind.HostCrash]);
        Assert.Equal(1005ul, result.NextSeed);
    }

    [Fact]
    public void Sum_of_traces_does_not_depend_on_the_workers()
    {
        var request = new ExploreRequest { Seeds = new SeedRange(1, 500) };
        Assert.Equal(Explore(request, []).Tally.TraceSum, Explore(request with { Jobs = 3 }, []).Tally.TraceSum);
        Assert.NotEqual(Explore(request, []).Tally.TraceSum, Explore(request with { Seeds = new SeedRange(1, 499) }, []).Tally.TraceSum);
    }

    [Fact]
    public void First_failure_ends_it()
    {
        ExploreResult result = Explore(new ExploreRequest { Seeds = new SeedRange(1, 1_000_000) }, failing: [17, 900_000]);
        FailedSeed failure = Assert.Single(result.Tally.Failures);
        Assert.Equal(17ul, failure.Seed);
        Assert.Equal("planted", failure.Violation.Invariant);
        Assert.Equal(17, result.Tally.Seeds);
    }

    [Fact]
    public void Failures_are_collected_in_order_of_seeds()
    {
        ExploreResult result = Explore(new ExploreRequest { Seeds = new SeedRange(1, 2000), Jobs = 4, KeepGoing = true }, failing: [1999, 3, 700]);
        Assert.Equal([3ul, 700, 1999], result.Tally.Failures.Select(failure => failure.Seed));
        Assert.Equal(2000, result.Tally.Seeds);
    }

    [Fact]
    public void Time_limit_ends_it()
    {
        var request = new ExploreRequest { Seeds = new SeedRange(0, ulong.MaxValue), TimeLimit = TimeSpan.FromMilliseconds(50) };
        ExploreResult result = Explore(request, []);
        Assert.InRange(result.Tally.Seeds, 1, long.MaxValue);
        Assert.Equal((ulong)result.Tally.Seeds, result.NextSeed);
    }

    [Fact]
    public void Interruption_keeps_what_there_is()
    {
        using var interrupt = new CancellationTokenSource();
        var request = new ExploreRequest { Seeds = new SeedRange(1, ulong.MaxValue), KeepGoing = true };
        var explorer = new Explorer(() => new LocalSeedWorker(new Planted([2], breaksAt: null), Any, new RunOptions()), request)
        {
            Progress = (_, _) => interrupt.Cancel(),
        };
        ExploreResult result = explorer.Run(interrupt.Token);
        Assert.True(result.Interrupted);
        Assert.InRange(result.Tally.Seeds, 1, 1000);
        Assert.Equal((ulong)result.Tally.Seeds + 1, result.NextSeed);
    }

    [Fact]
    public void Last_seed_there_is_ends_it()
    {
        Assert.Equal(3, Explore(new ExploreRequest { Seeds = new SeedRange(ulong.MaxValue - 2, ulong.MaxValue) }, []).Tally.Seeds);
    }

    [Fact]
    public void Worker_that_breaks_is_told()
    {
        var explorer = new Explorer(() => new LocalSeedWorker(new Planted([], breaksAt: 9), Any, new RunOptions()), new ExploreRequest { Seeds = new SeedRange(1, 100) });
        Assert.Equal("seed 9 breaks", Assert.Throws<InvalidOperationException>(() => explorer.Run()).Message);
    }

    [Theory]
    [InlineData("1..100", 1, 100)]
    [InlineData("7", 7, 7)]
    [InlineData("0..18446744073709551615", 0, ulong.MaxValue)]
    public void Range_of_seeds_is_read(string text, ulong first, ulong last)
    {
        Assert.True(SeedRange.TryParse(text, out SeedRange range));
        Assert.Equal(new SeedRange(first, last), range);
    }

    [Theory]
    [InlineData("")]
    [InlineData("2..1")]
    [InlineData("a..b")]
    [InlineData("1..2..3")]
    [InlineData("-1..5")]
    public void Text_that_is_no_range_is_refused(string text) => Assert.False(SeedRange.TryParse(text, out _));

    private static ExploreResult Explore(ExploreRequest request, ulong[] failing) =>
        new Explorer(() => new LocalSeedWorker(new Planted([.. failing]), Any, new RunOptions()), request).Run();

    /// <summary>A runner whose every figure follows from the seed.</summary>
    private sealed class Planted(ImmutableArray<ulong> failing, ulong? breaksAt = null) : IScenarioRunner
    {
        public SimulationReport Run(Scenario scenario, ulong seed, RunOptions options) => seed == breaksAt
            ? throw new InvalidOperationException($"seed {seed} breaks")
            : new SimulationReport
            {
                Scenario = scenario.Name,
                Seed = seed,
                TraceHash = seed.ToString("x", null),
                VirtualTime = TimeSpan.FromSeconds(1),
                Violation = failing.Contains(seed) ? new Violation("planted", default, "as planted") : null,
                Plan = [],
                Effects = ImmutableSortedDictionary<FaultKind, long>.Empty.Add(FaultKind.HostCrash, (long)(seed % 3)),
                MomentsReached = ImmutableSortedDictionary<NamedMoment, long>.Empty,
                CrashedAt = ImmutableSortedDictionary<NamedMoment, long>.Empty,
            };
    }
}
