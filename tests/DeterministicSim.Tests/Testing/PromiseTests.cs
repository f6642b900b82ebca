using Akka.Actor;
using Akka.TestKit.Xunit2;
using FtAkka.DeterministicSim.Cluster;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.DeterministicSim.Testing;
using FtAkka.Nodes;
using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Tests.Testing;

/// <summary>What operators are promised, as stories: planned stops and hand-overs, starts elsewhere, copies that fail, and what "protected" says.</summary>
public sealed class PromiseTests() : TestKit("akka.test.single-expect-default = 60s")
{
    private const ulong Seed = 1;

    private static readonly TimeSpan Long = TimeSpan.FromSeconds(30);

    /// <summary>A guest that halts most of the time.</summary>
    private static readonly Scenario Quiet = new()
    {
        Name = "quiet",
        Guest = new GuestSpec("workload=counter count=600 period=100000000", 4 << 20, Disk: false, Nic: false),
        AutoProtect = false,
    };

    /// <summary>A guest that computes without a pause: its backup falls behind as soon as it is slower.</summary>
    private static readonly Scenario Busy = Quiet with
    {
        Name = "busy",
        Guest = new GuestSpec("workload=compute rounds=4000", 4 << 20, Disk: false, Nic: false),
    };

    [Fact]
    public void Stop_of_the_primarys_node_under_lag_hands_the_VM_over() => SimulatedCluster.Run(Busy, Seed, cluster =>
    {
        (string first, string second) = ProtectedAndBehind(cluster);
        cluster.NodeOf(first).Tell(new NodeProtocol.Leave(), TestActor);
        Assert.True(cluster.RunUntil(() => cluster.Primary == second, Long), $"{second} did not take over");
        Assert.Equal(2ul, cluster.Generation);
    });

    /// <summary>Found by the simulator's operators: the answer came again with every heartbeat.</summary>
    [Fact]
    public void Node_that_has_left_says_so_once_to_everybody_who_asks() => SimulatedCluster.Run(Quiet, Seed, cluster =>
    {
        cluster.RunUntilProtected();
        cluster.NodeOf(cluster.Backup!).Tell(new NodeProtocol.Leave(), TestActor);
        cluster.RunFor(TimeSpan.FromSeconds(1));
        ExpectMsg<NodeProtocol.Left>();
        cluster.NodeOf("B").Tell(new NodeProtocol.Leave(), TestActor);
        cluster.RunFor(TimeSpan.FromSeconds(1));
        ExpectMsg<NodeProtocol.Left>();
        Assert.False(HasMessages);
    });

    [Fact]
    public void Planned_failover_under_lag_hands_the_VM_over() => SimulatedCluster.Run(Busy, Seed, cluster =>
    {
        (string first, string second) = ProtectedAndBehind(cluster);
        cluster.NodeOf(first).Tell(new NodeProtocol.Failover(ClusterWorld.Vm), TestActor);
        Assert.True(cluster.RunUntil(() => cluster.Primary == second, TimeSpan.FromSeconds(12)), $"{second} did not take over, {cluster.Primary ?? "nobody"} is live in generation {cluster.Generation}");
    });

    [Fact]
    public void Failover_while_the_arbiter_is_out_of_reach_is_refused() => SimulatedCluster.Run(Quiet, Seed, cluster =>
    {
        cluster.RunUntilProtected();
        cluster.Inject(new Fault(FaultKind.ArbiterUnreachable, default, "", Duration: Long));
        Assert.IsType<NodeProtocol.Refused>(Answer(cluster, cluster.Primary!, new NodeProtocol.Failover(ClusterWorld.Vm)));
        ulong before = cluster.ConsoleBytes;
        Assert.True(cluster.RunUntil(() => cluster.ConsoleBytes > before, TimeSpan.FromSeconds(1)), "the guest stands");
    });

    [Fact]
    public void VM_that_is_live_on_another_node_is_not_started_again_whatever_the_flags() => SimulatedCluster.Run(Quiet, Seed, cluster =>
    {
        cluster.RunUntilProtected();
        string third = Quiet.Hosts.First(host => host != cluster.Primary && host != cluster.Backup);
        var profile = new VmProfile
        {
            Name = ClusterWorld.Vm,
            CpuModel = Cpu.Architecture.CpuModel.V1Name,
            MemoryBytes = Quiet.Guest.MemoryBytes,
            CommandLine = Quiet.Guest.CommandLine,
        };
        Assert.IsType<NodeProtocol.Refused>(Answer(cluster, third, new NodeProtocol.Start(profile, ClusterWorld.KernelImage, default, null, TakeOver: true)));
    });

