using FtAkka.Cpu;
using FtAkka.Machine;
using FtAkka.Replication.Log;
using FtAkka.Replication.Replay;
using FtAkka.TinyGuests;

namespace FtAkka.LogChannelActors.Tests.Replicas;

/// <summary>What a backup's machine says in one turn of replay is limited in bytes: the gate, which holds replay, sees it only behind the turn.</summary>
public sealed class ReplayTurnTests
{
    [Fact]
    public void Turn_ends_behind_the_run_that_reaches_the_limit_of_bytes()
    {
        List<LogEntry> log = Record();
        Assert.Equal(1, TurnsOf(log, long.MaxValue));
        int marks = log.Count(entry => entry.Payload is OutputMarkPayload);
        Assert.True(marks > 3, $"{marks} stretches with outputs");
        Assert.InRange(TurnsOf(log, 1), marks, marks + 2);
    }

    /// <summary>A greeting, in many short runs.</summary>
    private static List<LogEntry> Record()
    {
        using GuestMachine machine = Machine();
        var recorder = new MachineRecorder(machine, digestInterval: 0);
        for (int run = 0; run < 100_000; run++)
        {
            if (recorder.Run(50).Reason == MachineExitReason.PowerOff)
            {
                return [.. recorder.TakeEntries()];
            }
        }
        throw new InvalidOperationException("The guest did not end.");
    }

    private static int TurnsOf(List<LogEntry> log, long bytesMax)
    {
        using GuestMachine machine = Machine();
        var player = new MachinePlayer(machine) { EffectBytesMax = bytesMax };
        log.ForEach(entry => Assert.True(player.TryAppend(entry)));
        for (int turns = 1; ; turns++)
        {
            PlayerExit exit = player.Run(1_000_000_000);
            if (exit.Stop == PlayerStop.Ended)
            {
                return turns;
            }
            Assert.Equal((PlayerStop.BudgetSpent, null), (exit.Stop, player.Divergence));
        }
    }

    private static GuestMachine Machine()
    {
        var machine = new GuestMachine(new MachineConfig { MemoryBytes = 16 << 20, CommandLine = "" }, new VcpuOptions { CodeCacheBytes = 1 << 20 });
        Assert.Null(machine.LoadLinux(TinyGuest.Kernel, default));
        return machine;
    }
}
