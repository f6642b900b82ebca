using System.Collections.Immutable;
using System.Runtime.InteropServices;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Tests.Protection;

/// <summary>Decisions of replicas that have their own copies of a disk (the paper, 4.1).</summary>
public sealed class OwnDiskTests
{
    private static readonly ProtectionOptions Options = new() { Disks = [new ProtectedDisk(1024, DiskSharing.Separate)] };
    private static readonly DiskRequested Write = new(1, 0, new DiskRequest(0, DiskRequestKind.Write, 8, 512, [.. new byte[512]]));

    private static Instant At(int milliseconds) => new(milliseconds * TimeSpan.TicksPerMillisecond);

    private static LogEntry Mark(ulong lsn, ulong lastOutput) => new(new Lsn(lsn), lsn, new OutputMarkPayload(lastOutput));

    /// <summary>A backup that owes its disk a write, and whose primary has fallen silent.</summary>
    private static ReplicaCore BackupThatOwes()
    {
        (ReplicaCore backup, _) = AssembledBackup.At(At(1), Options);
        backup.Step(At(2), new ReplicaInput.Received(new LogAppend(ImmutableCollectionsMarshal.AsImmutableArray(LogFrame.Write([Mark(1, 1)])),
            1, 1, 1, 1, At(2).Ticks, At(2).Ticks, 0, true, 0)));
        var effects = backup.Step(At(3), new ReplicaInput.Replayed(new Lsn(1), 1, [Write]));
        Assert.Equal(Write, Assert.Single(Assert.Single(effects.OfType<ReplicaEffect.PerformOwn>()).Requests).Effect);
        return backup;
    }

    private static bool Claims(IEnumerable<ReplicaEffect> effects) => effects.Any(effect => effect is ReplicaEffect.AskArbiter);

    private static List<ReplicaEffect> Silence(ReplicaCore backup, int from, int to) =>
        [.. Enumerable.Range(0, (to - from) / 20).SelectMany(i => backup.Step(At(from + (i * 20)), new ReplicaInput.Tick()))];

    [Fact]
    public void Backup_asks_the_arbiter_only_when_its_disk_has_what_its_machine_has_written()
    {
        ReplicaCore backup = BackupThatOwes();
        Assert.False(Claims(Silence(backup, 20, 2000)));
        Assert.Equal(ReplicaRole.GoingLive, backup.Role);

        Assert.True(Claims(backup.Step(At(2000), new ReplicaInput.OwnRequestPerformed(1))));
    }

    [Fact]
    public void Backup_whose_disk_fails_says_why_and_halts_without_asking()
    {
        ReplicaCore backup = BackupThatOwes();
        var effects = backup.Step(At(4), new ReplicaInput.OwnDiskFailed("disk 0 is full"));

        var closed = Assert.IsType<ChannelClosed>(Assert.Single(effects.OfType<ReplicaEffect.Send>(), send => send.Message is ChannelClosed).Message);
        Assert.Contains("disk 0 is full", closed.Text, StringComparison.Ordinal);
        Assert.Equal(HaltReason.DiskFailed, Assert.Single(effects.OfType<ReplicaEffect.HaltReplica>()).Reason);
        Assert.False(Claims(Silence(backup, 20, 2000)));
    }

    [Fact]
    public void Backup_of_a_machine_that_has_ended_ends_with_the_last_write_to_its_own_disk()
    {
        (ReplicaCore backup, _) = AssembledBackup.At(At(1), Options);
        LogEntry end = new(new Lsn(2), 2, new EndPayload(MachineExitReason.PowerOff));
        backup.Step(At(2), new ReplicaInput.Received(new LogAppend(ImmutableCollectionsMarshal.AsImmutableArray(LogFrame.Write([Mark(1, 1), end])),
            1, 2, 1, 1, At(2).Ticks, At(2).Ticks, 0, true, 0)));
        Assert.Equal(ReplicaRole.Backup, backup.Role);

        // The primary's disk has the write already, and all of the log is here: the primary ends, long before this replica has replayed to the end.
        backup.Step(At(3), new ReplicaInput.Received(new ChannelClosed(1, 1, ChannelCloseReason.Ended, "the machine ended")));
        Assert.False(Claims(Silence(backup, 20, 3000)));
        Assert.Equal(ReplicaRole.Backup, backup.Role);
        backup.Step(At(3001), new ReplicaInput.Replayed(new Lsn(2), 2, [Write]));
        Assert.Equal(ReplicaRole.Backup, backup.Role);

        var effects = backup.Step(At(3002), new ReplicaInput.OwnRequestPerformed(1));

        Assert.Equal(HaltReason.MachineEnded, Assert.Single(effects.OfType<ReplicaEffect.HaltReplica>()).Reason);
    }

    [Fact]
    public void New_backup_is_entitled_only_with_every_write_that_the_copy_of_the_disk_may_have()
    {
        var pair = new CorePair(Options);
        ReplicaCore primary = pair.Cloning().Core!;
        for (int i = 0; i < 60 && !pair.B.Sent.Any(message => message is CloneAssembled); i++)
        {
            pair.A.TryAnswerCopy(pair.Now);
            pair.B.TryAnswerCopy(pair.Now);
            if (pair.A.Sent.TryDequeue(out IChannelMessage? toB))
                pair.B.Step(pair.Now, new ReplicaInput.Received(toB));
            if (pair.B.Sent.TryPeek(out IChannelMessage? toA) && toA is not CloneAssembled)
                pair.A.Step(pair.Now, new ReplicaInput.Received(pair.B.Sent.Dequeue()));
        }
        Instant later = pair.Now + TimeSpan.FromSeconds(1);
        // A pause: the fence is closed until the arbiter has answered, and the separate disk goes on.
        var asked = primary.Step(later, new ReplicaInput.Tick()).OfType<ReplicaEffect.CheckOwnership>().Single();
        primary.Step(later, new ReplicaInput.Recorded([Mark(1, 1)], [Write], 1));
        primary.Step(later, new ReplicaInput.DiskRequestEnded(0, 0, DiskStatus.Ok));
        primary.Step(later, new ReplicaInput.Received(pair.B.Sent.Single(message => message is CloneAssembled)));
        Assert.Equal(ReplicaRole.CloningPrimary, primary.Role);

        var effects = primary.Step(later, new ReplicaInput.ArbiterAnswered(asked.Attempt, OwnershipVerdict.Owned));

        Assert.Equal(ReplicaRole.ProtectedPrimary, primary.Role);
        Assert.All(effects.OfType<ReplicaEffect.Send>().Select(send => send.Message).OfType<LogAppend>(), append => Assert.Equal((true, 1ul), (append.Entitled, append.EntitledFromLsn)));
        Assert.Contains(effects, effect => effect is ReplicaEffect.Send { Message: LogAppend });
    }
}
