using FtAkka.VmmHost.Nodes;
using FtAkka.VmmHost.Tests.Guests;
using Xunit.Abstractions;

namespace FtAkka.VmmHost.Tests.Failover.RealProcesses;

/// <summary>Each host has its own copy of the disk with the guest's file system, and hosts die while fio writes to it.</summary>
[Collection(GuestTestCollection.Name)]
public sealed class OwnDiskTests(ITestOutputHelper output)
{
    private const int FailureTimeoutMs = 1500;

    /// <summary>fio may be through before a test that is kept waiting has come to the kill.</summary>
    private const int FioAttempts = 5;

    [GuestFact("gcc", "curl", "e2fsck", "mkfs.ext4", Variant = GuestImage.Test, Tap = true)]
    public async Task File_system_survives_on_the_copies_of_the_other_hosts()
    {
        var log = new PairLog(output);
        await using var cluster = new PairCluster(["A", "B", "C"], FailureTimeoutMs);
        await cluster.BootAsync(GuestImage.Test, ownDisks: true);
        await ProtectAsync(cluster, "A", "B");
        log.Say($"A to B: {(await cluster.StatusAsync("A"))!.DiskState}");
        await KillUnderFioAsync(cluster, "A", "B", job: 1);

        // C's copy is empty; A's is old when it comes back.
        await ProtectAsync(cluster, "B", "C");
        log.Say($"B to C: {(await cluster.StatusAsync("B"))!.DiskState}");
        await cluster.StartAsync("A");
        await KillUnderFioAsync(cluster, "B", "C", job: 2);

        await ProtectAsync(cluster, "C", "A");
        log.Say($"C to A: {(await cluster.StatusAsync("C"))!.DiskState}");
        await FioAsync(cluster, 3);
        await cluster.UntilAsync("fio to end", () => Task.FromResult(cluster.Console.Has("FIO 3 clean")));
        await cluster.EndAsync(cluster.OwnDisk("C"));
        await cluster.UntilAsync("A", "ended", line => line.Role == "ended");
        Assert.True(File.ReadAllBytes(cluster.OwnDisk("A")).AsSpan().SequenceEqual(File.ReadAllBytes(cluster.OwnDisk("C"))), "the copies of A and C differ");
        cluster.Passed = true;
    }

    [GuestFact("gcc", "curl", "e2fsck", "mkfs.ext4", Variant = GuestImage.Test, Tap = true)]
    public async Task Backup_that_reads_its_own_disk_needs_no_data_in_the_log_and_takes_over()
    {
        var log = new PairLog(output);
        await using var cluster = new PairCluster(["A", "B"], FailureTimeoutMs);
        await cluster.BootAsync(GuestImage.Test, ownDisks: true, backupReads: true);
        await ProtectAsync(cluster, "A", "B");
        long before = (await cluster.StatusAsync("A"))!.LogBytesSent;
        await cluster.DoAsync("read", 1);
        await cluster.UntilAsync("all to be read", () => Task.FromResult(cluster.Console.Has("READ 1 done")));
        long sent = (await cluster.StatusAsync("A"))!.LogBytesSent - before;
        log.Say($"{PairGuest.FileSystemBytes} bytes read, {sent} bytes of log");
        Assert.InRange(sent, 1, PairGuest.FileSystemBytes / 20);

        await KillUnderFioAsync(cluster, "A", "B", job: 1);
        await cluster.EndAsync(cluster.OwnDisk("B"));
        cluster.Passed = true;
    }

    private static async Task ProtectAsync(PairCluster cluster, string primary, string backup)
    {
        // A copy may fail, where the machine is so slow that a host is taken for dead.
        await cluster.UntilAsync($"{backup} to protect {primary}", () => cluster.TryProtectAsync(primary, backup));
    }

    private static async Task FioAsync(PairCluster cluster, int job)
    {
        await cluster.DoAsync("fio", job);
        await cluster.UntilAsync("fio to begin", () => Task.FromResult(cluster.Console.Has($"FIO {job} begin")));
        await cluster.CountOnAsync(20);
    }

    /// <summary>What fio reads after the failover, it has written before: it verifies all of it, and the file system is checked in the guest.</summary>
    private static async Task KillUnderFioAsync(PairCluster cluster, string primary, string survivor, int job)
    {
        int run = 10 * job;
        for (int attempt = 1; ; attempt++, run++)
        {
            await FioAsync(cluster, run);
            bool paired = await cluster.IsPairAsync(primary, survivor);
            if (paired && !cluster.Console.Has($"FIO {run} clean"))
            {
                break;
            }
            Assert.True(attempt < FioAttempts, $"The moment was missed {attempt} times.\n{await cluster.StoryAsync()}");
            await cluster.UntilAsync("fio to end", () => Task.FromResult(cluster.Console.Has($"FIO {run} clean")));
            if (!paired)
            {
                await ProtectAsync(cluster, primary, survivor);
            }
        }
        cluster.Kill(primary);
        await cluster.UntilAsync(survivor, "live", ControlClient.IsLive);
        await cluster.UntilAsync("fio to end", () => Task.FromResult(cluster.Console.Has($"FIO {run} clean")));
    }
}
