using System.Security.Cryptography.X509Certificates;
using FtAkka.LogChannelActors.Remoting;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Nodes;

/// <summary><c>cluster init</c> and <c>cluster renew</c>, and what a node says of its certificate.</summary>
public sealed class ClusterVerbTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("ftakka-cluster-").FullName;
    private readonly StringWriter output = new(), error = new();

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private string InFolder(params string[] names) => Path.Combine([folder, .. names]);

    private Task<int> RunAsync(params string[] arguments) => new CommandLineApplication(CommandLineApplication.FindModules(), output, error).RunAsync(arguments);

    private X509Certificate2 CertificateOf(string node) => X509CertificateLoader.LoadPkcs12FromFile(InFolder("cluster", node + ".pfx"), "");

    private NodeSettings Read(string node) => NodeSettings.Read(InFolder("cluster", node + ".hocon"), node, insecure: false);

    [Fact]
    public async Task Shared_folder_that_is_mounted_gets_the_identity_once()
    {
        string shared = Directory.CreateDirectory(InFolder("mount")).FullName;
        Assert.Equal(ExitCode.Ok, await RunAsync("cluster", "init", InFolder("cluster"), "--shared", shared, "--node", "A", "--node", "B"));
        Assert.Equal(shared, Read("A").ToOptions().Arbiter.Place);
        Assert.Equal(shared, Read("B").ToOptions().Arbiter.Place);

        Assert.Equal(ExitCode.Failed, await RunAsync("cluster", "init", InFolder("other"), "--shared", shared, "--node", "A"));
        Assert.Contains(shared, error.ToString(), StringComparison.Ordinal);
        Assert.False(Directory.Exists(InFolder("other")));
        Assert.Equal(ExitCode.Failed, await RunAsync("cluster", "init", InFolder("other"), "--shared", InFolder("nothing"), "--node", "A"));
        Assert.Contains(InFolder("nothing"), error.ToString(), StringComparison.Ordinal);
        Assert.False(Directory.Exists(InFolder("nothing")));
    }

    [Fact]
    public async Task Renewed_certificate_has_the_names_of_the_old_one_another_key_and_ninety_days()
    {
        Assert.Equal(ExitCode.Ok, await RunAsync("cluster", "init", InFolder("cluster"), "--node", "A=10.1.2.3:4053", "--node", "B=b.example:4053"));
        using X509Certificate2 old = CertificateOf("A"), untouched = CertificateOf("B");
        DateTimeOffset later = DateTimeOffset.UtcNow + TimeSpan.FromDays(80);
        NodeCertificate renewed = Assert.Single(ClusterRenewCommand.Renew(InFolder("cluster"), ["A"], later));
        Assert.Equal("A", renewed.Node);
        Assert.Equal(later + Certificates.NodeValidity, renewed.Until, TimeSpan.FromSeconds(2));

        using X509Certificate2 fresh = CertificateOf("A"), same = CertificateOf("B");
        Assert.True(fresh.MatchesHostname("10.1.2.3") && fresh.MatchesHostname("A", allowCommonName: false));
        Assert.NotEqual(old.GetPublicKeyString(), fresh.GetPublicKeyString());
        Assert.Equal(old.Issuer, fresh.Issuer);
        Assert.Equal(untouched.Thumbprint, same.Thumbprint);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(InFolder("cluster", "A.pfx")));
        Assert.Equal(2, ClusterRenewCommand.Renew(InFolder("cluster"), [], later).Count);
        Assert.Equal(["A.hocon", "A.pfx", "B.hocon", "B.pfx", "ca-key.pem", "ca.pem"], Directory.EnumerateFiles(InFolder("cluster")).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Revoked_certificates_stand_on_the_list_that_nodes_look_at()
    {
        Assert.Equal(ExitCode.Ok, await RunAsync("cluster", "init", InFolder("cluster"), "--node", "A", "--node", "B"));
        string shared = InFolder("cluster", "shared");
        using X509Certificate2 a = CertificateOf("A");
        string other = new('e', 64);
        Assert.Equal(ExitCode.Ok, await RunAsync("cluster", "revoke", shared, InFolder("cluster", "A.pfx"), other));
        Assert.Equal(ExitCode.Ok, await RunAsync("cluster", "revoke", shared, InFolder("cluster", "A.pfx"), InFolder("cluster", "ca.pem")));

        string list = Read("B").Akka.GetString("akka.remote.ftakka-tcp.ssl.revocation-list");
        IReadOnlySet<string> revoked = RevokedCertificates.Parse(File.ReadAllText(list));
        Assert.Equal(3, revoked.Count);
        Assert.Contains(RevokedCertificates.FingerprintOf(a), revoked);
        Assert.Contains(other, revoked);
        Assert.Equal(3, File.ReadAllLines(list).Length);
    }

    [Fact]
    public async Task What_cannot_be_revoked_is_named()
    {
        Assert.Equal(ExitCode.Ok, await RunAsync("cluster", "init", InFolder("cluster"), "--node", "A"));
        Assert.Equal(ExitCode.Failed, await RunAsync("cluster", "revoke", InFolder("cluster"), InFolder("cluster", "A.pfx")));
        Assert.Contains("not the shared folder", error.ToString(), StringComparison.Ordinal);
        Assert.Equal(ExitCode.Failed, await RunAsync("cluster", "revoke", InFolder("cluster", "shared"), "0123"));
        Assert.Contains("0123 is neither", error.ToString(), StringComparison.Ordinal);
        Assert.False(File.Exists(InFolder("cluster", "shared", ClusterRevokeCommand.ListName)));
    }

    [Fact]
    public async Task What_cannot_be_renewed_is_named()
    {
        Assert.Equal(ExitCode.Ok, await RunAsync("cluster", "init", InFolder("cluster"), "--node", "A"));
        Assert.Equal(ExitCode.Failed, await RunAsync("cluster", "renew", InFolder("cluster"), "--node", "C"));
        Assert.Contains("C.pfx", error.ToString(), StringComparison.Ordinal);
        File.Delete(InFolder("cluster", "ca-key.pem"));
        Assert.Equal(ExitCode.Failed, await RunAsync("cluster", "renew", InFolder("cluster")));
        Assert.Contains("ca", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Node_warns_of_its_certificates_end_from_thirty_days_before_it_on()
    {
        Assert.Equal(ExitCode.Ok, await RunAsync("cluster", "init", InFolder("cluster"), "--node", "A"));
        NodeCertificate certificate = NodeCertificate.Read(InFolder("cluster", "A.pfx"), "", "");
        Assert.Null(certificate.Warning(certificate.Until - TimeSpan.FromDays(31)));
        string warning = certificate.Warning(certificate.Until - TimeSpan.FromDays(29))!;
        Assert.Contains("29 days", warning, StringComparison.Ordinal);
        Assert.Contains("A.pfx", warning, StringComparison.Ordinal);
        Assert.Contains("cluster renew", warning, StringComparison.Ordinal);
        Assert.Contains("expired", certificate.Warning(certificate.Until + TimeSpan.FromDays(1)), StringComparison.Ordinal);

        CertificateFile inUse = Read("A").Certificate!;
        DateTimeOffset late = certificate.Until - TimeSpan.FromDays(1);
        Assert.Contains("1 days", inUse.Warning(late), StringComparison.Ordinal);
        ClusterRenewCommand.Renew(InFolder("cluster"), [], late);
        Assert.Null(inUse.Warning(late));
        File.WriteAllText(InFolder("cluster", "A.pfx"), "half of it");
        Assert.Null(inUse.Warning(late));
    }
}
