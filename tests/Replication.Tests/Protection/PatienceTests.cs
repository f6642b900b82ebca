using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.Replication.Tests.Protection;

/// <summary>How long a replica waits for its peer, and when it looks whether the VM is still its own.</summary>
public sealed class PatienceTests
{
    private const int TickMs = 10, MinuteMs = 60_000;

    private static readonly ProtectionOptions Options = new();
    private static readonly ReplicaIdentity A = new("vm", "a", 1), B = new("vm", "b", 1);

    [Fact]
    public void Syncing_backup_waits_while_its_primarys_process_beats()
    {
        var backup = ReplicaCore.StartBackup(SetupOf(B), new CloneOffer(1, 1, "vm", "a", "profile", 1, 4096, 2), At(0));
        backup.Step(At(0), new ReplicaInput.Begin());
        for (int ms = TickMs; ms <= 4000; ms += TickMs)
        {
            ReplicaInput input = ms % 50 == 0 ? new ReplicaInput.Received(new ReplicaBeat(1, 1, ms / 50)) : new ReplicaInput.Tick();
            ReplicaEffect.HaltReplica? halt = backup.Step(At(ms), input).OfType<ReplicaEffect.HaltReplica>().FirstOrDefault();
            Assert.True(halt is null, $"gave up after {ms} ms, while the process of its primary beats: {halt}");
        }
    }

    [Fact]
    public void Replica_that_runs_alone_looks_at_its_record_now_and_then()
    {
        var alone = ReplicaCore.StartSolo(SetupOf(A), 1, default, At(0));
        alone.Step(At(0), new ReplicaInput.Begin());
        alone.Step(At(0), new ReplicaInput.MachineReady(new MachineDevices([], []), PageCount: 2));
        bool asked = false;
        for (int ms = TickMs; ms <= MinuteMs && !asked; ms += TickMs)
        {
            asked = alone.Step(At(ms), new ReplicaInput.Tick()).OfType<ReplicaEffect.CheckOwnership>().Any();
        }
        Assert.True(asked, "never asked the arbiter within a minute");
    }

    [Fact]
    public void Syncing_backup_gives_up_when_nothing_of_its_primary_is_heard_and_says_so()
    {
        var pair = new CorePair();
        pair.Cloning();
        pair.B.Step(pair.Now, new ReplicaInput.Received(pair.A.Sent.Dequeue()));

        Assert.Equal("Send ChannelClosed Gone, BackupSyncing to Halted, Halt PrimaryLostBeforeSync", CorePair.Words(pair.PassFor(pair.B, 400)));
        Assert.EndsWith("EndCopy, Send ChannelClosed Cancelled, CloningPrimary to Solo", CorePair.Words(pair.A.Step(pair.Now, new ReplicaInput.Received(pair.B.Sent.Last()))), StringComparison.Ordinal);
    }

    [Fact]
    public void Syncing_backup_does_not_wait_for_ever_for_a_primary_whose_process_beats()
    {
        var pair = new CorePair();
        pair.Cloning();
        pair.B.Step(pair.Now, new ReplicaInput.Received(pair.A.Sent.Dequeue()));

        int waited = Enumerable.Range(1, 3000).First(_ => PassWithBeats(pair, pair.B).OfType<ReplicaEffect.HaltReplica>().Any()) * TickMs;

        Assert.Equal(Options.PatienceMax, TimeSpan.FromMilliseconds(waited));
    }

    [Fact]
    public void Copy_ends_when_its_target_or_its_source_was_started_anew()
    {
        var pair = new CorePair();
        pair.Cloning();
        pair.B.Step(pair.Now, new ReplicaInput.Received(pair.A.Sent.Dequeue()));

        Assert.Equal("", CorePair.Words(pair.A.Step(pair.Now, new ReplicaInput.NodeRestarted("C"))));
        Assert.Equal("EndCopy, Send ChannelClosed Cancelled, CloningPrimary to Solo", CorePair.Words(pair.A.Step(pair.Now, new ReplicaInput.NodeRestarted("B"))));
        Assert.Equal("BackupSyncing to Halted, Halt PrimaryLostBeforeSync", CorePair.Words(pair.B.Step(pair.Now, new ReplicaInput.NodeRestarted("A"))));
    }

    [Fact]
    public void Primary_goes_on_alone_by_the_next_generation_when_its_backups_node_was_started_anew()
    {
        CorePair pair = CorePair.Protected();

        Assert.Equal("AskArbiter", CorePair.Words(pair.A.Step(pair.Now, new ReplicaInput.NodeRestarted("B"))));
    }

    /// <summary>Only the time out of the channel makes a backup go live: the old process may still act until its lease has run out.</summary>
    [Fact]
    public void Heartbeats_of_another_session_do_not_keep_the_primary_of_the_old_one_alive()
    {
        CorePair pair = CorePair.Protected();

        int waited = Enumerable.Range(1, 300).First(_ => PassWithBeats(pair, pair.B, attempt: 9).OfType<ReplicaEffect.AskArbiter>().Any()) * TickMs;

        Assert.InRange(waited, (int)Options.FailureTimeout.TotalMilliseconds - TickMs, (int)Options.FailureTimeout.TotalMilliseconds + TickMs);
    }

