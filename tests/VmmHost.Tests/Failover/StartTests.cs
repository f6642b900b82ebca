using Akka.Actor;
using FtAkka.Nodes;
using FtAkka.Nodes.Arbiters;
using FtAkka.Replication.Protection;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>Which starts a node takes, and which it refuses.</summary>
public sealed class StartTests
{
    private const string Console = "workload=console";

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

    [Fact]
    public async Task VM_that_runs_on_another_node_is_refused_with_the_nodes_name()
    {
        await using var cluster = new Cluster(["A", "B"]);
        cluster.Start("A");
        cluster.Start("B");
        await cluster.StartVmAsync("A", Console);
        await cluster.UntilAsync("A", line => line.Role == "solo", "live");

        Assert.Contains("runs on A", await RefusalAsync(cluster, "B", takeOver: true), StringComparison.Ordinal);
        Assert.Equal(1ul, cluster.Arbiter.Newest(Cluster.Vm)!.Generation);
    }

    [Fact]
    public async Task VM_that_its_owner_has_no_more_is_started_elsewhere_without_a_flag()
    {
        await using var cluster = new Cluster(["A", "B"]);
        cluster.Start("A");
        cluster.Start("B");
        await cluster.StartVmAsync("A", Console);
        cluster.Kill("A");
        await cluster.SystemOf("A").Terminate();
        cluster.Start("A");

        await cluster.StartVmAsync("B", Console);
        Assert.Equal("B", cluster.Arbiter.Newest(Cluster.Vm)!.Node);
    }

    [Fact]
    public async Task VM_whose_owner_is_away_needs_the_flag_and_both_answers_say_who_it_was()
    {
        await using var cluster = new Cluster(["A", "B"], "ftakka.ft { failure-timeout = 1s, lease = 800ms, pause-guard = 500ms }");
        cluster.Start("B");
        cluster.Arbiter.ClaimNow(new OwnershipClaim(new ReplicaIdentity(Cluster.Vm, "A", 1), 1));

        string refusal = await RefusalAsync(cluster, "B", takeOver: false);
        Assert.Contains("--take-over", refusal, StringComparison.Ordinal);
        Assert.Contains("A cannot be asked, since it has not been heard", refusal, StringComparison.Ordinal);
        var done = Assert.IsType<NodeProtocol.Done>(await cluster.AskAsync("B", SecondVm.Start(cluster) with { Profile = SecondVm.Profile with { Name = Cluster.Vm }, TakeOver = true }));
        Assert.Contains("the arbiter knew A as its owner (generation 1", done.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_asked_while_other_nodes_are_asked_waits_for_the_start()
    {
        await using var cluster = new Cluster(["A", "B"], "ftakka.ft { failure-timeout = 1s, lease = 800ms, pause-guard = 500ms }");
        cluster.Start("B");
        cluster.Arbiter.ClaimNow(new OwnershipClaim(new ReplicaIdentity(Cluster.Vm, "B", 1), 1));

        Task start = cluster.StartVmAsync("B", Console);
        Task<object> again = cluster.AskAsync("B", SecondVm.Start(cluster) with { Profile = SecondVm.Profile with { Name = Cluster.Vm } });
        Task<object> attach = cluster.AskAsync("B", new NodeProtocol.Attach(Cluster.Vm));
        Assert.Contains("being started", Assert.IsType<NodeProtocol.Refused>(await again).Why, StringComparison.Ordinal);
        Assert.False(start.IsCompleted, "A, which is down, was not waited for");
        await start;
        Assert.IsType<NodeProtocol.Attached>(await attach);
    }

    [Fact]
    public async Task Guests_of_a_node_have_no_more_memory_than_it_allows()
    {
        await using var cluster = new Cluster(["A"]);
        cluster.Start("A", options => options with { MemoryBytesMax = 24 << 20 });
        await cluster.StartVmAsync("A", Console);

        Assert.Contains("ftakka.node.memory", Assert.IsType<NodeProtocol.Refused>(await cluster.AskAsync("A", SecondVm.Start(cluster))).Why, StringComparison.Ordinal);
        Assert.Null(cluster.Arbiter.Newest(SecondVm.Name));
        cluster.SystemOf("A").Stop(await cluster.SystemOf("A").ActorSelection($"/user/{NodeActor.Name}/{Cluster.Vm}-1").ResolveOne(Cluster.Patience));
        await cluster.UntilAsync("A", line => line.Role == "ended", "ended");
        Assert.IsType<NodeProtocol.Done>(await cluster.AskAsync("A", SecondVm.Start(cluster)));
    }

    [Fact]
    public async Task Whatever_the_arbiter_throws_concerns_the_VM_that_was_asked_for()
    {
        await using var cluster = new Cluster(["A"]);
        cluster.Start("A", options => options with { Arbiter = new ThrowingArbiter(options.Arbiter) });
        await cluster.StartVmAsync("A", Console);

        string refusal = Assert.IsType<NodeProtocol.Refused>(await cluster.AskAsync("A", SecondVm.Start(cluster))).Why;
        Assert.Contains("no number", refusal, StringComparison.Ordinal);
        Assert.True(await SecondVm.LivesAsync(cluster, "A"));
    }

    private static async Task<string> RefusalAsync(Cluster cluster, string node, bool takeOver)
    {
        NodeProtocol.Start start = SecondVm.Start(cluster) with { Profile = SecondVm.Profile with { Name = Cluster.Vm }, TakeOver = takeOver };
        return Assert.IsType<NodeProtocol.Refused>(await cluster.AskAsync(node, start)).Why;
    }

    /// <summary>Its records of the second VM are not what the program that reads them expects.</summary>
    private sealed class ThrowingArbiter(INodeArbiter arbiter) : INodeArbiter
    {
        public string Place => arbiter.Place;

        public void Claim(OwnershipClaim claim, Action<OwnershipVerdict> answer) => arbiter.Claim(claim, answer);

        public void Check(OwnershipClaim claim, Action<OwnershipVerdict> answer) => arbiter.Check(claim, answer);

        public OwnershipVerdict ClaimNow(OwnershipClaim claim) => arbiter.ClaimNow(claim);

        public OwnershipRecord? Newest(string vm) => vm == SecondVm.Name ? throw new FormatException("no number") : arbiter.Newest(vm);

        public bool HasEnded(string vm, ulong generation) => arbiter.HasEnded(vm, generation);

        public void NoteEnd(string vm, ulong generation) => arbiter.NoteEnd(vm, generation);
    }
}
