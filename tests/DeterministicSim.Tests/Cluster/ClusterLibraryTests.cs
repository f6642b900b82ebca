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

    /// <summary>The protocol alone knows shared disks only, so that the scenario itself cannot say that the backup was dropped.</summary>
    [Fact]
    public void Backup_whose_own_disk_is_full_is_dropped_and_made_again()
    {
        SimulationReport report = new ClusterRunner().Run(ScenarioLibrary.Get("own-disk-fails"), 1, new RunOptions());
        Assert.Null(report.Violation);
        Assert.Equal(2ul, report.Generations);
        Assert.True(report.Effects[FaultKind.DiskFull] > 0);
    }

    /// <summary>The protocol alone opens no disks, so that the scenarios themselves cannot say that it took effect.</summary>
    [Theory]
    [InlineData("disk-not-there")]
    [InlineData("disk-not-there-then-primary")]
    public void Disk_that_cannot_be_opened_is_missed(string name) =>
        Assert.True(new ClusterRunner().Run(ScenarioLibrary.Get(name), 1, new RunOptions()).Effects[FaultKind.DiskNotThere] > 0);

    /// <summary>Scenarios are told apart by how they are written, so what was read must be written again.</summary>
    [Fact]
    public void Own_disks_are_in_the_text_of_a_scenario()
    {
        Scenario scenario = ScenarioLibrary.Get("own-disks");
        Assert.True(scenario.Guest is { Disk: true, OwnDisk: true, Nic: true });
        Assert.Equal(scenario.Guest, ScenarioParser.Parse(ScenarioPrinter.Print(scenario), "again").Guest);
    }
}