    [Fact]
    public void Primary_that_has_yielded_waits_for_its_backup_as_long_as_its_process_beats()
    {
        CorePair pair = Yielded();

        for (int ms = 0; ms < Options.PatienceMax.TotalMilliseconds - (2 * TickMs); ms += TickMs)
            Assert.Empty(PassWithBeats(pair, pair.A).OfType<ReplicaEffect.AskArbiter>());
        Assert.Contains(Enumerable.Range(0, 10), _ => PassWithBeats(pair, pair.A).OfType<ReplicaEffect.AskArbiter>().Any());
    }

    [Fact]
    public void Primary_that_has_yielded_goes_on_when_its_backups_process_falls_silent() =>
        Assert.Contains("AskArbiter", CorePair.Words(Yielded() is var pair ? pair.PassFor(pair.A, 400) : []), StringComparison.Ordinal);

    [Fact]
    public void Backup_reports_how_far_it_is_while_it_drains_for_a_hand_over()
    {
        CorePair pair = Yielded();
        pair.Deliver();
        Assert.Equal(ReplicaRole.GoingLive, pair.B.Core!.Role);
        Assert.Empty(pair.B.All.OfType<ReplicaEffect.AskArbiter>());

        pair.PassFor(pair.B, 20);
        ulong executed = pair.B.Core.Status(pair.Now).Executed.Value + 1;
        pair.B.Step(pair.Now, new ReplicaInput.Replayed(new Lsn(executed), executed, []));

        Assert.Equal(executed, pair.B.Effects.OfType<ReplicaEffect.Send>().Select(send => send.Message).OfType<LogAck>().Single().ExecutedLsn);
    }

    [Fact]
    public void Protected_is_taken_back_while_the_backup_is_behind_and_said_again_when_it_is_near()
    {
        CorePair pair = CorePair.Protected();
        pair.Record();
        pair.Pass(20);
        pair.Deliver();
        for (int ms = 0; ms < 350; ms += TickMs)
        {
            pair.Pass(TickMs);
            pair.Deliver();
        }
        Assert.True(pair.A.Core!.Status(pair.Now).Protected);

        for (int ms = 0; ms < 150; ms += TickMs)
        {
            pair.Pass(TickMs);
            pair.Deliver();
        }
        Assert.False(pair.A.Core.Status(pair.Now).Protected);
        Assert.True(pair.A.Core.Status(pair.Now).CanTakeOver);

        pair.Replay();
        pair.Pass(20);
        pair.Deliver();
        pair.Pass(TickMs);
        Assert.True(pair.A.Core.Status(pair.Now).Protected);
    }

    [Fact]
    public void Replica_that_runs_alone_halts_when_its_record_names_another()
    {
        var pair = new CorePair();
        ReplicaEffect.CheckOwnership asked = pair.PassFor(pair.A, 6000).OfType<ReplicaEffect.CheckOwnership>().First();

        Assert.Equal("FenceChanged closed, Solo to Halted, Halt OwnershipLost", CorePair.Words(pair.A.Step(pair.Now, new ReplicaInput.ArbiterAnswered(asked.Attempt, OwnershipVerdict.Lost))));
    }

    [Fact]
    public void Replica_that_runs_alone_runs_on_while_the_arbiter_does_not_answer()
    {
        var pair = new CorePair();
        ReplicaEffect.CheckOwnership asked = pair.PassFor(pair.A, 6000).OfType<ReplicaEffect.CheckOwnership>().First();

        Assert.Equal("", CorePair.Words(pair.A.Step(pair.Now, new ReplicaInput.ArbiterAnswered(asked.Attempt, OwnershipVerdict.Unreachable))));
        Assert.Equal("Release 1", CorePair.Words(pair.Record(CorePair.Text(0))));
    }

    /// <summary>A has yielded; B has two entries that it has not replayed.</summary>
    private static CorePair Yielded()
    {
        CorePair pair = CorePair.Protected();
        pair.Replay();
        pair.Record();
        pair.Record();
        pair.A.Step(pair.Now, new ReplicaInput.PlannedFailover());
        bool Yields() => pair.A.Sent.Any(message => message is FailoverYield);
        for (int i = 0; i < 20 && !Yields(); i++)
        {
            pair.Deliver();
            pair.A.Step(pair.Now, new ReplicaInput.Flushed());
            if (!Yields())
                pair.Pass(5);
        }
        Assert.Contains(pair.A.Sent, message => message is FailoverYield);
        return pair;
    }

    private static List<ReplicaEffect> PassWithBeats(CorePair pair, CoreHost host, ulong? attempt = null)
    {
        List<ReplicaEffect> effects = pair.PassFor(host, TickMs);
        ChannelSession session = host.Core!.Session;
        effects.AddRange(host.Step(pair.Now, new ReplicaInput.Received(new ReplicaBeat(session.Generation, attempt ?? session.Attempt, ++pair.Beats))));
        return effects;
    }

    private static ReplicaSetup SetupOf(ReplicaIdentity id) => new() { Id = id, Protection = Options, Profile = "profile" };

    private static Instant At(int milliseconds) => new(milliseconds * 10_000L);
}
