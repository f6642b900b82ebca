using FtAkka.DeterministicSim.Exploring;
using FtAkka.DeterministicSim.Protocol;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Tests.Exploring;

/// <summary>What is left of a failing seed is small, and still fails alike, also when it was written to a file and read again.</summary>
public sealed class ShrinkerTests
{
    private static readonly Scenario Mixed = ScenarioLibrary.Get("mixed-faults");
    private static readonly RunOptions TwoWinners = new() { Mutation = "two-winners" };

    [Fact]
    public void Shrunk_scenario_fails_alike_from_its_file()
    {
        ulong seed = FirstFailing();
        SimulationReport before = new ProtocolRunner().Run(Mixed, seed, TwoWinners);
        ShrinkResult result = new Shrinker(new ProtocolRunner(), TwoWinners).Shrink(Mixed, seed);

        Assert.True(result.Scenario.Faults.Length < before.Plan.Length, $"{before.Plan.Length} faults, and {result.Scenario.Faults.Length} are left");
        Assert.InRange(result.Scenario.Faults.Length, 1, 4);
        Assert.True(result.Scenario.Duration <= Mixed.Duration);
        Assert.Empty(result.Scenario.Rates);

        Scenario read = ScenarioParser.Parse(ScenarioPrinter.Print(result.Scenario), "shrunk");
        SimulationReport again = new ProtocolRunner().Run(read, seed, TwoWinners);
        Assert.Equal(before.Violation!.Invariant, again.Violation?.Invariant);
        Assert.Equal(result.Report.TraceHash, again.TraceHash);
    }

    [Fact]
    public void No_single_fault_can_be_left_out_of_what_is_left()
    {
        ulong seed = FirstFailing();
        ShrinkResult result = new Shrinker(new ProtocolRunner(), TwoWinners).Shrink(Mixed, seed);
        for (int i = 0; i < result.Scenario.Faults.Length; i++)
        {
            Scenario without = result.Scenario with { Faults = result.Scenario.Faults.RemoveAt(i) };
            Assert.NotEqual(result.Report.Violation!.Invariant, new ProtocolRunner().Run(without, seed, TwoWinners).Violation?.Invariant);
        }
    }

    [Fact]
    public void Seed_of_a_shorter_run_is_shrunk_without_the_faults_behind_its_end()
    {
        RunOptions shorter = TwoWinners with { Duration = TimeSpan.FromSeconds(10) };
        ulong seed = FirstFailing(shorter);
        ShrinkResult result = new Shrinker(new ProtocolRunner(), shorter).Shrink(Mixed, seed);
        Assert.Equal(new ProtocolRunner().Run(Mixed, seed, shorter).Violation!.Invariant, result.Report.Violation!.Invariant);
        Assert.All(result.Scenario.Faults, fault => Assert.True(fault.At <= TimeSpan.FromSeconds(10)));
    }

    [Fact]
    public void Seed_that_does_not_fail_is_refused()
    {
        var refused = Assert.Throws<ScenarioException>(() => new Shrinker(new ProtocolRunner(), new RunOptions()).Shrink(ScenarioLibrary.Get("primary-dies"), 1));
        Assert.Equal("seed 1 of primary-dies does not fail: there is nothing to shrink", refused.Message);
    }

    private static ulong FirstFailing() => FirstFailing(TwoWinners);

    private static ulong FirstFailing(RunOptions options)
    {
        var request = new ExploreRequest { Seeds = new SeedRange(1, 200) };
        ExploreResult result = new Explorer(() => new LocalSeedWorker(new ProtocolRunner(), Mixed, options), request).Run();
        return Assert.Single(result.Tally.Failures).Seed;
    }
}
