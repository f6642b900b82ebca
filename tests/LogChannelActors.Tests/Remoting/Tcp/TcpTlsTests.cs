using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Akka.Actor;
using Akka.Remote;
using FtAkka.LogChannelActors.Remoting;

namespace FtAkka.LogChannelActors.Tests.Remoting.Tcp;

public sealed class TcpTlsTests : IDisposable
{
    private readonly TestAuthority _authority = new();
    private readonly TestAuthority _other = new();

    public void Dispose()
    {
        _authority.Dispose();
        _other.Dispose();
    }

    [Fact]
    public async Task Authenticated_node_of_a_sender_can_be_asked_for()
    {
        await using var a = TcpNode.Start(tls: _authority.Issue("node-a"));
        await using var b = TcpNode.Start(tls: _authority.Issue("node-b"));

        var echo = await a.Resolve(b);

        Assert.Equal("node-b", RemotePeers.For(a.System).NodeOf(echo));
    }

    [Theory]
    [InlineData("foreign", "is of no authority that this node trusts")]
    [InlineData("expired", "has expired on")]
    [InlineData("early", "is not valid before")]
    [InlineData("none", "shows no certificate")]
    public async Task Client_certificate_is_refused_with_its_reason(string kind, string words)
    {
        await using var a = TcpNode.Start(tls: _authority.Issue("node-a"));
        using var certificate = kind switch
        {
            "foreign" => _other.IssueFor("node-x"),
            "expired" => _authority.IssueFor("node-x", validity: TimeSpan.FromMinutes(-30)),
            "early" => _authority.IssueFor("node-x", now: DateTimeOffset.UtcNow + TimeSpan.FromHours(12)),
            _ => null,
        };

        await AssertRefusedAsync(a, certificate, SslProtocols.Tls13);

        await Eventually.Holds(() => a.Warnings.Any(), "a line in the log");
        var line = Assert.Single(a.Warnings);
        Assert.Contains(words, line, StringComparison.Ordinal);
        Assert.Contains($"tcp://test@127.0.0.1:{a.Address.Port} refused a connection from 127.0.0.1:", line, StringComparison.Ordinal);
        Assert.DoesNotContain(a.Events, e => e is AssociatedEvent);
    }

    [Fact]
    public async Task Tls_1_2_is_refused()
    {
        await using var a = TcpNode.Start(tls: _authority.Issue("node-a"));
        using var certificate = _authority.IssueFor("node-x");

        await AssertRefusedAsync(a, certificate, SslProtocols.Tls12);

        await Eventually.Holds(() => a.Warnings.Any(line => line.Contains("no TLS 1.3", StringComparison.Ordinal)), "a line in the log", () => a.Lines);
    }

    [Fact]
    public async Task Plain_dialler_and_tls_node_refuse_each_other_and_say_so()
    {
        await using var a = TcpNode.Start(tls: _authority.Issue("node-a"));
        await using var plain = TcpNode.Start();

        plain.SelectEcho(a).Tell(new Note("hello"));
        a.SelectEcho(plain).Tell(new Note("hello"));

        await Eventually.Holds(() => a.Warnings.Any(line => line.Contains("speaks no TLS", StringComparison.Ordinal)), "a line at the TLS node", () => a.Lines);
        await Eventually.Holds(() => plain.Lines.Contains("wants TLS", StringComparison.Ordinal), "a line at the plain node", () => plain.Lines);
        Assert.Empty(a.Seen.Concat(plain.Seen));
    }

    [Theory]
    [InlineData("foreign", "is of no authority that this node trusts")]
    [InlineData("expired", "has expired on")]
    [InlineData("elsewhere", "is of another node: it names")]
    public async Task Certificate_of_who_is_dialled_is_refused_with_its_reason_and_both_addresses(string kind, string words)
    {
        var ssl = kind switch
        {
            "foreign" => _other.Issue("node-x"),
            "expired" => _authority.Issue("node-x", validity: TimeSpan.FromMinutes(-30)),
            _ => _authority.Issue("node-x"),
        };
        await using var a = TcpNode.Start(tls: _authority.Issue("node-a"));
        await using var there = TcpNode.Start(tls: ssl);
        var host = kind == "elsewhere" ? "localhost" : "127.0.0.1";

        a.System.ActorSelection($"akka.tcp://test@{host}:{there.Address.Port}/user/echo").Tell(new Note("who are you"));

        await Eventually.Holds(() => a.Lines.Contains(words, StringComparison.Ordinal), words, () => a.Lines);
        Assert.Contains($"tcp://test@127.0.0.1:{a.Address.Port} cannot reach tcp://test@{host}:{there.Address.Port}", a.Lines, StringComparison.Ordinal);
        Assert.Empty(there.Seen);
    }

