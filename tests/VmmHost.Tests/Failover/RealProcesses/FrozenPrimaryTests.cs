using System.Globalization;
using FtAkka.VmmHost.Nodes;
using FtAkka.VmmHost.Tests.Guests;
using Xunit.Abstractions;

namespace FtAkka.VmmHost.Tests.Failover.RealProcesses;

/// <summary>A host that is frozen in the middle of what it does, and goes on when another has taken over, touches neither disk nor network.</summary>
[Collection(GuestTestCollection.Name)]
public sealed class FrozenPrimaryTests(ITestOutputHelper output)
{
    private const int FailureTimeoutMs = 1500;

    [GuestFact("gcc", "mkfs.ext4", Tap = true)]
    public Task Host_frozen_for_two_seconds_does_no_harm() => FreezeAsync(2, TimeSpan.FromSeconds(2));

    [GuestFact("gcc", "mkfs.ext4", Tap = true, Long = true)]
    public Task Host_frozen_for_five_seconds_does_no_harm() => FreezeAsync(12, TimeSpan.FromSeconds(5));

    private async Task FreezeAsync(int rounds, TimeSpan time)
    {
        int seed = PairLog.Setting("FTAKKA_SEED", Environment.TickCount & 0xffff);
        var random = new Random(seed);
        var log = new PairLog(output);
        log.Say($"seed {seed} (FTAKKA_SEED)");
        await using var cluster = new PairCluster(["A", "B", "C"], FailureTimeoutMs);
        await cluster.BootAsync(GuestImage.Plain);
        // The counter writes to the disk fifty times a second, and each ping is answered by a frame: something is always on its way out.
        using var ping = new NetworkClient(cluster.Network, "ping", PairNetwork.GuestAddress, "3");
        for (int round = 1; round <= rounds; round++)
        {
            (string primary, string backup) = await cluster.WholeThroughAsync(random, () => Task.Delay(random.Next(0, 1000)));
            ulong generation = cluster.Arbiter.Newest(PairGuest.Vm)!.Generation;
            double stopped = PairConsole.Clock;
            cluster.Host(primary).Stop();
            long frames = cluster.Network.FramesSentBy(primary);
            await Task.Delay(time);
            FailoverLine times = (await cluster.UntilAsync(backup, "live", line => line is { Role: "solo", Failover: not null })).Failover!;
            Assert.Equal(generation + 1, cluster.Arbiter.Newest(PairGuest.Vm)!.Generation);
            Assert.Equal(backup, cluster.Arbiter.Newest(PairGuest.Vm)!.Node);
            await cluster.CountOnAsync(10);

            cluster.Host(primary).Continue();
            await cluster.UntilAsync(primary, "halted", line => line.Role == "ended");
            int answers = ping.Count;
            await cluster.CountOnAsync(50);
            Assert.Equal(frames, cluster.Network.FramesSentBy(primary));
            await cluster.UntilAsync("the guest to answer pings", () => Task.FromResult(ping.Count > answers));
            Assert.Equal(frames, cluster.Network.FramesSentBy(primary));
            log.Say(string.Create(CultureInfo.InvariantCulture,
                $"{round}: {backup} went on for {primary}, which woke after {time.TotalSeconds:F0} s and sent no frame; longest wait for a ping {ping.LongestGapAround(stopped, 4000):F0} ms; last word {times.LastHeardAt - stopped:F0}, detection {times.DetectionMs:F0}, drain {times.DrainMs:F0}, arbiter {times.ArbiterMs:F0}, go live {times.GoLiveMs:F0}"));
        }
        await cluster.EndAsync();
        cluster.Passed = true;
    }
}
