using System.Security.Cryptography.X509Certificates;
using FtAkka.LogChannelActors.Remoting;

namespace FtAkka.WireBench;

/// <summary>Certificates for both ends, in a folder of their own.</summary>
internal sealed class BenchCertificates : IDisposable
{
    public BenchCertificates()
    {
        Folder = Directory.CreateTempSubdirectory("wirebench").FullName;
        var now = DateTimeOffset.UtcNow;
        using var authority = Certificates.CreateAuthority("wirebench", now, TimeSpan.FromDays(1));
        foreach (var node in (string[])["near", "far"])
        {
            using var certificate = Certificates.IssueNode(authority, node, ["127.0.0.1"], now, TimeSpan.FromDays(1));
            Certificates.WritePfx(certificate, authority, Path.Combine(Folder, $"{node}.pfx"), string.Empty);
        }

        Socket = X509CertificateLoader.LoadPkcs12CollectionFromFile(Path.Combine(Folder, "far.pfx"), string.Empty).First(one => one.HasPrivateKey);
    }

    public string Folder { get; }

    /// <summary>For the socket without actors.</summary>
    public X509Certificate2 Socket { get; }

    public void Dispose()
    {
        Socket.Dispose();
        Directory.Delete(Folder, recursive: true);
    }
}
