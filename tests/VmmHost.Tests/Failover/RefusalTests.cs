using Akka.Actor;
using FtAkka.LogChannelActors;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Nodes;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>Peers that do not fit are refused, with a reason that says what to do.</summary>
public sealed class RefusalTests
{
    private const string Offered = "offered";

    private static readonly VmProfile Profile = new() { Name = Offered, CpuModel = "ftvm64-v1", MemoryBytes = 16 << 20 };

    private static CloneOffer Offer => new(1, 1, Offered, "A", Profile.Write(), LogFrame.Version, 4096, 4096);

    [Fact]
    public async Task Offer_with_another_version_of_the_log_is_refused() =>
        Assert.Contains("version", await AnswerAsync(Offer with { LogVersion = LogFrame.Version + 1 }), StringComparison.Ordinal);

    [Fact]
    public async Task Offer_of_another_cpu_model_is_refused() =>
        Assert.Contains("CPU model", await AnswerAsync(Offer with { Profile = (Profile with { CpuModel = "quantum-v9" }).Write() }), StringComparison.Ordinal);

    [Fact]
    public async Task Offer_under_another_machines_name_is_refused() =>
        Assert.Contains("contradicts", await AnswerAsync(Offer with { Profile = (Profile with { Name = "other" }).Write() }), StringComparison.Ordinal);

    [Fact]
    public async Task Offer_with_a_profile_of_another_version_is_refused() =>
        Assert.Contains("same version", await AnswerAsync(Offer with { Profile = """{"Name":"offered","CpuModel":"ftvm64-v1","MemoryBytes":1,"Quantum":1}""" }), StringComparison.Ordinal);

    [Fact]
    public async Task Offer_of_a_machine_that_the_arbiter_gave_to_nobody_is_refused() =>
        Assert.Contains("arbiter", await AnswerAsync(Offer, owned: false), StringComparison.Ordinal);

    [Fact]
    public async Task Offer_that_fits_is_accepted() => Assert.Equal("", await AnswerAsync(Offer));

    [Fact]
    public async Task Node_with_a_certificate_of_another_cluster_gets_nowhere()
    {
        await using var cluster = new Cluster(["A", "B"]);
        string stranger = cluster.Path("stranger");
        ClusterFiles others = ClusterFiles.Create(stranger, [new ClusterNode("A", "127.0.0.1", 1)]);
        File.Copy(Path.Combine(others.Folder, "A.pfx"), Path.Combine(cluster.Files.Folder, "A.pfx"), overwrite: true);

        Assert.False(await IsAnsweredAsync(cluster, Offer, TimeSpan.FromSeconds(3)));
    }

    [Fact]
    public void Node_without_a_certificate_does_not_start_and_says_what_to_do()
    {
        string folder = Directory.CreateTempSubdirectory("ftakka-refusal-").FullName;
        try
        {
            string file = Path.Combine(folder, "A.hocon");
            File.WriteAllText(file, "ftakka.node { name = A, shared-directory = shared }");
            Assert.Contains("cluster init", Assert.Throws<CommandFailedException>(() => NodeSettings.Read(file, "A", insecure: false)).Message, StringComparison.Ordinal);
            File.AppendAllText(file, "\nakka.remote.ftakka-tcp.enable-ssl = off");
            Assert.Contains("--insecure-tcp", Assert.Throws<CommandFailedException>(() => NodeSettings.Read(file, "A", insecure: false)).Message, StringComparison.Ordinal);
            Assert.False(NodeSettings.Read(file, "A", insecure: true).Akka.GetBoolean("akka.remote.ftakka-tcp.enable-ssl"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Machine_whose_owner_did_not_end_in_order_is_not_started_without_being_told_to()
    {
        await using var cluster = new Cluster(["A"]);
        cluster.Start("A");
        Assert.Equal(OwnershipVerdict.Owned, cluster.Arbiter.ClaimNow(new OwnershipClaim(new ReplicaIdentity(Cluster.Vm, "X", 1), 1)));
        string file = cluster.WriteVm("workload=counter count=3");

        var refused = Assert.IsType<NodeProtocol.Refused>(await cluster.AskAsync("A", VmStart.Read(file, null, takeOver: false)));
        Assert.Contains("--take-over", refused.Why, StringComparison.Ordinal);
        Assert.IsType<NodeProtocol.Done>(await cluster.AskAsync("A", VmStart.Read(file, null, takeOver: true)));
    }

    /// <summary>What B answers to an offer from A; empty: it accepts.</summary>
    private static async Task<string> AnswerAsync(CloneOffer offer, bool owned = true)
    {
        await using var cluster = new Cluster(["A", "B"]);
        if (owned)
        {
            cluster.Arbiter.ClaimNow(new OwnershipClaim(new ReplicaIdentity(Offered, "A", 1), 1));
        }
        return await OfferAsync(cluster, offer, Cluster.Patience) ?? throw new TimeoutException("The offer was not answered.");
    }

    private static async Task<bool> IsAnsweredAsync(Cluster cluster, CloneOffer offer, TimeSpan patience) =>
        await OfferAsync(cluster, offer, patience) is not null;

    private static Task<string?> OfferAsync(Cluster cluster, CloneOffer offer, TimeSpan patience)
    {
        cluster.StartOffering("A");
        cluster.Start("B");
        DateTime end = DateTime.UtcNow + patience;
        return OfferingNode.OfferAsync(cluster, "B", offer, () => Task.FromResult(DateTime.UtcNow < end));
    }
}