    [Fact]
    public void Backup_whose_host_misses_the_disk_takes_the_promise_back_and_gives_it_again() => SimulatedCluster.Run(Quiet with { Guest = Quiet.Guest with { Disk = true } }, Seed, cluster =>
    {
        cluster.RunUntilProtected();
        string first = cluster.Primary!, second = cluster.Backup!;
        cluster.Inject(new Fault(FaultKind.DiskNotThere, default, second, Duration: TimeSpan.FromSeconds(6)));
        Assert.True(cluster.RunUntil(() => !cluster.IsProtected, TimeSpan.FromSeconds(3)), "still called protected");
        Assert.Equal("The simulated disk is not there.", cluster.StatusOf(first)!.Unable);
        Assert.Equal("The simulated disk is not there.", cluster.StatusOf(second)!.Unable);
        Assert.IsType<NodeProtocol.Refused>(Answer(cluster, first, new NodeProtocol.Failover(ClusterWorld.Vm)));
        Assert.True(cluster.RunUntil(() => cluster.IsProtected, Long), "never called protected again");
        Assert.Equal((first, second, 1ul), (cluster.Primary, cluster.Backup, cluster.Generation));
    });

    [Fact]
    public void Copy_to_a_host_that_misses_the_disk_is_refused_with_the_reason() => SimulatedCluster.Run(Quiet with { Guest = Quiet.Guest with { Disk = true } }, Seed, cluster =>
    {
        cluster.RunUntilProtected();
        string first = cluster.Primary!, third = Quiet.Hosts.First(host => host != cluster.Primary && host != cluster.Backup);
        Answer(cluster, first, new NodeProtocol.Unprotect(ClusterWorld.Vm));
        Assert.True(cluster.RunUntil(() => cluster.StatusOf(first) is { Role: ReplicaRole.Solo }, Long));
        cluster.Inject(new Fault(FaultKind.DiskNotThere, default, third, Duration: Long));
        Answer(cluster, first, new NodeProtocol.Protect(ClusterWorld.Vm, third));
        cluster.RunFor(TimeSpan.FromSeconds(2));
        ReplicaLine line = Assert.Single(Assert.IsType<NodeProtocol.Replicas>(Answer(cluster, first, new NodeProtocol.List())).Lines);
        Assert.Equal(ReplicaRole.Solo, line.View!.Status.Role);
        Assert.Contains("The simulated disk is not there.", line.View.LastError, StringComparison.Ordinal);
    });

    [Fact]
    public void Failure_of_a_copy_stands_in_the_status() => SimulatedCluster.Run(Quiet, Seed, cluster =>
    {
        cluster.RunUntilProtected();
        (string first, string second) = (cluster.Primary!, cluster.Backup!);
        cluster.Crash(second);
        Assert.True(cluster.RunUntil(() => cluster.StatusOf(first) is { Role: ReplicaRole.Solo }, Long));
        object answer = Answer(cluster, first, new NodeProtocol.Protect(ClusterWorld.Vm, second));
        if (answer is NodeProtocol.Refused)
        {
            return;   // At once is better still.
        }
        cluster.RunFor(TimeSpan.FromSeconds(15));
        ReplicaLine line = Assert.Single(Assert.IsType<NodeProtocol.Replicas>(Answer(cluster, first, new NodeProtocol.List())).Lines);
        Assert.Equal(ReplicaRole.Solo, line.View!.Status.Role);
        Assert.StartsWith($"the copy to {second} failed: ", line.View.LastError, StringComparison.Ordinal);
    });

    [Fact]
    public void Copy_whose_target_is_restarted_is_known_to_have_ended_at_once() => SimulatedCluster.Run(Quiet, Seed, cluster =>
    {
        cluster.RunUntilProtected();
        string first = cluster.Primary!, third = Quiet.Hosts.First(host => host != cluster.Primary && host != cluster.Backup);
        Answer(cluster, first, new NodeProtocol.Unprotect(ClusterWorld.Vm));
        Assert.True(cluster.RunUntil(() => cluster.StatusOf(first) is { Role: ReplicaRole.Solo }, Long));
        // So that the copy takes longer than the target lives.
        cluster.Inject(new Fault(FaultKind.FrameDelay, default, "", Duration: TimeSpan.FromSeconds(1), Magnitude: 100_000));
        Answer(cluster, first, new NodeProtocol.Protect(ClusterWorld.Vm, third));
        Assert.True(cluster.RunUntil(() => cluster.StatusOf(third) is { Role: ReplicaRole.BackupSyncing }, Long), "no copy began");
        cluster.Crash(third, startsAgainAfter: TimeSpan.FromMilliseconds(200));
        Assert.True(cluster.RunUntil(() => cluster.EffectsOf(FaultKind.HostCrash) > 0, Long));
        TimeSpan killed = cluster.Now;
        Assert.True(cluster.RunUntil(() => cluster.StatusOf(first) is { Role: ReplicaRole.Solo }, Long), "the copy never ended");
        TimeSpan took = cluster.Now - killed;
        Assert.True(took < TimeSpan.FromSeconds(2), $"the copy was given up after {took.TotalSeconds:F1} s");
    });

