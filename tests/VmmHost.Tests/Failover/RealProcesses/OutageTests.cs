using System.Globalization;
using FtAkka.VmmHost.Nodes;
using FtAkka.VmmHost.Tests.Guests;
using Xunit.Abstractions;

namespace FtAkka.VmmHost.Tests.Failover.RealProcesses;

/// <summary>How long clients of the guest wait when its host dies, beside the time after which a silent host is taken for dead.</summary>
[Collection(GuestTestCollection.Name)]
public sealed class OutageTests(ITestOutputHelper output)
{
    /// <summary>The product's own, for measurements on a quiet machine.</summary>
    private const int FailureTimeoutMs = 300;

    /// <summary>Between a host that is slow and one that is dead, where the machine is shared with builds and tests.</summary>
    private const int FailureTimeoutOnABusyHostMs = 1000;

    /// <summary>Only a failover that hangs takes so long; how long one should take is a matter of measurement, and this host may be loaded.</summary>
    private const double LongestMs = 5_000;

    /// <summary>Failovers more, until one takes less than <see cref="LongestMs"/>: a host that stops for seconds adds them to the others.</summary>
    private const int MoreRounds = 5;

    private sealed record Outage(double Ping, double KeptConnection, double NewConnections, double Console, double Lag, FailoverLine Times);

    [GuestFact("gcc", "mkfs.ext4", Tap = true)]
    public Task Clients_wait_little_at_two_failovers() => MeasureAsync(2, FailureTimeoutOnABusyHostMs);

    [GuestFact("gcc", "mkfs.ext4", Tap = true, Long = true)]
    public Task Clients_wait_little_at_thirty_failovers() => MeasureAsync(30, FailureTimeoutMs);

    private async Task MeasureAsync(int rounds, int failureTimeoutMs)
    {
        var random = new Random(rounds);
        var log = new PairLog(output);
        await using var cluster = new PairCluster(["A", "B", "C"], failureTimeoutMs);
        await cluster.BootAsync(GuestImage.Plain);
        using var ping = new NetworkClient(cluster.Network, "ping", PairNetwork.GuestAddress, "10");
        using var kept = new NetworkClient(cluster.Network, "get", PairNetwork.GuestAddress, "8080", "10");
        using var anew = new NetworkClient(cluster.Network, "fetch", PairNetwork.GuestAddress, "8080", "10");
        NetworkClient[] clients = [ping, kept, anew];
        var outages = new List<Outage>();
        while (outages.Count < rounds || (outages.Count < rounds + MoreRounds && !outages.Exists(IsShort)))
        {
            (string primary, string backup) = await cluster.WholeAsync(random);
            await Task.Delay(random.Next(300, 1300));
            if (await cluster.StatusAsync(primary) is not { Protected: true } before)
            {
                continue;
            }
            double killed = PairConsole.Clock;
            cluster.Kill(primary);
            ReplicaStatusLine live = await cluster.UntilAsync(backup, "live", line => line is { Role: "solo", Failover: not null });
            int[] counts = [.. clients.Select(client => client.Count)];
            await cluster.UntilAsync("all clients to be answered", () =>
            {
                Assert.All(clients, client => Assert.Null(client.Complaint));
                return Task.FromResult(clients.Select((client, i) => client.Count > counts[i] + 20).All(answered => answered));
            });
            await cluster.CountOnAsync(20);
            double[] waits = [.. clients.Select(client => client.LongestGapAround(killed, 3_000))];
            var outage = new Outage(waits[0], waits[1], waits[2], cluster.Console.LongestGapAfter(killed, 3_000), before.LagMs, live.Failover!);
            outages.Add(outage);
            log.Say(Format($"{outages.Count,3}: ping {outage.Ping:F0}, kept connection {outage.KeptConnection:F0}, new connections {outage.NewConnections:F0}, console {outage.Console:F0} ms; lag {outage.Lag:F0}, last word {outage.Times.LastHeardAt - killed:F0}, detection {outage.Times.DetectionMs:F0}, drain {outage.Times.DrainMs:F0}, arbiter {outage.Times.ArbiterMs:F0}, go live {outage.Times.GoLiveMs:F0}"));
        }
        log.Say($"failure timeout {failureTimeoutMs} ms, load {File.ReadAllText("/proc/loadavg").Split(' ')[0]}, copies begun again {cluster.CopiesGivenUp}, generations {cluster.Arbiter.Newest(PairGuest.Vm)!.Generation}");
        Report(log, "ping", outages.Select(outage => outage.Ping));
        Report(log, "HTTP, one connection", outages.Select(outage => outage.KeptConnection));
        Report(log, "HTTP, new connections", outages.Select(outage => outage.NewConnections));
        Report(log, "console", outages.Select(outage => outage.Console));
        Report(log, "detection", outages.Select(outage => outage.Times.DetectionMs));
        Report(log, "drain", outages.Select(outage => outage.Times.DrainMs));
        Report(log, "arbiter", outages.Select(outage => outage.Times.ArbiterMs));
        Report(log, "go live", outages.Select(outage => outage.Times.GoLiveMs));
        await cluster.EndAsync();
        Assert.Contains(outages, IsShort);
        cluster.Passed = true;
    }

    private static bool IsShort(Outage outage) => outage.Ping is >= 1 and <= LongestMs;

    private static void Report(PairLog log, string what, IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        log.Say(Format($"{what,-22} least {sorted[0]:F0}, median {sorted[sorted.Length / 2]:F0}, p95 {sorted[(int)Math.Ceiling(0.95 * sorted.Length) - 1]:F0}, longest {sorted[^1]:F0} ms"));
    }

    private static string Format(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
