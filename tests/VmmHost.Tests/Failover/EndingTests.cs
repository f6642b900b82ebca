using FtAkka.DeviceActors.Consoles;
using FtAkka.Machine.Events;
using FtAkka.Nodes;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>What endings do to a VM, its backup and its record: rows of docs/operations.md.</summary>
public sealed class EndingTests
{
    [Fact]
    public Task Guest_that_switches_itself_off_ends_both_replicas() => EndsBothAsync("it was switched off", async cluster =>
    {
        // The workload ends at Ctrl-D.
        VmConsole console = await cluster.ConsoleAsync("A");
        await console.TypeAsync([4], CancellationToken.None);
    });

    [Fact]
    public Task Guest_that_resets_itself_and_may_not_start_again_ends_both_replicas() => EndsBothAsync("it was reset",
        cluster => cluster.DoAsync("A", new NodeProtocol.Operate(Cluster.Vm, ControlOperation.Nmi)), "on-reboot = stop");   // It takes an NMI for a fault, and resets.

    [Fact]
    public async Task Lone_VM_that_no_peer_takes_is_switched_off_with_its_node()
    {
        await using var cluster = new Cluster(["A", "B"]);
        cluster.Start("A");
        cluster.Start("B", options => options with { MemoryBytesMax = 0 });
        await cluster.StartVmAsync("A", "workload=counter count=100000 period=3000000");
        // A peer that was not heard is not asked.
        await cluster.DoAsync("A", new NodeProtocol.Protect(Cluster.Vm, "B"));
        await cluster.UntilAsync("A", line => line is { Role: "solo", LastError: not null }, "refused by B");

        var left = (NodeProtocol.Left)await cluster.AskAsync("A", new NodeProtocol.Leave());
        Assert.Contains(left.What, line => line.Contains("no memory", StringComparison.Ordinal));
        Assert.Contains("switched off", left.What[^1], StringComparison.Ordinal);
        await cluster.UntilAsync("A", line => line.Role == "ended", "ended");
        Assert.True(cluster.Arbiter.HasEnded(Cluster.Vm, cluster.Arbiter.Newest(Cluster.Vm)!.Generation));
    }

    private static async Task EndsBothAsync(string how, Func<Cluster, Task> end, string settings = "")
    {
        await using var cluster = new Cluster(["A", "B"]);
        cluster.Start("A");
        cluster.Start("B");
        await cluster.StartVmAsync("A", "workload=console", settings: settings);
        await cluster.ProtectAsync("A", "B");
        await end(cluster);
        ReplicaStatusLine live = await cluster.UntilAsync("A", line => line.Role == "ended", "ended");
        ReplicaStatusLine backup = await cluster.UntilAsync("B", line => line.Role == "ended", "ended");
        Assert.EndsWith($"the machine ended: {how}", live.End, StringComparison.Ordinal);
        Assert.EndsWith($"the machine ended: {how}", backup.End, StringComparison.Ordinal);
        Assert.Equal(1ul, cluster.Arbiter.Newest(Cluster.Vm)!.Generation);
        Assert.True(cluster.Arbiter.HasEnded(Cluster.Vm, 1));
    }
}
