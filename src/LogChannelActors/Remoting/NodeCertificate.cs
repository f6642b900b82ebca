using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using FtAkka.LogChannelActors.Remoting.Tcp;

namespace FtAkka.LogChannelActors.Remoting;

/// <summary>What an operator has to know of a node's certificate: whose it is, where it is, and how long peers take it.</summary>
/// <param name="Path">Its file.</param>
/// <param name="Node">The node's name in it.</param>
/// <param name="Until">Its end.</param>
/// <param name="Fingerprint">By this it is revoked.</param>
public sealed record NodeCertificate(string Path, string Node, DateTimeOffset Until, string Fingerprint)
{
    /// <summary>How long before its end a node says that it must be renewed.</summary>
    public static TimeSpan WarningTime { get; } = TimeSpan.FromDays(30);

    private const string Remedy = "'ftakka cluster renew' makes a new one for the node's host";

    /// <summary>Reads a certificate as the transport does.</summary>
    /// <param name="path">PFX, or PEM if <paramref name="keyPath"/> is given.</param>
    /// <param name="password">Password of the PFX or of the PEM key; empty for none.</param>
    /// <param name="keyPath">PEM file with the private key; empty with a PFX.</param>
    /// <exception cref="System.Security.Cryptography.CryptographicException">The file holds no certificate with a private key, or has another password.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">No permission.</exception>
    public static NodeCertificate Read(string path, string password, string keyPath)
    {
        using X509Certificate2 certificate = TlsIdentity.Load(new TlsSettings(path, password, keyPath, "", ""), []);
        return new NodeCertificate(path, certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false), new DateTimeOffset(certificate.NotAfter), RevokedCertificates.FingerprintOf(certificate));
    }

    /// <summary>Why no peer takes it any more; null if it has not expired.</summary>
    public string? Expired(DateTimeOffset now) =>
        now > Until ? Text($"the certificate of {Node}, {Path}, has expired on {Until:u}: {Remedy}") : null;

    /// <summary>What an operator should do about it now; null: nothing.</summary>
    public string? Warning(DateTimeOffset now) =>
        Expired(now) ?? (now > Until - WarningTime ? Text($"the certificate of {Node}, {Path}, expires on {Until:u}, in {(Until - now).TotalDays:0} days: {Remedy}") : null);

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
