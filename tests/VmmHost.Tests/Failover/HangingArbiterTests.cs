using FtAkka.Machine.Events;
using FtAkka.Nodes;
using FtAkka.Nodes.Arbiters;
using FtAkka.Replication.Protection;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>A node and its VMs share no thread: what one VM waits for keeps nobody else waiting.</summary>
public sealed class HangingArbiterTests
{
    [Fact]
    public async Task Verb_that_waits_for_storage_keeps_neither_the_node_nor_another_VM_waiting()
    {
        await using var cluster = new Cluster(["A", "B"]);
        using var storage = new ManualResetEventSlim(true);
        cluster.Start("A", options => options with { Arbiter = new HangingArbiter(options.Arbiter, storage) });
        cluster.Start("B");
        await cluster.StartVmAsync("A", "workload=counter count=1000000 period=3000000");
        await cluster.ProtectAsync("A", "B");
        Assert.IsType<NodeProtocol.Done>(await cluster.AskAsync("A", SecondVm.Start(cluster)));

        storage.Reset();
        Task<object> failover = cluster.AskAsync("A", new NodeProtocol.Failover(Cluster.Vm));
        var replicas = Assert.IsType<NodeProtocol.Replicas>(await cluster.AskAsync("A", new NodeProtocol.List()));
        Assert.Equal(ReplicaRole.ProtectedPrimary, Assert.Single(replicas.Lines, line => line.Vm == Cluster.Vm).View!.Status.Role);
        Assert.IsType<NodeProtocol.Done>(await cluster.AskAsync("A", new NodeProtocol.Operate(SecondVm.Name, ControlOperation.Nmi)));
        Assert.False(failover.IsCompleted);

        storage.Set();
        Assert.IsType<NodeProtocol.Done>(await failover);
        Assert.Contains("solo", (await cluster.UntilAsync("B", line => line.Role == "solo", "live")).Role, StringComparison.Ordinal);
    }

    /// <summary>An arbiter whose storage answers no question while it hangs.</summary>
    private sealed class HangingArbiter(INodeArbiter arbiter, ManualResetEventSlim storage) : INodeArbiter
    {
        public string Place => arbiter.Place;

        public void Claim(OwnershipClaim claim, Action<OwnershipVerdict> answer) => arbiter.Claim(claim, answer);

        public void Check(OwnershipClaim claim, Action<OwnershipVerdict> answer) => arbiter.Check(claim, answer);

        public OwnershipRecord? Newest(string vm)
        {
            storage.Wait();
            return arbiter.Newest(vm);
        }

        public OwnershipVerdict ClaimNow(OwnershipClaim claim) => arbiter.ClaimNow(claim);

        public bool HasEnded(string vm, ulong generation) => arbiter.HasEnded(vm, generation);

        public void NoteEnd(string vm, ulong generation) => arbiter.NoteEnd(vm, generation);
    }
}
