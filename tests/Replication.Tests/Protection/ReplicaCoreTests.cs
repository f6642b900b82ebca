using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;
using FtAkka.Replication.Replay;
using static FtAkka.Replication.Tests.Protection.CorePair;

namespace FtAkka.Replication.Tests.Protection;

/// <summary>What a replica wants done, and in which order, in each of its roles.</summary>
public sealed class ReplicaCoreTests
{
    private static readonly Instant Start = new(TimeSpan.TicksPerSecond);

    private static readonly ReplicaInput.MachineReady Ready = new(new MachineDevices([0], [ConsoleKind.Serial]), 2);

    private static ulong Asked(IEnumerable<ReplicaEffect> effects) => effects.OfType<ReplicaEffect.AskArbiter>().Last().Attempt;

    [Fact]
    public void Machine_that_starts_runs_when_its_devices_are_open()
    {
        CoreHost host = new CoreHost("A", new ProtectionOptions()).Create(Start);

        Assert.Equal("OpenDevices", Words(host.Step(Start, new ReplicaInput.Begin())));
        Assert.Equal("Run", Words(host.Step(Start, Ready)));
    }

    [Fact]
    public void Machine_that_starts_ends_when_a_device_is_refused()
    {
        CoreHost host = new CoreHost("A", new ProtectionOptions()).Create(Start);
        host.Step(Start, new ReplicaInput.Begin());

        Assert.Equal("FenceChanged closed, Solo to Halted, Halt DevicesRefused", Words(host.Step(Start, new ReplicaInput.DevicesRefused("busy"))));
        Assert.Empty(host.Step(Start, new ReplicaInput.Tick()));
    }

    [Fact]
    public void Backup_that_was_asked_for_before_the_machine_runs_is_made_when_it_does()
    {
        CoreHost host = new CoreHost("A", new ProtectionOptions()).Create(Start);
        host.Step(Start, new ReplicaInput.Begin());

        Assert.Empty(host.Step(Start, new ReplicaInput.Protect("B")));
        Assert.Equal("Run, Solo to CloningPrimary, Send CloneOffer", Words(host.Step(Start, Ready)));
    }

    [Fact]
    public void Backup_that_is_not_wanted_any_more_before_the_machine_runs_is_not_made()
    {
        CoreHost host = new CoreHost("A", new ProtectionOptions()).Create(Start);
        host.Step(Start, new ReplicaInput.Begin());
        host.Step(Start, new ReplicaInput.Protect("B"));
        host.Step(Start, new ReplicaInput.Unprotect());

        Assert.Equal("Run", Words(host.Step(Start, Ready)));
    }

    [Fact]
    public void Outputs_of_a_machine_without_backup_leave_at_once()
    {
        var pair = new CorePair();

        Assert.Equal("Release 1 2", Words(pair.Record(Text(0), Frame())));
        Assert.True(pair.A.Core!.HasOutputsUnderWay);
        pair.A.Step(pair.Now, new ReplicaInput.ConsoleTaken(ConsoleKind.Serial, 1));
        Assert.False(pair.A.Core.HasOutputsUnderWay);
    }

    [Fact]
    public void Copy_is_read_sent_and_committed_in_the_order_of_the_paper_3_1()
    {
        var pair = new CorePair();
        var seen = new List<ReplicaEffect>();
        void Note() => seen.AddRange(pair.A.Effects);

        pair.A.Step(pair.Now, new ReplicaInput.Protect("B"));
        Note();
        for (int i = 0; i < 60 && pair.A.Core!.Role != ReplicaRole.ProtectedPrimary; i++)
        {
            if (pair.A.TryAnswerCopy(pair.Now))
                Note();
            pair.B.TryAnswerCopy(pair.Now);
            if (pair.A.Sent.TryDequeue(out IChannelMessage? toB))
                pair.B.Step(pair.Now, new ReplicaInput.Received(toB));
            if (pair.B.Sent.TryDequeue(out IChannelMessage? toA))
            {
                pair.A.Step(pair.Now, new ReplicaInput.Received(toA));
                Note();
            }
        }

        string words = Words(seen.Where(effect => effect is not ReplicaEffect.Send { Message: LogReleased }));
        Assert.StartsWith("Solo to CloningPrimary, Send CloneOffer, ReadCopy StartDirtyLog, ReadCopy ReadPages", words, StringComparison.Ordinal);
        Assert.Contains("ReadCopy CollectDirty, ReadCopy PauseAndCapture, Send CloneState, Send CloneFinish, EndCopy, CloningPrimary to ProtectedPrimary, SendConsoleHistory, "
            + "FenceChanged lease, Send LogAppend", words, StringComparison.Ordinal);
    }

