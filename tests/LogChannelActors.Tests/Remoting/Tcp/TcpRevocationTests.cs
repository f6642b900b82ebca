using System.Security.Cryptography.X509Certificates;
using Akka.Remote;
using FtAkka.LogChannelActors.Remoting;

namespace FtAkka.LogChannelActors.Tests.Remoting.Tcp;

/// <summary>Certificates that were revoked: no connection begins with them, and none goes on.</summary>
public sealed class TcpRevocationTests : IDisposable
{
    private readonly TestAuthority _authority = new();
    private readonly string _list = Path.Combine(Directory.CreateTempSubdirectory("tcp-revoked").FullName, "revoked");

    public void Dispose()
    {
        _authority.Dispose();
        Directory.Delete(Path.GetDirectoryName(_list)!, recursive: true);
    }

    [Fact]
    public async Task Connection_that_stands_ends_when_its_certificate_is_revoked_and_no_other_begins()
    {
        await using var a = Listed("node-a");
        await using var b = TcpNode.Start(tls: _authority.Issue("node-b"));
        await using var c = TcpNode.Start(tls: _authority.Issue("node-c"));
        await a.Resolve(b);
        await a.Resolve(c);

        await File.WriteAllTextAsync(_list, $"# stolen\n{FingerprintOf("node-b").ToUpperInvariant()}\tnode-b, stolen\n");

        await Eventually.Holds(() => a.Warnings.Any(line => line.Contains("lost the connection", StringComparison.Ordinal)), "the end of the connection", () => a.Lines);
        Assert.Contains(a.Warnings, line => line.Contains("has been revoked", StringComparison.Ordinal));
        await Eventually.Holds(() =>
        {
            // What is sent before it knows of the end is lost with the connection.
            b.SelectEcho(a).Tell(new Note("still a member"), b.Echo);
            return a.Warnings.Any(line => line.Contains("refused a connection", StringComparison.Ordinal));
        }, "a refusal", () => a.Lines);
        Assert.Empty(a.Seen);
        await a.Resolve(c);
        Assert.DoesNotContain(a.Events, e => e is DisassociatedEvent gone && gone.RemoteAddress.Equals(c.Address));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("not a list\n")]
    public async Task What_was_revoked_stays_so_while_the_list_is_gone_or_none(string? afterwards)
    {
        string ssl = _authority.Issue("node-b");
        await File.WriteAllTextAsync(_list, FingerprintOf("node-b") + "\n");
        await using var a = Listed("node-a");
        if (afterwards is null)
        {
            File.Delete(_list);
        }
        else
        {
            await File.WriteAllTextAsync(_list, afterwards);
        }

        await Eventually.Holds(() => a.Warnings.Any(line => line.Contains("stays revoked", StringComparison.Ordinal)), "a line in the log", () => a.Lines);
        await using var b = TcpNode.Start(tls: ssl);
        b.SelectEcho(a).Tell(new Note("a member again?"), b.Echo);
        await Eventually.Holds(() => a.Warnings.Any(line => line.Contains("has been revoked", StringComparison.Ordinal)), "a refusal", () => a.Lines);
        Assert.Empty(a.Seen);
    }

    [Fact]
    public async Task Node_whose_own_certificate_is_revoked_says_so()
    {
        await using var a = Listed("node-a");
        await File.WriteAllTextAsync(_list, FingerprintOf("node-a") + "\n");
        await Eventually.Holds(() => a.Warnings.Any(line => line.Contains("Peers will refuse this node", StringComparison.Ordinal)), "a line in the log", () => a.Lines);
    }

    [Theory]
    [InlineData("0123", "line 1")]
    [InlineData("\n# note\nnode-b\n", "line 3")]
    public void Line_without_a_fingerprint_is_named(string text, string where) =>
        Assert.Contains(where, Assert.Throws<FormatException>(() => RevokedCertificates.Parse(text)).Message, StringComparison.Ordinal);

    private TcpNode Listed(string node) => TcpNode.Start(tls: $"{_authority.Issue(node)}\nrevocation-list = \"{_list}\"");

    private string FingerprintOf(string node)
    {
        using X509Certificate2 certificate = X509CertificateLoader.LoadPkcs12FromFile(_authority.PathOf(node), "hush");
        return RevokedCertificates.FingerprintOf(certificate);
    }
}
