using FtAkka.Replication.Protection;
using FtAkka.VmmHost.Nodes;
using FtAkka.VmmHost.Tests.Guests;
using Xunit.Abstractions;

namespace FtAkka.VmmHost.Tests.Failover.RealProcesses;

/// <summary>The hosts live, and what they need to agree by does not: the wire between them loses packets, or the arbiter's folder is gone.</summary>
[Collection(GuestTestCollection.Name)]
public sealed class PartitionTests(ITestOutputHelper output)
{
    private const int FailureTimeoutMs = 1500;

    private const int TailNumbers = 3, SilenceAttempts = 10;

    private static readonly TimeSpan LongEnough = TimeSpan.FromSeconds(4);

    /// <summary>Which packets are lost between the two hosts of the pair.</summary>
    public enum Cut
    {
        BothWays,
        ToTheBackup,
        ToThePrimary,
    }

    [GuestFact("gcc", "mkfs.ext4", Tap = true)]
    public async Task Partitioned_hosts_have_one_survivor_and_the_loser_stays_halted()
    {
        var random = new Random(3);
        var log = new PairLog(output);
        await using var cluster = new PairCluster(["A", "B", "C"], FailureTimeoutMs);
        await cluster.BootAsync(GuestImage.Plain);
        using var ping = new NetworkClient(cluster.Network, "ping", PairNetwork.GuestAddress, "10");
        for (int i = 0; i < PairLog.Setting("FTAKKA_PARTITIONS", 3); i++)
        {
            Cut cut = (Cut)(i % 3);
            (string primary, string backup) = await cluster.WholeThroughAsync(random, () => Task.Delay(random.Next(0, 500)));
            ulong generation = cluster.Arbiter.Newest(PairGuest.Vm)!.Generation;
            Apply(cluster.Network, cut, primary, backup);
            string winner = await SurvivorAsync(cluster, generation, primary, backup);
            string loser = winner == primary ? backup : primary;
            log.Say($"{cut}: {(winner == primary ? "the primary" : "the backup")} went on");
            long frames = cluster.Network.FramesSentBy(loser);
            int answers = ping.Count;
            await cluster.CountOnAsync(50);

            Heal(cluster.Network, cut, primary, backup);
            await StaysAsync(cluster, LongEnough, async () => await cluster.StatusAsync(loser) is null or { Role: "ended" }, $"{loser}, which lost, to stay halted");
            await cluster.UntilAsync(loser, "halted", line => line.Role == "ended");
            Assert.Equal(frames, cluster.Network.FramesSentBy(loser));
            Assert.Equal(winner, cluster.Arbiter.Newest(PairGuest.Vm)!.Node);
            await cluster.UntilAsync("the guest to answer pings", () => Task.FromResult(ping.Count > answers));
            // A loser that has forgotten its replica is as good as any host.
            await cluster.UntilAsync($"{loser} to take a copy", () => cluster.TryProtectAsync(winner, loser));
        }
        await cluster.EndAsync();
        cluster.Passed = true;
    }

    [GuestFact("gcc", "mkfs.ext4", Tap = true)]
    public async Task Without_the_arbiters_storage_nobody_goes_live_until_it_is_back()
    {
        var random = new Random(4);
        await using var cluster = new PairCluster(["A", "B"], FailureTimeoutMs);
        await cluster.BootAsync(GuestImage.Plain);
        (string primary, string backup) = await cluster.WholeThroughAsync(random, () => cluster.CountOnAsync(20));
        ulong generation = cluster.Arbiter.Newest(PairGuest.Vm)!.Generation;
        string away = cluster.Shared + ".away";
        Directory.Move(cluster.Shared, away);
        await cluster.CountOnAsync(50);

        cluster.Kill(primary);
        await cluster.UntilAsync(backup, "waiting for the arbiter", line => line.Role == "goingLive");
        await SilentAsync(cluster, async () =>
            await cluster.StatusAsync(backup) is null or { Role: "goingLive" } && cluster.Network.FramesSentBy(backup) == 0, "the backup to wait");
        Directory.Move(away, cluster.Shared);

        ReplicaStatusLine live = await cluster.UntilAsync(backup, "live", line => line.Role == "solo");
        Assert.Equal(generation + 1, live.Generation);
        await cluster.CountOnAsync(20);
        await cluster.EndAsync();
        cluster.Passed = true;
    }