    [Fact]
    public void Output_of_a_protected_machine_leaves_when_the_backup_has_the_log_up_to_it()
    {
        CorePair pair = Protected();

        Assert.Equal("Send LogAppend", Words(pair.Record(Text(0))));
        Assert.Equal("FeedReplay, Send LogAck", Words(pair.B.Step(pair.Now, new ReplicaInput.Received(pair.A.Sent.Dequeue()))));
        Assert.Equal("FenceChanged lease, Release 1", Words(pair.A.Step(pair.Now, new ReplicaInput.Received(pair.B.Sent.Dequeue()))));
    }

    [Fact]
    public void Backup_goes_live_in_the_order_of_the_paper_2_2_and_3_4()
    {
        CorePair pair = Protected();
        pair.Record(Text(0), Write(1));
        pair.Deliver();
        pair.Replay(Text(0), Write(1));

        List<ReplicaEffect> silence = pair.PassFor(pair.B, 400);
        Assert.Equal("Backup to GoingLive, AskArbiter", Words(silence.Where(effect => effect is not ReplicaEffect.Send)));
        Assert.Equal("Send ChannelClosed TookOver, GoingLive to Solo, FenceChanged open, StopReplay",
            Words(pair.B.Step(pair.Now, new ReplicaInput.ArbiterAnswered(Asked(silence), OwnershipVerdict.Owned))));
        Assert.Equal("OpenDevices", Words(pair.B.Step(pair.Now, new ReplicaInput.ReplayStopped([new PendingRequest(0, Write(1).Request)]))));
        Assert.Equal("Announce, Reissue 1, Release 1, Run", Words(pair.B.Step(pair.Now, Ready)));

        FailoverTimes times = pair.B.Core!.View(pair.Now).Times;
        Assert.Equal((1, 1), (times.OutputsResent, times.DiskRequestsReissued));
        Assert.True(pair.B.Core.HasOutputsUnderWay);
        pair.B.Step(pair.Now, new ReplicaInput.DiskRequestEnded(0, 1, DiskStatus.Ok));
        pair.B.Step(pair.Now, new ReplicaInput.ConsoleTaken(ConsoleKind.Serial, 1));
        Assert.False(pair.B.Core.HasOutputsUnderWay);
    }

    [Fact]
    public void Machine_that_was_taken_over_has_its_devices_tried_again_for_a_minute()
    {
        CorePair pair = Protected();
        ulong asked = Asked(pair.PassFor(pair.B, 400));
        pair.B.Step(pair.Now, new ReplicaInput.ArbiterAnswered(asked, OwnershipVerdict.Owned));
        pair.B.Step(pair.Now, new ReplicaInput.ReplayStopped([]));

        for (int i = 0; i < 1200; i++)
        {
            Assert.Empty(Words(pair.B.Step(pair.Now, new ReplicaInput.DevicesRefused("busy"))));
            Assert.Equal("OpenDevices", Words(pair.PassFor(pair.B, 50)));
        }
        Assert.Equal("FenceChanged closed, Solo to Halted, Halt DevicesRefused", Words(pair.B.Step(pair.Now, new ReplicaInput.DevicesRefused("busy"))));
    }

    [Fact]
    public void Replica_that_loses_the_arbiter_closes_its_fence_first()
    {
        CorePair pair = Protected();
        ulong asked = Asked(pair.PassFor(pair.A, 400));

        Assert.Equal("FenceChanged closed, ProtectedPrimary to Halted, Halt ArbiterLost",
            Words(pair.A.Step(pair.Now, new ReplicaInput.ArbiterAnswered(asked, OwnershipVerdict.Lost))));
    }

    [Fact]
    public void Primary_goes_on_alone_only_as_the_owner_of_the_next_generation()
    {
        CorePair pair = Protected();
        pair.Record(Text(0));
        List<ReplicaEffect> silence = pair.PassFor(pair.A, 400);
        Assert.DoesNotContain(silence, effect => effect is ReplicaEffect.Release);

        Assert.Equal("Send ChannelClosed Dropped, ProtectedPrimary to Solo, FenceChanged open, DropBackup Silent, Release 1",
            Words(pair.A.Step(pair.Now, new ReplicaInput.ArbiterAnswered(Asked(silence), OwnershipVerdict.Owned))));
        Assert.Equal(2ul, pair.A.Core!.Generation);
    }

