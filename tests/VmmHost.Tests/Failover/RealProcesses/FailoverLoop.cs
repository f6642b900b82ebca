using System.Diagnostics;
using System.Globalization;
using FtAkka.GuestKit;
using FtAkka.VmmHost.Nodes;
using FtAkka.VmmHost.Tests.Guests;

namespace FtAkka.VmmHost.Tests.Failover.RealProcesses;

/// <summary>Moments at which a host dies.</summary>
internal enum Moment
{
    /// <summary>The primary, at any time.</summary>
    AnyTime,

    /// <summary>The primary, within milliseconds of the guest's being protected.</summary>
    JustProtected,

    /// <summary>The primary, while its backup is far behind and must replay much.</summary>
    MuchToDrain,

    /// <summary>The primary, which was frozen and is taken for dead, while its backup replays before it goes live.</summary>
    WhileDraining,

    /// <summary>The primary, while the log buffer is full.</summary>
    FullBuffers,

    /// <summary>The primary, while fio writes and verifies.</summary>
    UnderFio,

    /// <summary>The primary, while files are on their way in both directions.</summary>
    UnderTransfers,

    /// <summary>The host that gets a copy, while it is made; afterwards the primary.</summary>
    CopyTarget,

    /// <summary>The backup, at any time; afterwards the primary.</summary>
    Backup,
}

/// <summary>A guest that loses its host again and again, and is protected again each time.</summary>
internal sealed class FailoverLoop(PairCluster cluster, Random random, Action<string> say)
{
    private readonly SortedDictionary<Moment, int> hits = [];
    private readonly List<FailoverLine> failovers = [];
    private readonly List<double> outages = [];
    private int job;
    private ulong generationDue = 1;
    private ulong suspicions;
    private int missed;
    private int backupsKilled;

    /// <summary>Failovers so far: a host that ran the VM was killed, and another went on.</summary>
    public int Failovers { get; private set; }

    /// <summary>What was hit how often, and what it took.</summary>
    public string Summary()
    {
        string Spread(IEnumerable<double> values)
        {
            double[] sorted = [.. values.Order()];
            return sorted.Length == 0 ? "none" : string.Create(CultureInfo.InvariantCulture, $"median {sorted[sorted.Length / 2]:F0}, p95 {sorted[(int)(0.95 * (sorted.Length - 1))]:F0}, longest {sorted[^1]:F0} ms");
        }
        return string.Join('\n',
            $"{Failovers} failovers, {backupsKilled} backups and copies killed, {cluster.Console.Last} numbers counted, {cluster.Ring.Looks} looks at the disk",
            $"moments: {string.Join(", ", hits.Select(hit => $"{hit.Key} {hit.Value}"))}; moments that were over before the kill: {missed}",
            $"takeovers and drops nobody asked for (slow host): {suspicions}; copies begun again: {cluster.CopiesGivenUp}",
            $"outage on the console: {Spread(outages)}",
            $"detection: {Spread(failovers.Select(line => line.DetectionMs))}; drain: {Spread(failovers.Select(line => line.DrainMs))}; arbiter: {Spread(failovers.Select(line => line.ArbiterMs))}; go live: {Spread(failovers.Select(line => line.GoLiveMs))}",
            $"outputs sent again {failovers.Sum(line => line.OutputsResent)}, disk requests issued again {failovers.Sum(line => line.DiskRequestsReissued)}");
    }

    /// <summary>One round: the pair is whole, then a host dies at the moment asked for, and the guest goes on.</summary>
    public async Task RunAsync(Moment moment)
    {
        var clock = Stopwatch.StartNew();
        await cluster.CountOnAsync(random.Next(1, 10));
        (string primary, string backup) = await cluster.WholeAsync(random);
        bool hit = await AtAsync(moment, primary, backup);
        if (cluster.Runs(primary))
        {
            // Moments that kill others than the primary leave it alive.
            do
            {
                (primary, _) = await cluster.WholeAsync(random);
            }
            while (!await KillProtectedAsync(primary));
        }
        ReplicaStatusLine live = await TakenOverAsync(primary);
        await AfterAsync(moment);
        hits[moment] = hits.GetValueOrDefault(moment) + (hit ? 1 : 0);
        missed += hit ? 0 : 1;
        Failovers++;
        say(string.Create(CultureInfo.InvariantCulture, $"{Failovers,3} {moment}{(hit ? "" : " (missed)")}: {live.Node} lives, generation {live.Generation}, detection {live.Failover?.DetectionMs:F0}, drain {live.Failover?.DrainMs:F0}, outage {outages.LastOrDefault():F0} ms, {clock.Elapsed.TotalSeconds:F1} s"));
    }

