using System.Security.Cryptography.X509Certificates;
using FtAkka.LogChannelActors.Remoting;

namespace FtAkka.LogChannelActors.Tests.Remoting.Tcp;

/// <summary>A cluster's authority in a folder of its own, and the certificates it issues.</summary>
public sealed class TestAuthority : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tcp-tls").FullName;

    public X509Certificate2 Certificate { get; } = Certificates.CreateAuthority("cluster", DateTimeOffset.UtcNow, TimeSpan.FromDays(1));

    /// <summary>Issues a node's certificate and returns the <c>ssl</c> block that names it.</summary>
    public string Issue(string node, string host = "127.0.0.1", DateTimeOffset? now = null, TimeSpan? validity = null)
    {
        using var certificate = Certificates.IssueNode(Certificate, node, [host], now ?? DateTimeOffset.UtcNow, validity ?? TimeSpan.FromHours(1));
        var path = PathOf(node);
        Certificates.WritePfx(certificate, Certificate, path, "hush");
        return $"""
            certificate.path = "{path}"
            certificate.password = "hush"
            """;
    }

    /// <summary>Where the certificate of a node is.</summary>
    public string PathOf(string node) => Path.Combine(_folder, $"{node}.pfx");

    /// <summary>The certificate for a client that is no node.</summary>
    public X509Certificate2 IssueFor(string node, string host = "127.0.0.1", DateTimeOffset? now = null, TimeSpan? validity = null)
    {
        using var certificate = Certificates.IssueNode(Certificate, node, [host], now ?? DateTimeOffset.UtcNow, validity ?? TimeSpan.FromHours(1));
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), null);
    }

    public void Dispose()
    {
        Certificate.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
