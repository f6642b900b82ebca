using FtAkka.DeterministicSim.Cluster;
using FtAkka.DeterministicSim.Protocol;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.Regressions.Tests;

/// <summary>
/// One scenario for each bug that the simulator has found: its <c>about</c> lines say what went wrong. Scenarios here are never changed, since
/// a seed belongs to its text.
/// </summary>
public sealed class RegressionTests
{
    private const ulong Seeds = 5;

    public static TheoryData<string> Scenarios =>
        [.. Directory.GetFiles(AppContext.BaseDirectory, "*.scenario").Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Scenarios))]
    public void Bug_stays_fixed(string file)
    {
        Scenario scenario = ScenarioParser.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, file)), file);
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            SimulationReport report = new ClusterRunner().Run(scenario, seed, new RunOptions());
            Assert.True(report.Violation is null, $"{file}, seed {seed}: {report.Violation}");
        }
    }

    /// <summary>Found by the decisions alone, with the seed that showed it.</summary>
    [Theory]
    [InlineData("late-answer-of-the-arbiter.scenario", 3412544253000913UL)]
    [InlineData("stopped-machine-with-many-requests.scenario", 45392UL)]
    [InlineData("held-replay-drains.scenario", 1224UL)]
    public void Bug_of_the_protocol_stays_fixed(string file, ulong seed)
    {
        Scenario scenario = ScenarioParser.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, file)), file);
        SimulationReport report = new ProtocolRunner().Run(scenario, seed, new RunOptions());
        Assert.True(report.Violation is null, $"{file}, seed {seed}: {report.Violation}");
    }

    /// <summary>The bug, put in again: the first seed shows it.</summary>
    [Theory]
    [InlineData("held-replay-goes-live.scenario", "lasting-hold", "liveness")]
    public void Bug_is_seen_when_it_is_back(string file, string mutation, string invariant)
    {
        Scenario scenario = ScenarioParser.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, file)), file);
        SimulationReport report = new ClusterRunner().Run(scenario, 1, new RunOptions { Mutation = mutation });
        Assert.Equal(invariant, report.Violation?.Invariant);
    }
}
