using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Event;
using FtAkka.Nodes;
using FtAkka.Replication.Messages;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>A member of the cluster that speaks in another member's name, over its own connection and with its own certificate, is not believed.</summary>
public sealed class ForgedMessagesTests
{
    private sealed class Lines : ReceiveActor
    {
        public Lines(ConcurrentQueue<string> lines) => Receive<Warning>(warning => lines.Enqueue(warning.Message.ToString()!));
    }

    [Fact]
    public async Task Heartbeat_and_offer_in_another_nodes_name_are_dropped_and_the_log_names_who_sent_them()
    {
        await using var cluster = new Cluster(["A", "B", "C"]);
        ConcurrentQueue<string> warnings = StartWatched(cluster, "A");
        cluster.Start("C");
        ICanTell node = cluster.NodeSeenFrom("C", "A");

        node.Tell(new Heartbeat("C", 1, 1, 0), cluster.ActorOf("C"));
        node.Tell(new Heartbeat("B", 1, 1, 0), cluster.ActorOf("C"));
        await SaidAsync(warnings, "A Heartbeat of C in another node's name is dropped");
        node.Tell(new CloneOffer(1, 1, "tiny", "B", "profile", 1, 4096, 1), cluster.ActorOf("C"));
        await SaidAsync(warnings, "A CloneOffer of C in another node's name is dropped");
        Assert.Single(warnings, line => line.StartsWith("A Heartbeat", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Third_node_cannot_end_the_session_of_a_pair()
    {
        await using var cluster = new Cluster(["A", "B", "C"]);
        ConcurrentQueue<string> warnings = StartWatched(cluster, "A");
        cluster.Start("B");
        cluster.Start("C");
        await cluster.StartVmAsync("A", "workload=counter count=1000000 period=3000000");
        await cluster.ProtectAsync("A", "B");
        IActorRef c = cluster.ActorOf("C"), replicaOfA = cluster.ReplicaSeenFrom("C", "A");

        for (ulong attempt = 0; attempt < 8; attempt++)
        {
            replicaOfA.Tell(new ChannelClosed(1, attempt, ChannelCloseReason.Gone, "forged"), c);
            replicaOfA.Tell(new ChannelClosed(1, attempt, ChannelCloseReason.TookOver, "forged"), c);
            replicaOfA.Tell(new ReplicaBeat(1, attempt, 1), c);
            replicaOfA.Tell(new ReplicaBeat(1, attempt, 9), c);
        }
        // Behind them on the same connection: once it is there, they were.
        cluster.NodeSeenFrom("C", "A").Tell(new Heartbeat("B", 1, 1, 0), cluster.ActorOf("C"));
        await SaidAsync(warnings, "A Heartbeat of C in another node's name is dropped");

        ReplicaStatusLine a = Assert.IsType<ReplicaStatusLine>(await cluster.StatusAsync("A"));
        Assert.True(a.CanTakeOver, a.ToString());
        Assert.Equal((1ul, 0), (a.Generation, a.Reconnects));
        Assert.DoesNotContain(warnings, line => line.Contains("without a backup", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Third_node_cannot_make_a_backup_take_over_nor_release_what_a_primary_holds()
    {
        await using var cluster = new Cluster(["A", "B", "C"]);
        ConcurrentQueue<string> onA = StartWatched(cluster, "A"), onB = StartWatched(cluster, "B");
        cluster.Start("C");
        await cluster.StartVmAsync("A", "workload=counter count=1000000 period=3000000");
        await cluster.ProtectAsync("A", "B");
        IActorRef c = cluster.ActorOf("C"), replicaOfA = cluster.ReplicaSeenFrom("C", "A"), replicaOfB = cluster.ReplicaSeenFrom("C", "B");

        for (ulong attempt = 0; attempt < 8; attempt++)
        {
            replicaOfB.Tell(new FailoverYield(1, attempt, 0, 0), c);
            replicaOfA.Tell(new LogAck(ulong.MaxValue, ulong.MaxValue, 0, 0, 1, attempt), c);
        }
        // Behind them on the same connections: once it is there, they were.
        foreach ((string node, ConcurrentQueue<string> said) in new[] { ("A", onA), ("B", onB) })
        {
            cluster.NodeSeenFrom("C", node).Tell(new Heartbeat("nobody", 1, 1, 0), cluster.ActorOf("C"));
            await SaidAsync(said, "A Heartbeat of C in another node's name is dropped");
        }

        ReplicaStatusLine a = Assert.IsType<ReplicaStatusLine>(await cluster.StatusAsync("A")), b = Assert.IsType<ReplicaStatusLine>(await cluster.StatusAsync("B"));
        Assert.True(a.CanTakeOver && a.Acknowledged <= a.LogEnd, a.ToString());
        Assert.Equal(("backup", 1ul), (b.Role, cluster.Arbiter.Newest(Cluster.Vm)!.Generation));
    }

    private static ConcurrentQueue<string> StartWatched(Cluster cluster, string node)
    {
        cluster.Start(node);
        var warnings = new ConcurrentQueue<string>();
        ActorSystem system = cluster.SystemOf(node);
        system.EventStream.Subscribe(system.ActorOf(Props.Create(() => new Lines(warnings))), typeof(Warning));
        return warnings;
    }

    private static async Task SaidAsync(ConcurrentQueue<string> warnings, string line)
    {
        for (DateTime end = DateTime.UtcNow + Cluster.Patience; !warnings.Contains(line); await Task.Delay(20))
        {
            Assert.True(DateTime.UtcNow < end, $"not said: {line}; but: {string.Join('\n', warnings)}");
        }
    }
}
