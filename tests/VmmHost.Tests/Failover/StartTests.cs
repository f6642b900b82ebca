using FtAkka.Nodes;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Failover;

public sealed class StartTests
{
    [Fact]
    public async Task What_is_asked_right_behind_start_is_not_refused()
    {
        await using var cluster = new Cluster(["A", "B"]);
        cluster.Start("A");
        cluster.Start("B");

        // Side by side in the node's mailbox: the machine's actors begin on other threads, and the second question came before them.
        Task start = cluster.StartVmAsync("A", "workload=console");
        Task protect = cluster.DoAsync("A", new NodeProtocol.Protect(Cluster.Vm, "B"));
        await start;
        await protect;

        await cluster.UntilAsync("A", line => line.Protected, "protected");
    }
}
