using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.Replication.Tests.Protection;

/// <summary>A backup whose host could not go live with it protects nothing, and says so.</summary>
public sealed class FitnessTests
{
    private const string Why = "there is no disk.raw";

    private static void Prove(CorePair pair, string? refusal)
    {
        pair.B.Step(pair.Now, new ReplicaInput.HostProved(refusal));
        pair.Deliver();
    }

    private static (bool Protected, bool CanTakeOver, string? Unable) Seen(CorePair pair, CoreHost host)
    {
        ReplicaStatus status = host.Core!.Status(pair.Now);
        return (status.Protected, status.CanTakeOver, status.Unable);
    }

    [Fact]
    public void Promise_is_taken_back_with_the_reason_and_given_again()
    {
        CorePair pair = CorePair.Protected();
        Prove(pair, Why);
        Assert.Equal((false, false, Why), Seen(pair, pair.A));
        Assert.Equal((false, false, Why), Seen(pair, pair.B));
        Prove(pair, null);
        Assert.Equal((true, true, null), Seen(pair, pair.A));
        Assert.Equal((true, true, null), Seen(pair, pair.B));
    }

    [Fact]
    public void It_is_said_every_time_because_a_message_may_get_lost_and_reported_once()
    {
        CorePair pair = CorePair.Protected();
        pair.B.Step(pair.Now, new ReplicaInput.HostProved(Why));
        pair.B.Sent.Clear();
        Prove(pair, Why);
        Prove(pair, Why);
        Assert.Equal(Why, Seen(pair, pair.A).Unable);
        Assert.Single(pair.A.All.OfType<ReplicaEffect.ReportStatus>(), report => report.What.Contains(Why, StringComparison.Ordinal));
    }

    [Fact]
    public void Nothing_is_handed_over_to_a_backup_that_could_not_go_live()
    {
        CorePair pair = CorePair.Protected();
        Prove(pair, Why);
        pair.A.Step(pair.Now, new ReplicaInput.PlannedFailover());
        Assert.False(pair.A.Core!.Stopped.HasFlag(StopReasons.HandingOver));
    }

    [Fact]
    public void Backup_that_goes_live_says_nothing_any_more()
    {
        CorePair pair = CorePair.Protected();
        pair.PassFor(pair.B, 400);
        Assert.Equal(ReplicaRole.GoingLive, pair.B.Core!.Role);
        Assert.DoesNotContain(pair.B.Step(pair.Now, new ReplicaInput.HostProved(Why)), effect => effect is ReplicaEffect.Send { Message: BackupFitness });
    }

    [Fact]
    public void Next_backup_is_not_held_against_what_the_last_one_said()
    {
        CorePair pair = CorePair.Protected();
        Prove(pair, Why);
        IReadOnlyList<ReplicaEffect> effects = pair.A.Step(pair.Now, new ReplicaInput.Unprotect());
        pair.A.Step(pair.Now, new ReplicaInput.ArbiterAnswered(effects.OfType<ReplicaEffect.AskArbiter>().Last().Attempt, OwnershipVerdict.Owned));
        Assert.Equal(ReplicaRole.Solo, pair.A.Core!.Role);
        Assert.Null(Seen(pair, pair.A).Unable);
    }

    [Fact]
    public void Device_that_a_new_primary_cannot_open_stands_in_the_status_and_is_reported_once()
    {
        CorePair pair = CorePair.Protected();
        List<ReplicaEffect> silence = pair.PassFor(pair.B, 400);
        pair.B.Step(pair.Now, new ReplicaInput.ArbiterAnswered(silence.OfType<ReplicaEffect.AskArbiter>().Last().Attempt, OwnershipVerdict.Owned));
        pair.B.Step(pair.Now, new ReplicaInput.ReplayStopped([]));
        for (int tries = 0; tries < 3; tries++)
        {
            pair.B.Step(pair.Now, new ReplicaInput.DevicesRefused(Why));
            Assert.Contains(pair.PassFor(pair.B, 100), effect => effect is ReplicaEffect.OpenDevices);
        }
        Assert.Equal($"the devices cannot be opened: {Why}", pair.B.Core!.View(pair.Now).LastError);
        Assert.Single(pair.B.All.OfType<ReplicaEffect.ReportStatus>(), report => report.What.Contains(Why, StringComparison.Ordinal));
        pair.B.Ready(pair.Now);
        Assert.Null(pair.B.Core.View(pair.Now).LastError);
    }
}