    [GuestFact("gcc", "mkfs.ext4", Tap = true)]
    public async Task Partitioned_hosts_without_the_arbiters_storage_both_wait_until_it_is_back()
    {
        var random = new Random(5);
        await using var cluster = new PairCluster(["A", "B"], FailureTimeoutMs);
        await cluster.BootAsync(GuestImage.Plain);
        using var ping = new NetworkClient(cluster.Network, "ping", PairNetwork.GuestAddress, "10");
        (string primary, string backup) = await cluster.WholeThroughAsync(random, () => cluster.CountOnAsync(20));
        ulong generation = cluster.Arbiter.Newest(PairGuest.Vm)!.Generation;
        string away = cluster.Shared + ".away";
        Directory.Move(cluster.Shared, away);
        cluster.Network.CutWire(primary);

        await cluster.UntilAsync(backup, "waiting for the arbiter", line => line.Role == "goingLive");
        // The lease ends before the backup suspects.
        long frames = cluster.Network.FramesSentBy(primary);
        await SilentAsync(cluster, async () =>
            await cluster.StatusAsync(backup) is null or { Role: "goingLive" } && await cluster.StatusAsync(primary) is null or { Role: "protectedPrimary" }, "both to wait");
        Assert.Equal(frames, cluster.Network.FramesSentBy(primary));
        Assert.Equal(0, cluster.Network.FramesSentBy(backup));
        Directory.Move(away, cluster.Shared);

        string winner = await SurvivorAsync(cluster, generation, primary, backup);
        output.WriteLine($"{(winner == primary ? "the primary" : "the backup")} went on");
        await cluster.CountOnAsync(50);
        await cluster.EndAsync();
        cluster.Passed = true;
    }

    /// <summary>Waits until the arbiter has a new owner, which acts, and the other has halted.</summary>
    private static async Task<string> SurvivorAsync(PairCluster cluster, ulong generation, string primary, string backup)
    {
        OwnershipRecord? owner = null;
        await cluster.UntilAsync("the arbiter to decide", () => Task.FromResult((owner = cluster.Arbiter.Newest(PairGuest.Vm)) is not null && owner.Generation > generation));
        string loser = owner!.Node == primary ? backup : primary;
        await cluster.UntilAsync(owner.Node, "live", line => line.Role == "solo" && line.Generation == owner.Generation);
        await cluster.UntilAsync(loser, "halted", line => line.Role == "ended");
        return owner.Node;
    }

    /// <summary>
    /// The hosts stay as they are, and the console is silent. What was released before may still be read, for some time by a client that is kept
    /// waiting: a guest that went on would never be silent.
    /// </summary>
    private static async Task SilentAsync(PairCluster cluster, Func<Task<bool>> holds, string what)
    {
        for (int attempt = 1; ; attempt++)
        {
            int last = cluster.Console.Last;
            await StaysAsync(cluster, LongEnough, holds, what);
            if (cluster.Console.Last <= last + TailNumbers)
            {
                return;
            }
            Assert.True(attempt < SilenceAttempts, $"The guest counts on, from {last} to {cluster.Console.Last}.\n{await cluster.StoryAsync()}");
        }
    }

    /// <param name="cluster">Its hosts.</param>
    /// <param name="time">How long.</param>
    /// <param name="holds">Whether nothing contradicts; a host that is too slow to answer does not.</param>
    /// <param name="what">For the message.</param>
    private static async Task StaysAsync(PairCluster cluster, TimeSpan time, Func<Task<bool>> holds, string what)
    {
        for (DateTime end = DateTime.UtcNow + time; DateTime.UtcNow < end; await Task.Delay(20))
        {
            cluster.Check();
            Assert.True(await holds(), $"Expected {what}.\n{await cluster.StoryAsync()}");
        }
    }

    private static void Apply(PairNetwork network, Cut cut, string primary, string backup)
    {
        switch (cut)
        {
            case Cut.BothWays:
                network.CutWire(primary);
                break;
            case Cut.ToTheBackup:
                network.CutOneWay(primary, backup);
                break;
            default:
                network.CutOneWay(backup, primary);
                break;
        }
    }

    private static void Heal(PairNetwork network, Cut cut, string primary, string backup)
    {
        switch (cut)
        {
            case Cut.BothWays:
                network.HealWire(primary);
                break;
            case Cut.ToTheBackup:
                network.HealOneWay(primary, backup);
                break;
            default:
                network.HealOneWay(backup, primary);
                break;
        }
    }
}
