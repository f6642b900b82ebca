using FtAkka.DeterministicSim.Cluster;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Tests.Cluster;

/// <summary>Every scenario of the library tells its story on the whole system too.</summary>
public sealed class ClusterLibraryTests
{
    public static TheoryData<string> Scenarios => [.. ScenarioLibrary.Names];

    [Theory]
    [MemberData(nameof(Scenarios))]
    public void Scenario_ends_as_it_says(string name)
    {
        Scenario scenario = ScenarioLibrary.Get(name);
        for (ulong seed = 1; seed <= 1; seed++)
        {
            SimulationReport report = new ClusterRunner().Run(scenario, seed, new RunOptions());
            Assert.True(report.Violation is null, $"{name}, seed {seed}: {report.Violation}");
        }
    }
}