    [Fact]
    public void Protected_is_not_said_far_above_the_target_of_the_lag() => SimulatedCluster.Run(Busy, Seed, cluster =>
    {
        cluster.RunUntilProtected();
        string first = cluster.Primary!;
        TimeSpan most = 5 * new ProtectionOptions().LagTarget;
        cluster.Inject(new Fault(FaultKind.BackupSlow, default, "", Duration: TimeSpan.FromSeconds(3), Magnitude: 10));
        for (int i = 0; i < 150; i++)
        {
            cluster.RunFor(TimeSpan.FromMilliseconds(20));
            ReplicaStatus status = cluster.StatusOf(first)!;
            Assert.False(status.Protected && status.Lag > most, $"protected was said with {status.Lag.TotalMilliseconds:F0} ms of lag");
        }
    });

    [Theory]
    [InlineData(20)]
    [InlineData(300)]
    public void Outage_is_about_what_the_status_has_promised(int lagMs) => SimulatedCluster.Run(Busy, Seed, cluster =>
    {
        cluster.RunUntilProtected();
        (string first, string second) = (cluster.Primary!, cluster.Backup!);
        if (lagMs > 100)
        {
            cluster.Inject(new Fault(FaultKind.BackupSlow, default, "", Duration: Long, Magnitude: 40));
        }
        Assert.True(cluster.RunUntil(() => cluster.StatusOf(first)!.Lag.TotalMilliseconds is var lag && (lagMs < 100 || lag > lagMs), Long), "the backup does not fall behind");
        TimeSpan promised = cluster.StatusOf(first)!.OutageExpected!.Value;
        cluster.Crash(first);
        Assert.True(cluster.RunUntil(() => cluster.EffectsOf(FaultKind.HostCrash) > 0, Long));
        TimeSpan died = cluster.Now;
        Assert.True(cluster.RunUntil(() => cluster.StatusOf(second) is { Runs: true }, Long), $"{second} did not take over");
        TimeSpan was = cluster.Now - died;
        Assert.InRange(was, 0.7 * promised - TimeSpan.FromMilliseconds(100), 1.5 * promised + TimeSpan.FromMilliseconds(100));
    });

    [Fact]
    public void Stop_of_a_node_gives_a_lone_VM_to_a_peer_that_can_take_it() => SimulatedCluster.Run(Quiet, Seed, cluster =>
    {
        cluster.RunUntilProtected();
        string first = cluster.Primary!;
        Answer(cluster, first, new NodeProtocol.Unprotect(ClusterWorld.Vm));
        Assert.True(cluster.RunUntil(() => cluster.StatusOf(first) is { Role: ReplicaRole.Solo }, Long));
        cluster.RunFor(TimeSpan.FromSeconds(1));
        cluster.NodeOf(first).Tell(new NodeProtocol.Leave(), TestActor);
        Assert.True(cluster.RunUntil(() => cluster.Primary is { } now && now != first, Long), "no peer took the VM");
    });

    [Fact]
    public void Verb_that_says_done_is_done() => SimulatedCluster.Run(Quiet, Seed, cluster =>
    {
        cluster.RunUntilProtected();
        string first = cluster.Primary!;
        var done = Assert.IsType<NodeProtocol.Done>(Answer(cluster, first, new NodeProtocol.Unprotect(ClusterWorld.Vm)));
        ReplicaRole role = cluster.StatusOf(first)!.Role;
        Assert.True(role == ReplicaRole.Solo, $"the answer was '{done.Text}', and the replica is {role}");
    });

    [Fact]
    public void Node_that_stood_still_says_so() => SimulatedCluster.Run(Quiet, Seed, cluster =>
    {
        cluster.RunUntilProtected();
        cluster.Inject(new Fault(FaultKind.HostPause, default, cluster.Primary!, Duration: TimeSpan.FromMilliseconds(200)));
        Assert.True(cluster.RunUntil(() => cluster.EffectsOf(FaultKind.HostPause) > 0, Long));
        TimeSpan paused = cluster.Now;
        cluster.RunFor(TimeSpan.FromSeconds(2));
        string[] said = [.. cluster.Timeline.Where(one => one.Kind == TimelineKind.Log && one.At >= paused).Select(one => one.Text)];
        Assert.True(said.Any(line => line.Contains("gap", StringComparison.OrdinalIgnoreCase)), $"the node said nothing of a gap: {string.Join("; ", said)}");
    });

    /// <summary>A pair whose backup needs seconds to come to where its primary is.</summary>
    private static (string Primary, string Backup) ProtectedAndBehind(SimulatedCluster cluster)
    {
        cluster.RunUntilProtected();
        (string first, string second) = (cluster.Primary!, cluster.Backup!);
        cluster.Inject(new Fault(FaultKind.BackupSlow, default, "", Duration: Long, Magnitude: 10));
        Assert.True(cluster.RunUntil(() => cluster.StatusOf(first)!.Lag > TimeSpan.FromMilliseconds(400), Long), "the backup does not fall behind");
        return (first, second);
    }

    private object Answer(SimulatedCluster cluster, string host, object question)
    {
        cluster.NodeOf(host).Tell(question, TestActor);
        Assert.True(cluster.RunUntil(() => HasMessages, TimeSpan.FromSeconds(5)), $"{host} does not answer {question}");
        return ExpectMsg<object>();
    }
}
