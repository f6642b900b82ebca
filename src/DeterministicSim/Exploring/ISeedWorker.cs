using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Exploring;

/// <summary>Runs seeds, one after the other. Used by one thread at a time.</summary>
public interface ISeedWorker : IDisposable
{
    /// <summary>Runs a range to its end, or to the first failure if so asked.</summary>
    ExploreTally Run(SeedRange range, bool stopAtFailure);
}

/// <summary>Runs seeds in this process.</summary>
/// <param name="runner">Who runs them.</param>
/// <param name="scenario">The scenario.</param>
/// <param name="options">How.</param>
public sealed class LocalSeedWorker(IScenarioRunner runner, Scenario scenario, RunOptions options) : ISeedWorker
{
    /// <inheritdoc/>
    public ExploreTally Run(SeedRange range, bool stopAtFailure)
    {
        ExploreTally tally = ExploreTally.Empty;
        for (ulong seed = range.First; ; seed++)
        {
            tally = tally.Add(runner.Run(scenario, seed, options));
            if (seed == range.Last || (stopAtFailure && !tally.Failures.IsEmpty))
            {
                return tally;
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
