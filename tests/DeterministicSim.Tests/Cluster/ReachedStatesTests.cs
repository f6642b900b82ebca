using FtAkka.DeterministicSim.Exploring;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Tests.Cluster;

/// <summary>An exploration that never comes to what is hard says little. The same seeds each time, as many as it takes, and no more than these.</summary>
public sealed class ReachedStatesTests
{
    private const ulong SeedsMost = 150;
    private const ulong SeedsAtOnce = 10;

    [Fact]
    public void Seeds_of_the_demanding_scenario_reach_every_state_that_must_be()
    {
        using var worker = new LocalSeedWorker(ScenarioRunners.Create(ScenarioRunners.Cluster), ScenarioLibrary.Get("demanding-mixed"), new RunOptions());
        ExploreTally tally = ExploreTally.Empty;
        for (ulong first = 1; first <= SeedsMost && Missing(tally).Length > 0; first += SeedsAtOnce)
        {
            tally = tally.Add(worker.Run(new SeedRange(first, first + SeedsAtOnce - 1), stopAtFailure: true));
            Assert.All(tally.Failures, failure => Assert.Fail($"{failure.Violation}\n./ftakka sim run demanding-mixed --seed {failure.Seed}"));
        }

        Assert.Empty(Missing(tally));
        Assert.True(tally.Effects.GetValueOrDefault(FaultKind.SmallLimits) > 0);
    }

    private static RunState[] Missing(ExploreTally tally) => [.. RunStates.MustReach.Where(state => tally.StatesReached.GetValueOrDefault(state) == 0)];
}
