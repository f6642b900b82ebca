using System.Text.Json;
using Akka.Actor;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>A backup that is not the primary's execution is found out by its digests, dropped with a report, and made again.</summary>
public sealed class DivergenceTests
{
    private const ulong Changed = 0x80_0000;

    [Fact]
    public async Task Changed_page_of_the_backup_is_reported_by_both_sides_and_the_backup_is_cloned_again()
    {
        await using var cluster = new Cluster(["A", "B"], extra: "ftakka.ft { auto-protect-delay = 50ms, digest-interval = 20000000 }");
        cluster.Start("A");
        cluster.Start("B");
        await cluster.DoAsync("A", VmStart.Read(cluster.WriteVm("workload=compute rounds=100000000"), "B", takeOver: false));
        await cluster.UntilAsync("A", line => line.Protected, "protected");
        await cluster.UntilAsync("B", line => line is { Role: "backup", DigestsChecked: > 0 }, "a backup that has compared digests");

        cluster.SystemOf("B").ActorSelection("/user/node/*/replica/replay").Tell(new ReplayProtocol.Inspect(machine => machine.Memory.TryWrite(Changed, [0xEE])));

        ReplicaStatusLine again = await cluster.UntilAsync("A", line => line is { Generation: 2, Protected: true }, "protected again");
        Assert.Equal("B", again.Peer);
        await cluster.UntilAsync("B", line => line is { Role: "backup", DigestsChecked: > 0 }, "a backup that has compared digests");
        string folder = Path.Combine(cluster.Files.Folder, "divergences");
        string primary = await ReportAsync(folder, "primary"), backup = await ReportAsync(folder, "backup");
        Assert.Contains($"1 registers and pages differ, the first: page 0x{Changed:x}: hash not written on the primary", primary, StringComparison.Ordinal);
        Assert.Contains("the state differs from the recorder's (memory differ)", backup, StringComparison.Ordinal);
        string[] frames = Directory.GetFiles(folder, "*.frames");
        Assert.Equal(2, frames.Length);
        JsonElement[] logs = [.. await Task.WhenAll(frames.Select(EntriesAsync))];
        // Both logs are of one recording: the digest at which they parted is in both, equal.
        string[] digests = [.. logs.Select(log => log.EnumerateArray().Last(entry => entry.GetProperty("kind").GetString() == "digest").ToString())];
        Assert.Contains(digests[1], logs[0].EnumerateArray().Select(entry => entry.ToString()));
    }

    /// <summary>The entries as <c>ftakka log show</c> prints them.</summary>
    private static async Task<JsonElement> EntriesAsync(string frames)
    {
        var output = new StringWriter();
        var error = new StringWriter();
        Assert.Equal(ExitCode.Ok, await new CommandLineApplication(CommandLineApplication.FindModules(), output, error).RunAsync(["log", "show", frames, "--json"]));
        return JsonDocument.Parse(output.ToString()).RootElement.GetProperty("entries");
    }

    private static async Task<string> ReportAsync(string folder, string side)
    {
        DateTime end = DateTime.UtcNow + Cluster.Patience;
        while (true)
        {
            if (Directory.Exists(folder) && Directory.GetFiles(folder, $"*.{side}.frames") is [var file] && new FileInfo(file).Length > 0)
            {
                return await File.ReadAllTextAsync(Path.ChangeExtension(file, ".txt"));
            }
            Assert.True(DateTime.UtcNow < end, $"{side} has no report");
            await Task.Delay(10);
        }
    }
}