    /// <summary>Kills at the moment, as far as it can be met.</summary>
    /// <returns>Whether it was met.</returns>
    private Task<bool> AtAsync(Moment moment, string primary, string backup) => moment switch
    {
        Moment.JustProtected => JustProtectedAsync(primary, backup),
        Moment.MuchToDrain => DrainAsync(primary, backup, freeze: false),
        Moment.WhileDraining => DrainAsync(primary, backup, freeze: true),
        Moment.FullBuffers => FullBuffersAsync(primary, backup),
        Moment.UnderFio => UnderFioAsync(primary),
        Moment.UnderTransfers => UnderTransfersAsync(primary),
        Moment.CopyTarget => CopyTargetAsync(primary, backup),
        Moment.Backup => BackupAsync(primary, backup),
        _ => AnyTimeAsync(primary),
    };

    private async Task<bool> AnyTimeAsync(string primary)
    {
        await Task.Delay(random.Next(0, 1500));
        return await KillProtectedAsync(primary);
    }

    private async Task<bool> JustProtectedAsync(string primary, string backup)
    {
        await cluster.AskAsync(primary, new ControlRequest("unprotect", PairGuest.Vm));
        generationDue++;
        await cluster.UntilAsync(primary, "without backup", line => line.Role == "solo");
        bool again = false;
        // The backup's host refuses until it has closed what it had.
        await WithinAsync(TimeSpan.FromSeconds(10), async () => again = await cluster.TryProtectAsync(primary, backup));
        if (!again)
        {
            // Without a backup the VM would rightly die with its host.
            return false;
        }
        await Task.Delay(random.Next(0, 30));
        return await KillProtectedAsync(primary);
    }

    /// <summary>The backup's host gets a tenth of its time until it lags behind; then the primary dies, or freezes and dies later.</summary>
    private async Task<bool> DrainAsync(string primary, string backup, bool freeze)
    {
        await cluster.DoAsync("burn", ++job);
        using var enough = new CancellationTokenSource();
        Task slow = SlowDownAsync(backup, enough.Token);
        try
        {
            double target = cluster.FailureTimeoutMs * 0.8;
            double lag = 0;
            await WithinAsync(TimeSpan.FromSeconds(4), async () => (lag = (await cluster.StatusAsync(primary))?.LagMs ?? 0) > target);
            if (!await HasBackupAsync(primary))
            {
                return false;
            }
            if (freeze)
            {
                killedAt = PairConsole.Clock;
                cluster.Host(primary).Stop();
            }
            else
            {
                Kill(primary);
            }
            ReplicaStatusLine? line = null;
            await WithinAsync(TimeSpan.FromSeconds(5), async () => (line = await cluster.StatusAsync(backup)) is { Role: "goingLive" or "solo" });
            if (freeze)
            {
                cluster.Kill(primary);
            }
            say(string.Create(CultureInfo.InvariantCulture, $"    lag {lag:F0} ms, {line?.Role} with {line?.LogEntries} entries to replay"));
            return line is { Role: "goingLive" };
        }
        finally
        {
            await enough.CancelAsync();
            await slow;
        }
    }

    private async Task SlowDownAsync(string name, CancellationToken enough)
    {
        HostProcess host = cluster.Host(name);
        while (!enough.IsCancellationRequested)
        {
            host.Stop();
            await Task.WhenAny(Task.Delay(90, CancellationToken.None));
            host.Continue();
            await Task.WhenAny(Task.Delay(10, CancellationToken.None));
        }
    }

    private const int FullBuffersAttempts = 5;

    /// <summary>The guest reads, which fills the log, and the backup's host is frozen for less than the timeout.</summary>
    private async Task<bool> FullBuffersAsync(string primary, string backup)
    {
        for (int attempt = 1; ; attempt++)
        {
            HostProcess host = cluster.Host(backup);
            // A guest that has not begun to read, or has read it all, fills nothing: then once more, with the backup in good health again.
            await cluster.DoAsync("read", ++job);
            bool full = false;
            host.Stop();
            await WithinAsync(TimeSpan.FromMilliseconds(cluster.FailureTimeoutMs * 0.6), async () =>
                full = await cluster.StatusAsync(primary) is { Stopped: { } why } && why.Contains("LogFull", StringComparison.Ordinal));
            if (full || attempt == FullBuffersAttempts)
            {
                bool killed = await KillProtectedAsync(primary);
                host.Continue();
                return full && killed;
            }
            host.Continue();
            (_, backup) = await cluster.WholeAsync(random);
        }
    }

    private async Task<bool> UnderFioAsync(string primary)
    {
        await cluster.DoAsync("fio", ++job);
        await cluster.UntilAsync("fio to begin", () => Task.FromResult(cluster.Console.Has($"FIO {job} begin")));
        await Task.Delay(random.Next(0, 1500));
        bool running = cluster.Console.Find($"FIO {job} clean") is null;
        return await KillProtectedAsync(primary) && running;
    }

    private List<Task<HostCommand>> transfers = [];

