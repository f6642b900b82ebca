using FtAkka.VmmHost.Nodes;
using FtAkka.VmmHost.Tests.Guests;
using Xunit.Abstractions;

namespace FtAkka.VmmHost.Tests.Failover.RealProcesses;

/// <summary>The cable between the hosts is pulled, for less than the failure timeout, and plugged in again: the pair stays, and its clients are answered soon.</summary>
[Collection(GuestTestCollection.Name)]
public sealed class PulledCableTests(ITestOutputHelper output)
{
    /// <summary>Long, so that no pull makes anybody suspect the other.</summary>
    private const int FailureTimeoutMs = 6_000;

    private const int ShortestPullMs = 20, LongestPullMs = 2_000;

    [GuestFact("gcc", "mkfs.ext4", Tap = true)]
    public Task Pair_is_whole_behind_five_pulls() => PullAsync(5);

    [GuestFact("gcc", "mkfs.ext4", Tap = true, Long = true)]
    public Task Pair_is_whole_behind_two_hundred_pulls() => PullAsync(200);

    private async Task PullAsync(int pulls)
    {
        var random = new Random(pulls);
        var log = new PairLog(output);
        await using var cluster = new PairCluster(["A", "B"], FailureTimeoutMs);
        await cluster.BootAsync(GuestImage.Plain);
        (string primary, string backup) = await cluster.WholeAsync(random);
        using var ping = new NetworkClient(cluster.Network, "ping", PairNetwork.GuestAddress, "10");
        using var kept = new NetworkClient(cluster.Network, "get", PairNetwork.GuestAddress, "8080", "10");
        NetworkClient[] clients = [ping, kept];
        ulong generation = cluster.Arbiter.Newest(PairGuest.Vm)!.Generation;
        var waits = new List<(int Pull, double Back)>();
        for (int i = 0; i < pulls; i++)
        {
            await AnsweredAsync(cluster, clients, 20);
            int pull = random.Next(ShortestPullMs, LongestPullMs);
            string cut = random.Next(2) == 0 ? primary : backup;
            cluster.Network.CutWire(cut);
            await Task.Delay(pull);
            double plugged = PairConsole.Clock;
            cluster.Network.HealWire(cut);
            await AnsweredAsync(cluster, clients, 20);
            waits.Add((pull, ping.FirstAnswerAfter(plugged) - plugged));
            log.Say(FormattableString.Invariant($"{i + 1,3}: pulled for {pull,4} ms, back {waits[^1].Back:F0} ms behind"));
        }
        Report(log, "all", waits);
        Report(log, "below 200 ms", waits.Where(wait => wait.Pull < 200));
        Report(log, "200 to 1000 ms", waits.Where(wait => wait.Pull is >= 200 and < 1000));
        Report(log, "longer", waits.Where(wait => wait.Pull >= 1000));
        await cluster.UntilAsync(primary, "protected", line => line.Protected);
        Assert.Equal(generation, cluster.Arbiter.Newest(PairGuest.Vm)!.Generation);
        Assert.All(waits, wait => Assert.InRange(wait.Back, 0, FailureTimeoutMs));
        await cluster.EndAsync();
        cluster.Passed = true;
    }

    private static Task AnsweredAsync(PairCluster cluster, NetworkClient[] clients, int times)
    {
        int[] counts = [.. clients.Select(client => client.Count)];
        return cluster.UntilAsync("clients to be answered", () =>
        {
            Assert.All(clients, client => Assert.Null(client.Complaint));
            return Task.FromResult(clients.Select((client, i) => client.Count > counts[i] + times).All(answered => answered));
        });
    }

    private static void Report(PairLog log, string what, IEnumerable<(int Pull, double Back)> waits)
    {
        double[] sorted = [.. waits.Select(wait => wait.Back).Order()];
        if (sorted.Length > 0)
        {
            log.Say(FormattableString.Invariant(
                $"{what,-15} {sorted.Length,3} pulls: back behind median {sorted[sorted.Length / 2]:F0}, p99 {sorted[(int)Math.Ceiling(0.99 * sorted.Length) - 1]:F0}, longest {sorted[^1]:F0} ms"));
        }
    }
}
