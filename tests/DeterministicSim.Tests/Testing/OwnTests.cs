using Akka.Actor;
using Akka.TestKit.Xunit2;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.DeterministicSim.Testing;
using FtAkka.Nodes;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Tests.Testing;

/// <summary>The two examples of docs/simulation.md, as they stand there, and what happens to a test that fails.</summary>
public sealed class OwnTests() : TestKit("akka.test.single-expect-default = 60s")   // a busy machine is no error
{
    private static readonly Scenario ThreeHosts = new()
    {
        Name = "three-hosts",
        Guest = new GuestSpec("workload=counter count=600 period=100000000", 4 << 20, Disk: false, Nic: false),
    };

    // Example 1: what the nodes say after a host has died.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Survivor_says_that_it_is_primary_within_a_second(ulong seed) => SimulatedCluster.Run(ThreeHosts, seed, cluster =>
    {
        cluster.RunUntilProtected();
        string first = cluster.Primary!, second = cluster.Backup!;

        cluster.Crash(first);
        Assert.True(cluster.RunUntil(() => cluster.Primary == second, TimeSpan.FromSeconds(1)));

        cluster.NodeOf(second).Tell(new NodeProtocol.List(), TestActor);
        cluster.RunFor(TimeSpan.FromMilliseconds(100));
        ReplicaLine line = Assert.Single(ExpectMsg<NodeProtocol.Replicas>().Lines, line => line.End is null);
        Assert.True(ReplicaRoles.IsLive(line.View!.Status.Role));
        Assert.Equal(2ul, line.View.Status.Generation);

        cluster.RunUntilProtected();
        Assert.NotEqual(first, cluster.Backup);
    });

    // Example 2: an actor of one's own on each host, and a partition.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Pager_calls_once_for_each_take_over(ulong seed) => SimulatedCluster.Run(ThreeHosts, seed, cluster =>
    {
        var probe = CreateTestProbe();
        foreach (string host in ThreeHosts.Hosts)
        {
            cluster.SystemOf(host)!.ActorOf(Props.Create(() => new Pager(host, cluster.NodeOf(host), probe.Ref)), "pager");
        }
        cluster.RunUntilProtected();
        cluster.RunFor(TimeSpan.FromSeconds(1));
        Assert.Equal(1ul, probe.ExpectMsg<Pager.TookOver>().Generation);

        cluster.Inject(new Fault(FaultKind.Partition, default, cluster.Primary!, cluster.Backup!, Duration: TimeSpan.FromSeconds(2)));
        Assert.True(cluster.RunUntil(() => cluster.Generation == 2, TimeSpan.FromSeconds(2)));
        cluster.RunUntilProtected();
        cluster.RunFor(TimeSpan.FromSeconds(1));

        Assert.Equal(2ul, probe.ExpectMsg<Pager.TookOver>().Generation);
        Assert.False(probe.HasMessages);
        Assert.True(cluster.EffectsOf(FaultKind.Partition) > 0);
    });

    [Fact]
    public void Failing_test_is_told_with_its_seed_and_time()
    {
        var failure = Assert.Throws<SimulatedTestException>(() => SimulatedCluster.Run(ThreeHosts, 77, cluster =>
        {
            cluster.RunFor(TimeSpan.FromMilliseconds(250));
            Assert.Equal("nobody", cluster.Primary);
        }));
        Assert.StartsWith("seed 77 of three-hosts, at 0.2500 s of virtual time: Assert.Equal() Failure", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Fault_that_cannot_be_is_refused() => SimulatedCluster.Run(ThreeHosts, 1, cluster =>
    {
        var refused = Assert.Throws<ScenarioException>(() => cluster.Crash("D"));
        Assert.Equal("fault host-crash: there is no host 'D': A, B, C, primary or backup", refused.Message);
    });

    /// <summary>Looks ten times a second whether the VM is live on its host in a generation that it has not called for yet.</summary>
    private sealed class Pager : ReceiveActor, IWithTimers
    {
        private ulong _called;

        public Pager(string host, IActorRef node, IActorRef called)
        {
            Receive<Look>(_ => node.Tell(new NodeProtocol.List()));
            Receive<NodeProtocol.Replicas>(replicas =>
            {
                foreach (ReplicaLine line in replicas.Lines)
                {
                    if (line is { End: null, View.Status: var status } && line.Node == host && ReplicaRoles.IsLive(status.Role) && status.Generation > _called)
                    {
                        _called = status.Generation;
                        called.Tell(new TookOver(status.Generation));
                    }
                }
            });
        }

        public sealed record Look;

        public sealed record TookOver(ulong Generation);

        public ITimerScheduler Timers { get; set; } = null!;

        protected override void PreStart() => Timers.StartPeriodicTimer("look", new Look(), TimeSpan.FromMilliseconds(100));
    }
}