    [Fact]
    public void Planned_failover_waits_for_disks_records_their_ends_and_closes_the_fence_before_it_yields()
    {
        CorePair pair = Protected();
        pair.Record(Write(1));
        pair.Deliver();
        pair.Replay(Write(1));

        Assert.Equal("SetPace HandingOver 100", Words(pair.A.Step(pair.Now, new ReplicaInput.PlannedFailover())));
        Assert.DoesNotContain(pair.PassFor(pair.A, 30), effect => effect is ReplicaEffect.Flush);
        List<ReplicaEffect> ended = [.. pair.A.Step(pair.Now, new ReplicaInput.DiskRequestEnded(0, 1, DiskStatus.Ok))];
        Assert.Equal("Flush", Words(ended.Where(effect => effect is not ReplicaEffect.Send)));
        pair.Record();
        pair.A.Step(pair.Now, new ReplicaInput.Flushed());
        int before = pair.A.All.Count;
        for (int i = 0; i < 10; i++)
        {
            pair.Deliver();
            pair.Replay();
            pair.Pass(10);
        }

        string words = Words(pair.A.All.Skip(before));
        Assert.Contains("FenceChanged closed", words, StringComparison.Ordinal);
        Assert.True(words.IndexOf("FenceChanged closed", StringComparison.Ordinal) < words.IndexOf("Send FailoverYield", StringComparison.Ordinal), words);
        pair.Deliver();
        Assert.Equal(ReplicaRole.GoingLive, pair.B.Core!.Role);
    }

    [Fact]
    public void Hand_over_records_once_more_what_the_machine_has_issued_before_it_stopped()
    {
        CorePair pair = Protected();
        pair.A.Step(pair.Now, new ReplicaInput.PlannedFailover());
        Assert.Contains(pair.PassFor(pair.A, 20), effect => effect is ReplicaEffect.Flush);
        // The quantum that was under way when the machine was told to stop.
        pair.Record(Read(1));
        pair.A.Step(pair.Now, new ReplicaInput.Flushed());
        pair.A.Step(pair.Now, new ReplicaInput.DiskRequestEnded(0, 1, DiskStatus.Ok));
        for (int i = 0; i < 5; i++)
        {
            pair.Deliver();
            pair.Pass(10);
        }

        Assert.Equal(2, pair.A.All.Count(effect => effect is ReplicaEffect.Flush));
        Assert.Equal(ReplicaRole.Backup, pair.B.Core!.Role);
    }

    [Fact]
    public void Replica_whose_host_fails_says_nothing_to_its_peer()
    {
        CorePair pair = Protected();
        pair.A.Sent.Clear();

        Assert.Equal("FenceChanged closed, ProtectedPrimary to Halted, Halt HostFailed", Words(pair.A.Step(pair.Now, new ReplicaInput.HostFailed("memory"))));
        Assert.Empty(pair.A.Sent);
    }

    [Fact]
    public void Divergence_is_told_and_kept_before_the_backup_ends()
    {
        CorePair pair = Protected();
        pair.Record();
        pair.Deliver();
        var divergence = new Divergence(7, new Lsn(1), "the digests differ", null, null);

        Assert.Equal("Send DivergenceWitness, KeepEvidence, Send ChannelClosed Diverged, Backup to Halted, Halt Diverged",
            Words(pair.B.Step(pair.Now, new ReplicaInput.Diverged(divergence, new StateWitness(7, [("rax", "1")], [])))));
        pair.A.Step(pair.Now, new ReplicaInput.Witnessed(new StateWitness(7, [("rax", "2")], [])));
        IReadOnlyList<ReplicaEffect> told = pair.A.Step(pair.Now, new ReplicaInput.Received(pair.B.Sent.Dequeue()));
        Assert.Contains("register rax: primary 2, backup 1", Assert.Single(told.OfType<ReplicaEffect.KeepEvidence>()).Report.Differences);
        Assert.Contains("AskArbiter", Words(pair.A.Step(pair.Now, new ReplicaInput.Received(pair.B.Sent.Dequeue()))), StringComparison.Ordinal);
    }

    [Fact]
    public void Machine_that_has_ended_ends_its_replicas_when_all_it_said_has_left()
    {
        CorePair pair = Protected();
        pair.Record(Text(0));
        ulong next = pair.A.Core!.Status(pair.Now).LogEnd.Value + 1;
        pair.A.Step(pair.Now, new ReplicaInput.Recorded([new LogEntry(new Lsn(next), next, new EndPayload(MachineExitReason.PowerOff))], [], next));
        for (int i = 0; i < 5; i++)
        {
            pair.Pass(10);
            pair.Deliver();
        }
        Assert.Equal(ReplicaRole.ProtectedPrimary, pair.A.Core.Role);

        Assert.EndsWith("Send ChannelClosed Ended, FenceChanged closed, ProtectedPrimary to Halted, Halt MachineEnded",
            Words(pair.A.Step(pair.Now, new ReplicaInput.ConsoleTaken(ConsoleKind.Serial, 1))), StringComparison.Ordinal);
        pair.Deliver();
        Assert.Equal(ReplicaRole.Halted, pair.B.Core!.Role);
    }

