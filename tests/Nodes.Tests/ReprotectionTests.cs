using FtAkka.Nodes;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes.Tests;

/// <summary>When and where a VM gets a new backup without a person.</summary>
public sealed class ReprotectionTests
{
    private static readonly string[] Peers = ["B", "C"];
    private static readonly AutoProtectOptions Any = new() { Enabled = true, Delay = TimeSpan.FromMilliseconds(100), DelayMax = TimeSpan.FromMilliseconds(800) };

    /// <summary>Looks every 10 ms; times and nodes of the tries.</summary>
    private static List<(int At, string Node)> Tries(Reprotection decision, int from, int to, IReadOnlyList<string> alive, ReplicaRole role = ReplicaRole.Solo)
    {
        var tries = new List<(int, string)>();
        for (int ms = from; ms <= to; ms += 10)
        {
            if (decision.Look(TimeSpan.FromMilliseconds(ms), role, isProtected: false, alive) is { } node)
            {
                tries.Add((ms, node));
            }
        }
        return tries;
    }

    private static Reprotection Wanted(AutoProtectOptions options)
    {
        var decision = new Reprotection(options);
        decision.Want();
        return decision;
    }

    [Fact]
    public void Tries_in_vain_wait_longer_each_time_and_go_to_another_node() =>
        Assert.Equal([(100, "B"), (300, "C"), (700, "B"), (1500, "C"), (2300, "B")], Tries(Wanted(Any), 0, 2400, Peers));

    [Fact]
    public void VM_that_nobody_wanted_protected_stays_alone_and_so_does_one_whose_operator_took_the_backup_away()
    {
        Assert.Empty(Tries(new Reprotection(Any), 0, 5000, Peers));
        Reprotection decision = Wanted(Any);
        decision.Lost(DropCause.Unprotected, "B");
        Assert.Empty(Tries(decision, 0, 5000, Peers));
        decision.Want();
        Assert.NotEmpty(Tries(decision, 5000, 6000, Peers));
    }

    [Fact]
    public void Backup_that_diverged_is_made_again_on_the_same_node_although_lost_ones_are_not_replaced()
    {
        Reprotection decision = Wanted(Any with { Enabled = false });
        decision.Lost(DropCause.Silent, "C");
        Assert.Empty(Tries(decision, 0, 1000, Peers));
        decision.Lost(DropCause.Diverged, "C");
        Assert.Equal([(1100, "C"), (1300, "C")], Tries(decision, 1000, 1400, Peers));
    }

    [Fact]
    public void Only_listed_nodes_that_live_are_chosen()
    {
        Assert.Equal([(100, "C")], Tries(Wanted(Any with { Nodes = ["D", "C"] }), 0, 200, Peers));
        Assert.Empty(Tries(Wanted(Any with { Nodes = ["D"] }), 0, 1000, Peers));
        Assert.Empty(Tries(Wanted(Any), 0, 1000, []));
    }

    [Fact]
    public void Backup_lost_soon_waits_longer_and_one_that_stood_long_starts_afresh()
    {
        Reprotection decision = Wanted(Any);
        Tries(decision, 0, 300, Peers);
        decision.Look(TimeSpan.FromMilliseconds(310), ReplicaRole.ProtectedPrimary, isProtected: true, Peers);
        Assert.Equal([(720, "B")], Tries(decision, 320, 900, Peers));
        for (int ms = 1000; ms <= 2000; ms += 10)
        {
            decision.Look(TimeSpan.FromMilliseconds(ms), ReplicaRole.ProtectedPrimary, isProtected: true, Peers);
        }
        Assert.Equal([(2110, "B")], Tries(decision, 2010, 2200, Peers));
    }
}
