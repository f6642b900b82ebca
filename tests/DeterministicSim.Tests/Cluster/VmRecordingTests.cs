using FtAkka.DeterministicSim.Cluster;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Recordings;
using FtAkka.Replication.Replay;

namespace FtAkka.DeterministicSim.Tests.Cluster;

/// <summary>What a simulated VM went through replays like any other recording, over its failovers.</summary>
public sealed class VmRecordingTests
{
    [Fact]
    public void Log_of_a_vm_that_failed_over_replays_with_the_same_digests()
    {
        string folder = Directory.CreateTempSubdirectory("ftakka-sim").FullName;
        try
        {
            string recording = Path.Combine(folder, "recording");
            SimulationReport report = new ClusterRunner().Run(ScenarioLibrary.Get("primary-dies"), 1, new RunOptions { Recording = recording });
            Assert.True(report.Violation is null, $"{report.Violation}");
            Assert.True(report.Generations > 1);
            RecordingReader reader = RecordingReader.Open(recording);
            using var replay = new RecordingReplay(reader, reader.Keyframes[0]);
            PlayerExit exit;
            do
            {
                exit = replay.Run(1_000_000);
            }
            while (exit.Stop == PlayerStop.BudgetSpent);
            Assert.True(replay.Player.Divergence is null, $"{replay.Player.Divergence}");
            Assert.Equal(PlayerStop.Starved, exit.Stop);
            Assert.True(replay.Player.DigestsChecked > 10, $"{replay.Player.DigestsChecked} digests");
            Assert.True(replay.Machine.Icount > 100_000, $"{replay.Machine.Icount} instructions");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
