using System.Runtime.InteropServices;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Tests.Protection;

/// <summary>A backup that keeps as many outputs as it may, so that its replay is held, and whose primary then falls silent.</summary>
public sealed class HeldReplayTests
{
    private static readonly ProtectionOptions Options = new() { OutputsMax = 2, Disks = [new ProtectedDisk(1024, DiskSharing.Separate)] };
    private static readonly ReplicaEffect.SetPace Held = new(StopReasons.ReplayOutputsFull, 100);
    private static readonly ReplicaEffect.SetPace Free = new(StopReasons.None, 100);

    private static Instant At(int milliseconds) => new(milliseconds * TimeSpan.TicksPerMillisecond);

    private static ConsoleOutput Console(ulong offset) => new(1, ConsoleKind.Serial, offset, [7]);

    private static DiskRequested Write(ulong id) => new(1, 0, new DiskRequest(id, DiskRequestKind.Write, 8 * id, 512, [.. new byte[512]]));

    private static LogEntry Mark(ulong lsn, ulong lastOutput) => new(new Lsn(lsn), lsn, new OutputMarkPayload(lastOutput));

    private static ReplicaInput.Received Append(int at, params LogEntry[] entries) => new(new LogAppend(
        ImmutableCollectionsMarshal.AsImmutableArray(entries.Length == 0 ? [] : LogFrame.Write(entries)), 1, 2, 1, 1, At(at).Ticks, At(at).Ticks, 0, true, 0));

    private static IEnumerable<ReplicaEffect.SetPace> Paces(IEnumerable<ReplicaEffect> effects) => effects.OfType<ReplicaEffect.SetPace>();

    private static bool Claims(IEnumerable<ReplicaEffect> effects) => effects.Any(effect => effect is ReplicaEffect.AskArbiter);

    /// <summary>It has received two entries and replayed the first, which made these two outputs and filled its gate.</summary>
    private static ReplicaCore HeldBackup(MachineEffect first, MachineEffect second)
    {
        (ReplicaCore backup, _) = AssembledBackup.At(At(1), Options);
        backup.Step(At(2), Append(2, Mark(1, 2), Mark(2, 3)));
        Assert.Equal([Held], Paces(backup.Step(At(3), new ReplicaInput.Replayed(new Lsn(1), 1, [first, second]))));
        return backup;
    }

    private static List<ReplicaEffect> FallSilent(ReplicaCore backup)
    {
        List<ReplicaEffect> effects = [.. Enumerable.Range(1, 100).SelectMany(i => backup.Step(At(i * 20), new ReplicaInput.Tick()))];
        Assert.Equal(ReplicaRole.GoingLive, backup.Role);
        Assert.False(Claims(effects));
        return effects;
    }

    [Fact]
    public void Replay_goes_on_when_nobody_is_left_to_report_that_outputs_have_left()
    {
        ReplicaCore backup = HeldBackup(Console(0), Console(1));

        List<ReplicaEffect> silence = FallSilent(backup);

        Assert.Equal([Free], Paces(silence));
        Assert.True(silence.FindIndex(effect => effect is ReplicaEffect.RoleChanged { To: ReplicaRole.GoingLive }) < silence.IndexOf(Free));
        var drained = backup.Step(At(2001), new ReplicaInput.Replayed(new Lsn(2), 2, [Console(2)]));
        Assert.Empty(Paces(drained));
        Assert.True(Claims(drained));
    }

    [Fact]
    public void Own_disk_holds_replay_while_it_goes_live_and_each_request_that_ends_lets_it_go_on()
    {
        ReplicaCore backup = HeldBackup(Write(1), Write(2));

        Assert.Empty(Paces(FallSilent(backup)));
        Assert.Equal([Free], Paces(backup.Step(At(2001), new ReplicaInput.OwnRequestPerformed(1))));
        Assert.Equal([Held], Paces(backup.Step(At(2002), new ReplicaInput.Replayed(new Lsn(2), 2, [Write(3)]))));
        Assert.False(Claims(backup.Step(At(2003), new ReplicaInput.OwnRequestPerformed(2))));
        Assert.True(Claims(backup.Step(At(2004), new ReplicaInput.OwnRequestPerformed(3))));
    }

    [Fact]
    public void Own_disk_that_owes_nothing_holds_no_replay_though_the_gate_stays_full()
    {
        ReplicaCore backup = HeldBackup(Console(0), Write(1));

        Assert.Empty(Paces(FallSilent(backup)));
        var done = backup.Step(At(2001), new ReplicaInput.OwnRequestPerformed(2));

        Assert.Equal(2, backup.Status(At(2001)).OutputsUnderWay);
        Assert.Equal([Free], Paces(done));
        Assert.True(Claims(backup.Step(At(2002), new ReplicaInput.Replayed(new Lsn(2), 2, [Console(1)]))));
    }

    [Fact]
    public void Primary_that_is_heard_again_finds_replay_held_as_before()
    {
        ReplicaCore backup = HeldBackup(Console(0), Console(1));
        FallSilent(backup);

        Assert.Equal([Held], Paces(backup.Step(At(2001), Append(2001))));
        Assert.Equal(ReplicaRole.Backup, backup.Role);
    }
}