    [Theory]
    [InlineData("cluster = one", "cluster = two")]
    [InlineData("cluster = one", "")]
    [InlineData("", "cluster = two")]
    public async Task Nodes_of_different_clusters_refuse_each_other_whatever_their_certificates_and_say_what_to_do(string here, string there)
    {
        await using var a = TcpNode.Start(here, _authority.Issue("node-a"));
        await using var b = TcpNode.Start(there, _authority.Issue("node-b"));

        a.SelectEcho(b).Tell(new Note("hello"));

        await Eventually.Holds(() => a.Lines.Contains("ftakka.node.cluster", StringComparison.Ordinal), "a line where it was dialled", () => a.Lines);
        await Eventually.Holds(() => b.Warnings.Any(line => line.Contains("ftakka.node.cluster", StringComparison.Ordinal)), "a line where it was refused", () => b.Lines);
        Assert.Empty(a.Seen.Concat(b.Seen));
    }

    [Fact]
    public async Task Renewed_certificate_is_taken_with_the_next_connection_and_one_of_no_use_is_left()
    {
        var ssl = _authority.Issue("node-a");
        await using var a = TcpNode.Start(tls: ssl);
        using var client = _authority.IssueFor("node-x");
        var first = await ShownByAsync(a, client);

        _authority.Issue("node-a");
        var second = await ShownByAsync(a, client);
        Assert.NotEqual(first, second);
        await Eventually.Holds(() => a.Lines.Contains("was renewed and is taken", StringComparison.Ordinal), "a line in the log", () => a.Lines);

        var path = ssl.Split('"')[1];
        await File.WriteAllTextAsync(path, "half of it");
        Assert.Equal(second, await ShownByAsync(a, client));
        File.Copy(_authority.Issue("node-b").Split('"')[1], path, overwrite: true);
        Assert.Equal(second, await ShownByAsync(a, client));
        await Eventually.Holds(() => a.Lines.Contains("it is of the node 'node-b'", StringComparison.Ordinal), "a line in the log", () => a.Lines);
        Assert.Equal(2, a.Warnings.Count(line => line.Contains("cannot be taken", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Nodes_of_one_cluster_talk()
    {
        await using var a = TcpNode.Start("cluster = one", _authority.Issue("node-a"));
        await using var b = TcpNode.Start("cluster = one", _authority.Issue("node-b"));

        Assert.Equal("node-b", RemotePeers.For(a.System).NodeOf(await a.Resolve(b)));
    }

    [Fact]
    public async Task Member_that_claims_the_address_of_another_is_refused()
    {
        await using var a = TcpNode.Start(tls: _authority.Issue("node-a"));
        await using var victim = TcpNode.Start(tls: _authority.Issue("node-b"));
        var handshake = AkkaUnits.Associate(victim.Address);
        using var certificate = _authority.IssueFor("node-x", host: "10.0.0.9");
        await using var liar = await RawPeer.ConnectAsync(a, certificate);

        await liar.GreetAsync();
        await liar.SendAsync(handshake);

        Assert.True(await liar.IsClosedAsync());
        await Eventually.Holds(() => a.Warnings.Any(), "a line in the log");
        Assert.Contains("node-x", Assert.Single(a.Warnings), StringComparison.Ordinal);
        Assert.DoesNotContain(a.Events, e => e is AssociatedEvent);
    }

    [Fact]
    public async Task Connections_of_one_node_are_bounded_and_others_are_not_shut_out()
    {
        await using var a = TcpNode.Start("maximum-connections-per-node = 2", _authority.Issue("node-a"));
        using var certificate = _authority.IssueFor("node-x");
        await using var first = await RawPeer.ConnectAsync(a, certificate);
        await using var second = await RawPeer.ConnectAsync(a, certificate);
        await using var third = await RawPeer.ConnectAsync(a, certificate);
        await first.GreetAsync();
        await second.GreetAsync();

        await third.GreetAsync(expected: 1);

        Assert.True(await third.IsClosedAsync());
        await Eventually.Holds(
            () => a.Warnings.Any(line => line.Contains("maximum-connections-per-node is reached by node-x", StringComparison.Ordinal)), "a line in the log", () => a.Lines);
        await using var b = TcpNode.Start(tls: _authority.Issue("node-b"));
        Assert.Equal("echo: unharmed", (await b.SelectEcho(a).Ask<Note>(new Note("unharmed"), TcpNode.Patience)).Text);
    }

    /// <summary>A handshake on another thread that loses its certificates under way once ended the process.</summary>
    [Fact]
    public async Task System_that_stops_within_handshakes_ends_nothing_else()
    {
        await using var a = TcpNode.Start("maximum-connections-per-address = 1000", _authority.Issue("node-a"));
        var random = new Random(1);
        for (var round = 0; round < 60; round++)
        {
            var stranger = TcpNode.Start("redial-after = 0s", _other.Issue("node-x"));
            var stop = DateTime.UtcNow + TimeSpan.FromMilliseconds(random.Next(60));
            while (DateTime.UtcNow < stop)
            {
                stranger.SelectEcho(a).Tell(new Note("let me in"));
                a.SelectEcho(stranger).Tell(new Note("and me"));
                await Task.Delay(1);
            }

            await stranger.DisposeAsync();
        }

        await using var b = TcpNode.Start(tls: _authority.Issue("node-b"));
        Assert.Equal("echo: unharmed", (await b.SelectEcho(a).Ask<Note>(new Note("unharmed"), TcpNode.Patience)).Text);
        Assert.DoesNotContain("unexpected, please report it", a.Lines, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Second_connection_with_another_certificate_is_refused()
    {
        await using var a = TcpNode.Start(tls: _authority.Issue("node-a"));
        await using var b = TcpNode.Start(tls: _authority.Issue("node-b"));
        using var certificate = _authority.IssueFor("node-x");
        await a.Resolve(b);
        await using var thief = await RawPeer.ConnectAsync(b, certificate);

        await thief.GreetAsync(lane: 1, expected: 2);

        Assert.True(await thief.IsClosedAsync());
        Assert.Equal("echo: unharmed", (await a.SelectEcho(b).Ask<Note>(new Note("unharmed"), TcpNode.Patience)).Text);
    }

    [Theory]
    [InlineData("certificate.path = \"\"", "certificate.path is empty")]
    [InlineData("certificate.path = \"/nowhere/x.pfx\"", "/nowhere/x.pfx")]
    public void Start_without_a_usable_certificate_says_what_to_do(string ssl, string words) =>
        Assert.Contains(words, Flatten(Record.Exception(() => TcpNode.Start(tls: ssl))), StringComparison.Ordinal);

    [Fact]
    public void Start_with_a_certificate_of_another_host_is_refused() =>
        Assert.Contains("does not carry this node's public host name '127.0.0.1'",
            Flatten(Record.Exception(() => TcpNode.Start(tls: _authority.Issue("node-z", host: "10.0.0.9")))), StringComparison.Ordinal);

    [Theory]
    [InlineData("hostname = \"0.0.0.0\"")]
    [InlineData("public-hostname = \"example.org\"")]
    public void Start_without_tls_is_for_loopback_only(string tcp) =>
        Assert.Contains("enable-ssl = off is for loopback addresses only", Flatten(Record.Exception(() => TcpNode.Start(tcp))), StringComparison.Ordinal);

    [Fact]
    public async Task Dial_without_tls_is_for_loopback_only()
    {
        await using var a = TcpNode.Start();

        a.System.ActorSelection("akka.tcp://test@192.0.2.1:4053/user/echo").Tell(new Note("hello"));

        await Eventually.Holds(() => a.Lines.Contains("'192.0.2.1' is none", StringComparison.Ordinal), "a line in the log", () => a.Lines);
    }

    private static string Flatten(Exception? failure) =>
        failure is null ? "no exception" : $"{failure.Message} {(failure.InnerException is null ? "" : Flatten(failure.InnerException))}";

    /// <summary>The certificate by which a node answers a dial.</summary>
    private static async Task<string> ShownByAsync(TcpNode node, X509Certificate2 client)
    {
        await using var peer = await RawPeer.ConnectAsync(node, client);
        await peer.GreetAsync();
        return peer.Shown;
    }

    private static async Task AssertRefusedAsync(TcpNode node, X509Certificate2? certificate, SslProtocols protocols)
    {
        // TLS 1.3 lets the client finish first: the refusal may come with the first read.
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await using var peer = await RawPeer.ConnectAsync(node, certificate, protocols);
            if (await peer.IsClosedAsync())
            {
                throw new AuthenticationException("closed without a word");
            }
        });
    }
}