    [Fact]
    public void Answers_and_messages_of_another_session_are_ignored()
    {
        CorePair pair = Protected();

        Assert.Empty(pair.A.Step(pair.Now, new ReplicaInput.Received(new ChannelClosed(1, 9, ChannelCloseReason.TookOver, "forged"))));
        Assert.Empty(pair.A.Step(pair.Now, new ReplicaInput.CopyRead(new ChannelSession(1, 9), new CloneSenderInput.BlocksFailed("late"))));
        Assert.Empty(pair.A.Step(pair.Now, new ReplicaInput.Received(new ReplicaBeat(1, 9, 1))));
        Assert.Empty(pair.A.Step(pair.Now, new ReplicaInput.Received(new ReplicaBeat(1, 9, 7))));
        Assert.Equal(0, pair.A.Core!.View(pair.Now).Reconnects);
    }

    [Theory]
    [InlineData(0, new long[] { 1, 2, 3 })]
    [InlineData(0, new long[] { 5, 5, 4, 6 })]
    [InlineData(1, new long[] { 1, 3 })]
    [InlineData(2, new long[] { 1, 3, 9, 10 })]
    public void Heartbeats_that_are_missing_resume_the_channel(int resumed, long[] beats)
    {
        CorePair pair = Protected();
        foreach (long beat in beats)
            pair.A.Step(pair.Now, new ReplicaInput.Received(new ReplicaBeat(pair.A.Core!.Session.Generation, pair.A.Core.Session.Attempt, beat)));

        Assert.Equal(resumed, pair.A.Core!.View(pair.Now).Reconnects);
    }

    [Fact]
    public void Clone_that_fails_leaves_the_primary_alone_and_tells_the_other_side()
    {
        Assert.Equal("EndCopy, Send ChannelClosed Cancelled, CloningPrimary to Solo",
            Words(new CorePair().Cloning().Step(Start + TimeSpan.FromMilliseconds(1), new ReplicaInput.Unprotect())));
    }

    [Fact]
    public void Console_history_of_the_primary_is_kept()
    {
        CorePair pair = Protected();

        Assert.Equal("KeepConsoleHistory", Words(pair.B.Step(pair.Now, new ReplicaInput.Received(new ConsoleHistory(1, 1, 5, [1])))));
    }

    [Fact]
    public void Read_of_an_own_disk_whose_data_is_in_the_log_is_forgotten_before_its_entry_is_replayed()
    {
        CorePair pair = Protected(new ProtectionOptions { Disks = [new ProtectedDisk(1024, DiskSharing.Separate, BackupReads: true)] });
        ulong next = pair.A.Core!.Status(pair.Now).LogEnd.Value + 1;
        var completed = new DiskCompleted(0, new DiskCompletion(3, DiskStatus.IoError, []));
        pair.A.Step(pair.Now, new ReplicaInput.Recorded([new LogEntry(new Lsn(next), next, new InputPayload(completed))], [], next));
        pair.PassFor(pair.A, 10);

        Assert.StartsWith("ForgetOwnRead 3, FeedReplay", Words(pair.B.Step(pair.Now, new ReplicaInput.Received(pair.A.Sent.First(message => message is LogAppend { Frames.Length: > 0 })))), StringComparison.Ordinal);
    }

    [Fact]
    public void Read_that_the_backup_makes_itself_goes_without_its_data_and_after_a_failed_write_with_it()
    {
        CorePair pair = Protected(new ProtectionOptions { Disks = [new ProtectedDisk(1024, DiskSharing.Separate, BackupReads: true)] });

        Assert.IsType<OwnReadPayload>(ReadAndComplete(pair, 1).Payload);
        pair.Record(Write(2));
        pair.Deliver();
        pair.A.Step(pair.Now, new ReplicaInput.DiskRequestEnded(0, 2, DiskStatus.IoError));
        Assert.IsType<InputPayload>(ReadAndComplete(pair, 3).Payload);
    }

    /// <summary>The entry that the backup gets for the end of a read.</summary>
    private static LogEntry ReadAndComplete(CorePair pair, ulong id)
    {
        pair.Record(Read(id));
        pair.Deliver();
        pair.A.Step(pair.Now, new ReplicaInput.DiskRequestEnded(0, id, DiskStatus.Ok));
        ulong next = pair.A.Core!.Status(pair.Now).LogEnd.Value + 1;
        pair.A.Step(pair.Now, new ReplicaInput.Recorded([new LogEntry(new Lsn(next), next, new InputPayload(new DiskCompleted(0, new DiskCompletion(id, DiskStatus.Ok, [1]))))], [], next));
        pair.PassFor(pair.A, 10);
        LogAppend append = pair.A.Sent.OfType<LogAppend>().Last(message => message.Frames.Length > 0);
        Assert.Equal(LogFrameError.None, LogFrame.TryRead(append.Frames.AsMemory(), out IReadOnlyList<LogEntry>? entries, out _));
        pair.Deliver();
        return entries![^1];
    }
}
