using FtAkka.DeterministicSim.Protocol;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Tests.Scenarios;

/// <summary>The scenarios of the library: each is valid, and each ends as it says, on the protocol alone, for whatever seed.</summary>
public sealed class ScenarioLibraryTests
{
    private const ulong SeedsEach = 6;

    public static TheoryData<string> Names => [.. ScenarioLibrary.Names];

    [Fact]
    public void There_are_at_least_twenty() => Assert.InRange(ScenarioLibrary.Names.Count, 20, 200);

    [Theory]
    [MemberData(nameof(Names))]
    public void Scenario_is_what_its_file_says(string name)
    {
        Scenario scenario = ScenarioLibrary.Get(name);
        Assert.Equal(name, scenario.Name);
        Assert.NotEmpty(scenario.Description);
        Assert.True(scenario.Rates.Length > 0 || scenario.Expect.Length > 0, "a story without chance has an end that can be told");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Scenario_ends_as_it_says_on_the_protocol(string name)
    {
        Scenario scenario = ScenarioLibrary.Get(name);
        for (ulong seed = 1; seed <= SeedsEach; seed++)
        {
            SimulationReport report = new ProtocolRunner().Run(scenario, seed, new RunOptions());
            Assert.True(report.Violation is null, $"seed {seed}: {report.Violation}\n./ftakka sim run {name} --seed {seed} --protocol");
            // A fault that has no effect tests nothing. The protocol alone has one disk, which no backup touches.
            foreach (Fault fault in scenario.Faults.Where(fault => ProtocolRunner.Knows(fault.Kind) && !(scenario.Guest.OwnDisk && fault.Kind == FaultKind.DiskFull)))
            {
                Assert.True(report.Effects.GetValueOrDefault(fault.Kind) > 0, $"seed {seed}: {ScenarioNames.Of(fault.Kind)} had no effect");
            }
        }
    }
}
