using FtAkka.DeterministicSim.Cluster;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Tests.Cluster;

/// <summary>The whole system in one thread: runs, is protected, survives, is protected again, and does all that the same way each time.</summary>
public sealed class ThinPathTests
{
    private static readonly GuestSpec Counter = new("workload=counter count=60 period=100000000", 4 << 20, Disk: false, Nic: false);

    private static SimulationReport Run(Scenario scenario, ulong seed, bool timeline = false)
    {
        SimulationReport report = new ClusterRunner().Run(scenario, seed, new RunOptions { KeepTimeline = timeline });
        Assert.True(report.Violation is null, $"seed {seed}: {report.Violation}");
        return report;
    }

    [Fact]
    public void One_host_runs_a_guest_whose_console_is_exact()
    {
        var scenario = new Scenario
        {
            Name = "alone", Guest = Counter with { CommandLine = "workload=counter count=10 period=100000000" }, Hosts = ["A"], AutoProtect = false,
            Duration = TimeSpan.FromSeconds(2),
        };
        SimulationReport report = Run(scenario, 1, timeline: true);
        Assert.Equal(10, report.Timeline.Count(line => line.Kind == TimelineKind.Outside && line.Text.StartsWith("console: tick", StringComparison.Ordinal)));
        Assert.Equal(1UL, report.Generations);
        Assert.True(report.Instructions > 1000);
    }

    [Fact]
    public void Backup_takes_over_after_a_crash_and_is_protected_again()
    {
        var scenario = new Scenario
        {
            Name = "crash", Guest = Counter, Duration = TimeSpan.FromSeconds(4),
            Faults = [new Fault(FaultKind.HostCrash, TimeSpan.FromSeconds(2), "A", Duration: TimeSpan.FromSeconds(1))],
        };
        for (ulong seed = 1; seed <= 5; seed++)
        {
            SimulationReport report = Run(scenario, seed, timeline: seed == 1);
            Assert.Equal(2UL, report.Generations);
            Assert.Equal(1, report.Effects[FaultKind.HostCrash]);
            foreach (NamedMoment moment in (NamedMoment[])[NamedMoment.CloneRound, NamedMoment.FinalSwitch, NamedMoment.BetweenAckAndRelease, NamedMoment.Drain,
                NamedMoment.BetweenTestAndSetAndAnnouncement, NamedMoment.Reprotection])
            {
                Assert.True(report.MomentsReached.ContainsKey(moment), $"seed {seed} never reached {moment}");
            }
            Assert.Equal(report.TraceHash, Run(scenario, seed).TraceHash);
        }
    }
}