    /// <summary>One file down and one up, slow enough to be on their way when the host dies.</summary>
    private async Task<bool> UnderTransfersAsync(string primary)
    {
        const string Server = "http://" + PairNetwork.GuestAddress;
        string data = Path.Combine(cluster.Folder, "data");
        if (!File.Exists(data))
        {
            HostCommand.RunChecked("sh", ["-c", $"'{GuestImage.ProofProgram}' data {PairGuest.DataMegabytes} > '{data}'"]);
        }
        string rate = $"{random.Next(800, 1600)}k";
        transfers =
        [
            CurlAsync($"--limit-rate {rate} -o '{data}.down' {Server}/data && cmp '{data}' '{data}.down' && sha256sum < '{data}.down'"),
            CurlAsync($"--limit-rate {rate} -H 'Content-Type: x/y' -H Expect: --data-binary '@{data}' {Server}/cgi-bin/hash"),
        ];
        await Task.Delay(random.Next(300, 1800));
        bool running = transfers.TrueForAll(transfer => !transfer.IsCompleted);
        return await KillProtectedAsync(primary) && running;
    }

    private Task<HostCommand> CurlAsync(string arguments) => Task.Run(() =>
        HostCommand.Run(cluster.Network.AtClient[0], [.. cluster.Network.AtClient.Skip(1), "sh", "-c", $"curl -sS -m 300 {arguments}"]));

    private async Task<bool> CopyTargetAsync(string primary, string backup)
    {
        KillBackup(backup);
        await AloneAsync(primary);
        string third = cluster.Names.First(name => name != primary && name != backup);
        await cluster.AskAsync(primary, new ControlRequest("protect", PairGuest.Vm, Node: third));
        await Task.Delay(random.Next(0, 1200));
        ReplicaStatusLine? before = await cluster.StatusAsync(primary);
        cluster.Kill(third);
        backupsKilled++;
        generationDue += before is { CanTakeOver: true } ? 1u : 0;
        await AloneAsync(primary);
        await cluster.CountOnAsync(20);
        return before is { Role: "cloningPrimary" };
    }

    private async Task<bool> BackupAsync(string primary, string backup)
    {
        await Task.Delay(random.Next(0, 500));
        KillBackup(backup);
        await AloneAsync(primary);
        await cluster.CountOnAsync(20);
        return true;
    }

    private void KillBackup(string backup)
    {
        cluster.Kill(backup);
        backupsKilled++;
        generationDue++;
    }

    private Task<ReplicaStatusLine> AloneAsync(string primary) => cluster.UntilAsync(primary, "alone", line => line.Role == "solo");

    private double killedAt;

    private void Kill(string name)
    {
        killedAt = PairConsole.Clock;
        cluster.Kill(name);
    }

    /// <summary>Kills a primary that has a backup. One that has dropped it, because it got no time, would rightly take the VM with it.</summary>
    private async Task<bool> KillProtectedAsync(string primary)
    {
        if (!await HasBackupAsync(primary))
        {
            return false;
        }
        Kill(primary);
        return true;
    }

    private async Task<bool> HasBackupAsync(string primary) => await cluster.StatusAsync(primary) is { CanTakeOver: true };

    /// <summary>Another host runs the VM, and the console goes on without gap.</summary>
    private async Task<ReplicaStatusLine> TakenOverAsync(string from)
    {
        await cluster.UntilAsync("another host to go live", async () => await cluster.LiveAsync() is { } other && other.Node != from);
        await cluster.CountOnAsync(10);
        ReplicaStatusLine live = await cluster.LiveAsync() ?? throw new InvalidOperationException(await cluster.StoryAsync());
        // One later is this failover; more is a host too slow for its timeout.
        generationDue++;
        suspicions += live.Generation - generationDue;
        generationDue = live.Generation;
        outages.Add(cluster.Console.LongestGapAfter(killedAt));
        if (live.Failover is { } line)
        {
            failovers.Add(line);
        }
        return live;
    }

    /// <summary>What was under way when the host died must come to a good end.</summary>
    private async Task AfterAsync(Moment moment)
    {
        if (moment == Moment.UnderFio)
        {
            await cluster.UntilAsync("fio to end", () =>
            {
                Assert.True(cluster.Console.Find($"FIO {job} BAD") is null, cluster.Console.Tail());
                return Task.FromResult(cluster.Console.Has($"FIO {job} clean"));
            });
        }
        else if (moment == Moment.UnderTransfers)
        {
            HostCommand[] results = await Task.WhenAll(transfers);
            Assert.All(results, result => Assert.True(result.ExitCode == 0, result.Output + result.Error));
            Assert.Equal(results[0].Output, results[1].Output);
            Assert.Equal(0, cluster.Network.ClientConnectionsReset());
        }
    }

    private static async Task WithinAsync(TimeSpan time, Func<Task<bool>> reached)
    {
        for (long begin = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(begin) < time && !await reached();)
        {
            await Task.Delay(2);
        }
    }
}
