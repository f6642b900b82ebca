using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Akka.Actor;
using Akka.Configuration;
using Akka.Event;

namespace FtAkka.Wire.Tests;

public sealed class TlsTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan NoAnswer = TimeSpan.FromSeconds(1);
    private readonly string _folder = Directory.CreateTempSubdirectory("wire-tls").FullName;
    private readonly X509Certificate2 _authority = Certificates.CreateAuthority("cluster", DateTimeOffset.UtcNow, TimeSpan.FromDays(1));

    public TlsTests() => File.WriteAllText(PathOf("ca.pem"), _authority.ExportCertificatePem());

    public void Dispose()
    {
        _authority.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Nodes_of_one_cluster_talk_and_know_each_other_by_name()
    {
        await using var a = Node("node-a");
        await using var b = Node("node-b");

        var answer = await a.SelectEcho(b).Ask<Note>(new Note("secret"), Patience);

        Assert.Equal("echo: secret", answer.Text);
        Assert.Equal("akka.ssl.tcp", a.Address.Protocol);
        Assert.Contains(b.Events.OfType<WireEvents.Associated>(), e => e.Inbound && e.Peer.NodeName == "node-a");
        Assert.Contains(a.Events.OfType<WireEvents.Associated>(), e => !e.Inbound && e.Peer.NodeName == "node-b");
    }

    [Fact]
    public async Task One_pfx_with_the_authority_in_it_is_enough()
    {
        await using var a = Node("node-a");
        using var certificate = Certificates.IssueNode(_authority, "node-p", ["127.0.0.1"], DateTimeOffset.UtcNow, TimeSpan.FromDays(1));
        Certificates.WritePfx(certificate, _authority, PathOf("p.pfx"), "hush");
        await using var b = WireNode.Start("akka.remote.wire.node-name = node-p", tls: $"""
            certificate.path = "{PathOf("p.pfx")}"
            certificate.password = "hush"
            """);

        Assert.Equal("echo: pfx", (await b.SelectEcho(a).Ask<Note>(new Note("pfx"), Patience)).Text);
    }

    [Fact]
    public async Task Large_and_many_messages_arrive_whole_and_in_order_under_tls()
    {
        const int Count = 3_000;
        await using var a = Node("node-a");
        await using var b = Node("node-b");
        var echo = await a.Resolve(b);

        for (var i = 0; i < Count; i++)
        {
            echo.Tell(new Note($"{i}:{new string('x', i * 7 % 50_000)}"), ActorRefs.NoSender);
        }

        await Eventually.Holds(() => b.Seen.Count(m => m is Note) == Count, $"{Count} notes");
        Assert.Equal(Enumerable.Range(0, Count).Select(i => $"{i}:{new string('x', i * 7 % 50_000)}"), b.Seen.OfType<Note>().Select(n => n.Text));
    }

    [Fact]
    public async Task Node_of_another_authority_is_refused_in_both_directions()
    {
        using var other = Certificates.CreateAuthority("other", DateTimeOffset.UtcNow, TimeSpan.FromDays(1));
        File.WriteAllText(PathOf("other.pem"), other.ExportCertificatePem());
        await using var a = Node("node-a");
        await using var stranger = Node("node-x", authority: other, authorityFile: "other.pem");

        await Assert.ThrowsAsync<AskTimeoutException>(() => stranger.SelectEcho(a).Ask<Note>(new Note("let me in"), NoAnswer));
        await Assert.ThrowsAsync<AskTimeoutException>(() => a.SelectEcho(stranger).Ask<Note>(new Note("who are you"), NoAnswer));

        Assert.Empty(a.Seen);
        Assert.Empty(stranger.Seen);
        Assert.DoesNotContain(a.Events, e => e is WireEvents.Associated);
    }

    [Fact]
    public async Task Connection_without_a_client_certificate_is_refused()
    {
        await using var a = Node("node-a");
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", a.Address.Port!.Value);
        await using var tls = new SslStream(client.GetStream(), false, (_, certificate, _, _) => certificate?.Issuer == "CN=cluster");

        // TLS 1.3 lets the client finish first: the refusal may come with the first read.
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await tls.AuthenticateAsClientAsync("node-a");
            Assert.Equal(0, await tls.ReadAsync(new byte[16]));
            throw new AuthenticationException("closed without a word");
        });

        await Eventually.Holds(() => a.Events.OfType<Warning>().Any(), "a line in the log");
        Assert.DoesNotContain(a.Events, e => e is WireEvents.Associated);
    }

    [Fact]
    public async Task Claimed_node_name_must_be_in_the_certificate()
    {
        await using var a = Node("node-a");
        // Its certificate is good, and says node-x; it does not check itself.
        await using var liar = Node("node-x", claim: "node-b", extra: "suppress-validation = on");

        await Assert.ThrowsAsync<AskTimeoutException>(() => liar.SelectEcho(a).Ask<Note>(new Note("I am b"), NoAnswer));
        await Assert.ThrowsAsync<AskTimeoutException>(() => a.SelectEcho(liar).Ask<Note>(new Note("are you b?"), NoAnswer));

        Assert.Empty(a.Seen);
        Assert.Contains(a.Events.OfType<Warning>(), w => w.Message.ToString()!.Contains("NameNotCertified", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Address_must_be_in_the_certificate()
    {
        await using var a = Node("node-a");
        await using var elsewhere = Node("node-b", host: "192.0.2.1");

        await Assert.ThrowsAsync<AskTimeoutException>(() => a.SelectEcho(elsewhere).Ask<Note>(new Note("hello"), NoAnswer));

        Assert.Contains(a.Events.OfType<Warning>(), w => w.Message.ToString()!.Contains("NameNotCertified", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Expired_certificate_is_refused()
    {
        await using var a = Node("node-a");
        await using var old = Node("node-b", validity: TimeSpan.FromMinutes(-30));

        await Assert.ThrowsAsync<AskTimeoutException>(() => old.SelectEcho(a).Ask<Note>(new Note("hello"), NoAnswer));

        Assert.Empty(a.Seen);
    }

    [Fact]
    public void Start_without_a_certificate_says_what_to_do()
    {
        var failure = Record.Exception(() => WireNode.Start(tls: "suppress-validation = off"));

        Assert.Contains("certificate.path is empty", Flatten(failure), StringComparison.Ordinal);
    }

    [Fact]
    public void Start_with_a_certificate_of_another_name_is_refused()
    {
        var failure = Record.Exception(() => Node("node-a", claim: "node-z"));

        Assert.Contains("does not carry the node name 'node-z'", Flatten(failure), StringComparison.Ordinal);
    }

    [Fact]
    public void Private_key_is_readable_by_its_owner_only()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        using var certificate = Certificates.IssueNode(_authority, "node-k", [], DateTimeOffset.UtcNow, TimeSpan.FromDays(1));
        Certificates.WritePem(certificate, PathOf("k.pem"), PathOf("k.key"));

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(PathOf("k.key")));
    }

    private static string Flatten(Exception? failure) =>
        failure is null ? "no exception" : $"{failure.Message} {(failure.InnerException is null ? "" : Flatten(failure.InnerException))}";

    private WireNode Node(string name, string? claim = null, X509Certificate2? authority = null, string authorityFile = "ca.pem",
        string host = "127.0.0.1", TimeSpan? validity = null, string extra = "")
    {
        using var certificate = Certificates.IssueNode(
            authority ?? _authority, name, [host], DateTimeOffset.UtcNow, validity ?? TimeSpan.FromDays(1));
        Certificates.WritePem(certificate, PathOf($"{name}.pem"), PathOf($"{name}.key"));
        return WireNode.Start($"akka.remote.wire.node-name = \"{claim ?? name}\"", tls: $"""
            certificate.path = "{PathOf(name + ".pem")}"
            certificate.key-path = "{PathOf(name + ".key")}"
            ca.path = "{PathOf(authorityFile)}"
            {extra}
            """);
    }

    private string PathOf(string file) => Path.Combine(_folder, file);
}
