using FtAkka.VmmHost.Tests.Guests;
using Xunit.Abstractions;

namespace FtAkka.VmmHost.Tests.Failover.RealProcesses;

/// <summary>Hosts die again and again, at bad moments, and nobody outside notices.</summary>
[Collection(GuestTestCollection.Name)]
public sealed class FailoverLoopTests(ITestOutputHelper output)
{
    /// <summary>Small enough for a busy guest to fill it within a failure timeout.</summary>
    private const string SmallBuffers = "ftakka.ft { log-entries = 4096, log-bytes = 2097152 }\n";

    [GuestFact("gcc", "curl", "e2fsck", "mkfs.ext4", Variant = GuestImage.Test, Tap = true)]
    public Task Guest_survives_one_failover_at_each_moment() =>
        LoopAsync([Moment.UnderTransfers, Moment.UnderFio, Moment.FullBuffers, Moment.CopyTarget, Moment.WhileDraining, Moment.JustProtected]);

    [GuestFact("gcc", "curl", "e2fsck", "mkfs.ext4", Variant = GuestImage.Test, Tap = true, Long = true)]
    public Task Guest_survives_a_hundred_failovers() =>
        LoopAsync([.. Enumerable.Range(0, PairLog.Setting("FTAKKA_FAILOVERS", 100)).Select(i => (Moment)(i % Enum.GetValues<Moment>().Length))]);

    private async Task LoopAsync(Moment[] moments)
    {
        var log = new PairLog(output);
        int seed = PairLog.Setting("FTAKKA_SEED", Environment.TickCount & 0xffff);
        var random = new Random(seed);
        random.Shuffle(moments);
        await using var cluster = new PairCluster(["A", "B", "C"], PairLog.Setting("FTAKKA_FAILURE_TIMEOUT_MS", 500), SmallBuffers);
        log.Say($"seed {seed} (FTAKKA_SEED), failure timeout {cluster.FailureTimeoutMs} ms, folder {cluster.Folder}");
        await cluster.BootAsync(GuestImage.Test);
        var loop = new FailoverLoop(cluster, random, log.Say);
        foreach (Moment moment in moments)
        {
            await loop.RunAsync(moment);
        }
        log.Say(loop.Summary());
        await cluster.EndAsync();
        cluster.Passed = true;
    }
}
