using System.Collections.Immutable;
using FtAkka.Cpu;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Log;
using FtAkka.Replication.Replay;
using FtAkka.TinyGuests;

namespace FtAkka.LogChannelActors.Tests.Replicas;

/// <summary>A log without the data of reads replays with what the replica reads itself, and waits for it (the paper, 4.2).</summary>
public sealed class OwnReadReplayTests
{
    private const int Records = 4;

    private static GuestMachine Machine()
    {
        var machine = new GuestMachine(new MachineConfig
        {
            MemoryBytes = 16 << 20,
            CommandLine = $"workload=journal records={Records} seed=7",
            Disks = [new BlockOptions { CapacitySectors = 64 }],
        }, new VcpuOptions { CodeCacheBytes = 1 << 20 });
        Assert.Null(machine.LoadLinux(TinyGuest.Kernel, default));
        return machine;
    }

    private static DiskCompletion Execute(byte[] disk, DiskRequest request)
    {
        int at = (int)request.Sector * 512;
        if (request.Kind == DiskRequestKind.Write)
        {
            request.Data.CopyTo(disk, at);
        }
        return new DiskCompletion(request.Id, DiskStatus.Ok, request.Kind == DiskRequestKind.Read ? [.. disk.AsSpan(at, (int)request.LengthBytes)] : []);
    }

    /// <summary>A run that finds two records on its disk and appends the rest.</summary>
    private static (List<LogEntry> Log, Dictionary<ulong, ImmutableArray<byte>> Reads) Record(byte[] disk)
    {
        using GuestMachine machine = Machine();
        var recorder = new MachineRecorder(machine, digestInterval: 2_000);
        var log = new List<LogEntry>();
        var reads = new Dictionary<ulong, ImmutableArray<byte>>();
        for (int turn = 0; turn < 10_000; turn++)
        {
            MachineExit exit = recorder.Run(10_000);
            foreach (DiskRequested requested in exit.Effects.OfType<DiskRequested>())
            {
                DiskCompletion completion = Execute(disk, requested.Request);
                if (requested.Request.Kind == DiskRequestKind.Read)
                {
                    reads[completion.Id] = completion.Data;
                }
                recorder.Inject(new DiskCompleted(0, completion));
            }
            if (exit.Reason == MachineExitReason.Idle)
            {
                recorder.Inject(new ClockAdvance(machine.Tsc + 1_000_000));
            }
            log.AddRange(recorder.TakeEntries());
            if (exit.Reason is MachineExitReason.PowerOff or MachineExitReason.Reset)
            {
                return (log, reads);
            }
        }
        throw new InvalidOperationException("The guest did not end.");
    }

    private static byte[] DiskWithTwoRecords()
    {
        byte[] disk = new byte[64 * 512];
        JournalRecord.Expected(7, 2).CopyTo(disk, 0);
        return disk;
    }

    private static LogEntry WithoutData(LogEntry entry) => entry.Payload is InputPayload { Input: DiskCompleted { Completion.Data.Length: > 0 } completed }
        ? entry with { Payload = new OwnReadPayload(completed.Disk, completed.Completion.Id) } : entry;

    [Fact]
    public void Replay_waits_for_each_read_and_computes_the_same()
    {
        byte[] disk = DiskWithTwoRecords();
        (List<LogEntry> log, Dictionary<ulong, ImmutableArray<byte>> reads) = Record(disk);
        Assert.Equal(3, reads.Count);
        Assert.Equal(JournalRecord.Expected(7, Records), disk[..(Records * 512)]);
        using GuestMachine machine = Machine();
        var player = new MachinePlayer(machine);
        log.ForEach(entry => Assert.True(player.TryAppend(WithoutData(entry))));

        int waits = 0;
        var made = new List<MachineEffect>();
        while (true)
        {
            PlayerExit exit = player.Run(1_000_000);
            made.AddRange(exit.Effects);
            if (exit.Stop == PlayerStop.AwaitsDisk)
            {
                waits++;
                DiskRequest wanted = made.OfType<DiskRequested>().Last().Request;
                Assert.Equal(DiskRequestKind.Read, wanted.Kind);
                player.SupplyRead(0, wanted.Id + 1, [1, 2, 3]);   // nobody waits for that
                Assert.Equal(PlayerStop.AwaitsDisk, player.Run(1).Stop);
                player.SupplyRead(0, wanted.Id, reads[wanted.Id]);
            }
            else if (exit.Stop != PlayerStop.BudgetSpent)
            {
                Assert.Equal((PlayerStop.Ended, null), (exit.Stop, player.Divergence));
                break;
            }
        }
        Assert.Equal(3, waits);
        Assert.True(player.DigestsChecked > 2);
    }

    [Fact]
    public void Another_content_is_seen_by_the_digests_or_the_outputs()
    {
        (List<LogEntry> log, _) = Record(DiskWithTwoRecords());
        using GuestMachine machine = Machine();
        var player = new MachinePlayer(machine);
        log.ForEach(entry => Assert.True(player.TryAppend(WithoutData(entry))));
        while (player.Run(1_000_000) is { Stop: PlayerStop.AwaitsDisk or PlayerStop.BudgetSpent })
        {
            foreach ((int disk, DiskRequest request) in machine.OutstandingDiskRequests.ToArray())
            {
                player.SupplyRead(disk, request.Id, [.. new byte[request.LengthBytes]]);
            }
        }
        Assert.NotNull(player.Divergence);
    }
}
