using FtAkka.Nodes;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes.Tests;

/// <summary>How a replica leaves a node that stops in order.</summary>
public sealed class DepartureTests
{
    private static readonly string[] Peers = ["B", "C"];
    private static readonly DepartureStep Wait = new(DepartureAction.Wait);
    private static readonly DepartureStep Leave = new(DepartureAction.Leave);
    private static readonly DepartureStep SwitchOff = new(DepartureAction.SwitchOff);

    private static Departure Begin(int copySeconds = 60) => new(TimeSpan.FromSeconds(100), TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(copySeconds));

    /// <summary>Looks at a time in seconds since the stop began; what was asked for has reached the replica then.</summary>
    private static DepartureStep Look(Departure departure, double at, ReplicaRole? role, params string[] alive)
    {
        DepartureStep step = departure.Look(TimeSpan.FromSeconds(100 + at), role, canHandOver: true, alive);
        departure.Settled();
        return step;
    }

    [Fact]
    public void Protected_VM_is_handed_over_once_and_the_node_waits_for_it_no_longer_than_it_may()
    {
        Departure departure = Begin();
        Assert.Equal(Leave, Look(departure, 0, ReplicaRole.ProtectedPrimary, Peers));
        Assert.Equal(Wait, Look(departure, 9.9, ReplicaRole.ProtectedPrimary, Peers));
        Assert.Equal(DepartureAction.Late, Look(departure, 10, ReplicaRole.ProtectedPrimary, Peers).Action);
        Assert.True(departure.IsOver);
        Assert.Equal(Wait, Look(departure, 11, ReplicaRole.ProtectedPrimary, Peers));
    }

    [Fact]
    public void Lone_VM_is_copied_to_one_peer_after_the_other_and_handed_over_to_the_first_that_takes_it()
    {
        Departure departure = Begin();
        Assert.Equal(new DepartureStep(DepartureAction.Copy, "B"), Look(departure, 0, ReplicaRole.Solo, Peers));
        Assert.Equal(Wait, Look(departure, 1, ReplicaRole.CloningPrimary, Peers));
        Assert.Equal(new DepartureStep(DepartureAction.Copy, "C", InVain: true), Look(departure, 2, ReplicaRole.Solo, Peers));
        Assert.Equal(Wait, Look(departure, 50, ReplicaRole.CloningPrimary, Peers));
        Assert.Equal(Leave, Look(departure, 55, ReplicaRole.ProtectedPrimary, Peers));
        // The hand-over has its own time, however long the copy took.
        Assert.Equal(Wait, Look(departure, 64, ReplicaRole.ProtectedPrimary, Peers));
        Assert.Equal(DepartureAction.Late, Look(departure, 65, ReplicaRole.ProtectedPrimary, Peers).Action);
    }

    [Fact]
    public void VM_that_loses_its_backup_while_it_is_handed_over_is_copied_to_another()
    {
        Departure departure = Begin();
        Look(departure, 0, ReplicaRole.ProtectedPrimary, Peers);
        Assert.Equal(new DepartureStep(DepartureAction.Copy, "C"), Look(departure, 1, ReplicaRole.Solo, "C"));
        Assert.Equal(Leave, Look(departure, 2, ReplicaRole.ProtectedPrimary, "C"));
    }

    [Fact]
    public void VM_that_no_peer_takes_is_switched_off()
    {
        Departure departure = Begin();
        Look(departure, 0, ReplicaRole.Solo, "B");
        Assert.Equal(SwitchOff with { InVain = true }, Look(departure, 1, ReplicaRole.Solo, "B"));
        Assert.True(departure.IsOver);
        Assert.Equal(SwitchOff, Look(Begin(), 0, ReplicaRole.Solo));
        Assert.Equal(SwitchOff, Look(Begin(copySeconds: 0), 0, ReplicaRole.Solo, Peers));
    }

    [Fact]
    public void Copy_that_takes_too_long_is_given_up_and_the_VM_switched_off()
    {
        Departure departure = Begin();
        Look(departure, 0, ReplicaRole.Solo, Peers);
        Assert.Equal(Wait, Look(departure, 59, ReplicaRole.CloningPrimary, Peers));
        Assert.Equal(Leave, Look(departure, 60, ReplicaRole.CloningPrimary, Peers));
        Assert.Equal(SwitchOff with { InVain = true }, Look(departure, 61, ReplicaRole.Solo, Peers));
    }

    [Fact]
    public void Role_does_not_count_until_the_replica_has_what_it_was_asked()
    {
        Departure departure = Begin();
        TimeSpan now = TimeSpan.FromSeconds(100);
        Assert.Equal(DepartureAction.Copy, departure.Look(now, ReplicaRole.Solo, canHandOver: true, Peers).Action);
        Assert.Equal(Wait, departure.Look(now, ReplicaRole.Solo, canHandOver: true, Peers));
        departure.Settled();
        Assert.Equal(new DepartureStep(DepartureAction.Copy, "C", InVain: true), departure.Look(now, ReplicaRole.Solo, canHandOver: true, Peers));
    }

    [Fact]
    public void Backup_that_could_not_go_live_gets_no_VM_handed_over_and_another_peer_does()
    {
        Departure departure = Begin();
        TimeSpan now = TimeSpan.FromSeconds(100);
        Assert.Equal(DepartureAction.Unprotect, departure.Look(now, ReplicaRole.ProtectedPrimary, canHandOver: false, Peers).Action);
        departure.Settled();
        Assert.Equal(Wait, departure.Look(now, ReplicaRole.ProtectedPrimary, canHandOver: false, Peers));
        Assert.Equal(new DepartureStep(DepartureAction.Copy, "C"), Look(departure, 1, ReplicaRole.Solo, "C"));
        Assert.Equal(Leave, Look(departure, 2, ReplicaRole.ProtectedPrimary, "C"));
    }

    [Theory]
    [InlineData(ReplicaRole.Backup)]
    [InlineData(ReplicaRole.BackupSyncing)]
    public void Backup_says_goodbye(ReplicaRole role) => Assert.Equal(Leave, Look(Begin(), 0, role, Peers));

    [Theory]
    [InlineData(null)]
    [InlineData(ReplicaRole.GoingLive)]
    public void Replica_that_is_neither_is_waited_for(ReplicaRole? role)
    {
        Departure departure = Begin();
        Assert.Equal(Wait, Look(departure, 9, role, Peers));
        Assert.Equal(DepartureAction.Late, Look(departure, 10, role, Peers).Action);
    }
}
