using System.Collections.Immutable;
using FtAkka.KnownFailures;
using FtAkka.Nodes;
using FtAkka.VmmHost.Nodes;
using FtAkka.VmmHost.Tests.Failover.RealProcesses;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>What members of a cluster, and files, can do to a node and to the VMs on it.</summary>
public sealed class IsolationTests
{
    private const string Console = "workload=console";

    [Fact]
    public async Task Offer_with_a_null_disk_is_refused_and_harms_no_VM()
    {
        await using var cluster = new Cluster(["A", "B"]);
        cluster.StartOffering("A");
        cluster.Start("B");
        await cluster.StartVmAsync("B", Console);
        string profile = SecondVm.Profile.Write().Replace("\"Disks\":[]", "\"Disks\":[null]", StringComparison.Ordinal);
        Assert.Contains("null", profile, StringComparison.Ordinal);
        string? refusal = await SecondVm.OfferAsync(cluster, SecondVm.Offer(profile));
        Assert.True(await SecondVm.LivesAsync(cluster, "B"), "tiny is gone");
        Assert.False(string.IsNullOrEmpty(refusal), "the offer was not refused");
    }

    [Fact]
    public async Task Offer_with_a_name_that_no_VM_may_have_harms_no_VM()
    {
        await using var cluster = new Cluster(["A", "B"]);
        cluster.StartOffering("A");
        cluster.Start("B");
        await cluster.StartVmAsync("B", Console);
        foreach (string name in new[] { "../other", "a b", "%2e", "$", "\n", new string('v', Replication.Messages.CloneOffer.NameMax) })
        {
            cluster.NodeSeenFrom("A", "B").Tell(SecondVm.Offer(SecondVm.Profile.Write()) with { Vm = name }, cluster.ActorOf("A"));
        }
        // Behind them on the same connection: once this is answered, they were taken.
        Assert.False(string.IsNullOrEmpty(await SecondVm.OfferAsync(cluster, SecondVm.Offer(SecondVm.Profile.Write()))));
        Assert.True(await SecondVm.LivesAsync(cluster, "B"), "tiny is gone");
    }

    [Fact]
    public async Task Disk_outside_of_the_folders_that_a_node_allows_is_refused()
    {
        await using var cluster = new Cluster(["A", "B"]);
        cluster.StartOffering("A");
        cluster.Start("B");
        await cluster.StartVmAsync("B", Console);   // its life is what an offer is waited by
        cluster.Arbiter.ClaimNow(new Replication.Protection.OwnershipClaim(new Replication.Protection.ReplicaIdentity(SecondVm.Name, "A", 1), 1));
        string victim = cluster.Path("passwd");
        File.WriteAllBytes(victim, new byte[1 << 20]);
        string upwards = Path.Combine("..", "..", "..", "passwd");
        foreach ((string path, bool separate) in new[] { (victim, true), (upwards, true), (victim, false), ("/dev/null", false) })
        {
            VmProfile profile = SecondVm.Profile with { Disks = [new VmProfile.Disk(path, ReadOnly: false, CapacitySectors: 2048, Separate: separate)] };
            string? refusal = await SecondVm.OfferAsync(cluster, SecondVm.Offer(profile.Write()));
            Assert.True(refusal?.Contains("not allowed", StringComparison.Ordinal) == true && !File.Exists(victim + ".incomplete"),
                $"B takes the file {path} {(separate ? "as its own" : "as a shared one")}: '{refusal}'");
        }
    }

    [Fact]
    public async Task Link_out_of_the_folders_that_a_node_allows_is_refused()
    {
        await using var cluster = new Cluster(["A", "B"]);
        cluster.StartOffering("A");
        cluster.Start("B");
        await cluster.StartVmAsync("B", Console);
        cluster.Arbiter.ClaimNow(new Replication.Protection.OwnershipClaim(new Replication.Protection.ReplicaIdentity(SecondVm.Name, "A", 1), 1));
        File.WriteAllBytes(cluster.Path("passwd"), new byte[1 << 20]);
        string own = cluster.MakeOwnDisk("B", "own.raw", 1 << 20), nowhere = cluster.Path("made-by-a-peer");
        File.CreateSymbolicLink(cluster.OwnDisk("B", "link.raw"), cluster.Path("passwd"));
        File.CreateSymbolicLink(own + ".incomplete", nowhere);
        foreach (string name in new[] { "link.raw", "own.raw" })
        {
            VmProfile profile = SecondVm.Profile with { Disks = [new VmProfile.Disk(name, ReadOnly: false, CapacitySectors: 2048, Separate: true)] };
            Assert.Contains("not allowed", await SecondVm.OfferAsync(cluster, SecondVm.Offer(profile.Write())), StringComparison.Ordinal);
        }
        Assert.False(File.Exists(nowhere));
    }

    [KnownToFail(Issue.Isolation, "All VMs of a node live in its process: whatever ends it, one exception or a lack of memory, ends them all.", Shows = "tiny is gone")]
    public async Task VM_outlives_the_process_of_its_node_and_is_found_again()
    {
        await using var cluster = new Cluster(["A"], extra: "ftakka.node.control-socket = A.sock");
        string config = cluster.Files.ConfigOf(cluster.Files.Nodes[0]), socket = Path.Combine(cluster.Files.Folder, "A.sock");
        using var patience = new CancellationTokenSource(Cluster.Patience);
        using (HostProcess first = await HostProcess.StartAsync("A", config, socket, cluster.Path("log"), []))
        {
            await ControlClient.AskAsync(socket, new ControlRequest("start", File: cluster.WriteVm(Console)), patience.Token);
            first.Kill();
        }
        using HostProcess second = await HostProcess.StartAsync("A", config, socket, cluster.Path("log"), []);
        ImmutableArray<ReplicaStatusLine> lines = [.. (await ControlClient.AskAsync(socket, new ControlRequest("list"), patience.Token)).Replicas!];
        Assert.True(lines is [{ Vm: Cluster.Vm, Role: "solo", Generation: 1 }], $"tiny is gone, or was started anew: {string.Join("; ", lines)}");
        await ControlClient.AskAsync(socket, new ControlRequest("stop", Vm: Cluster.Vm), patience.Token);
    }
}
