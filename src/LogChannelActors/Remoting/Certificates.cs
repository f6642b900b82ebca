using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace FtAkka.LogChannelActors.Remoting;

/// <summary>
/// Makes the certificates of a cluster: one authority, and for each node a certificate with its node name and addresses, good for
/// both ends of a TLS connection. Keys are ECDSA on P-256.
/// </summary>
public static class Certificates
{
    internal const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";   // RFC 5280 4.2.1.12, id-kp-serverAuth
    internal const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";   // RFC 5280 4.2.1.12, id-kp-clientAuth

    /// <summary>How long a node's certificate is good. Peers refuse it afterwards, so that one that was lost does not open the cluster for ever.</summary>
    public static TimeSpan NodeValidity { get; } = TimeSpan.FromDays(90);

    /// <summary>Clocks of two hosts may differ by this much without a fresh certificate being "not yet valid".</summary>
    private static readonly TimeSpan ClockSkew = TimeSpan.FromHours(1);

    /// <summary>Makes a cluster's authority, with its private key.</summary>
    /// <param name="clusterName">Becomes the common name.</param>
    /// <param name="now">The present time.</param>
    /// <param name="validity">How long it is valid.</param>
    public static X509Certificate2 CreateAuthority(string clusterName, DateTimeOffset now, TimeSpan validity)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(CommonName(clusterName), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(
            certificateAuthority: true, hasPathLengthConstraint: true, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(
            X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        return request.CreateSelfSigned(now - ClockSkew, now + validity);
    }

    /// <summary>Makes a node's certificate, with its private key.</summary>
    /// <param name="authority">The cluster's authority, with its private key.</param>
    /// <param name="nodeName">The node's name: the common name and an alternative name.</param>
    /// <param name="hosts">Host names and IP addresses under which peers reach the node.</param>
    /// <param name="now">The present time.</param>
    /// <param name="validity">How long it is valid; cut to the authority's own end.</param>
    public static X509Certificate2 IssueNode(
        X509Certificate2 authority, string nodeName, IEnumerable<string> hosts, DateTimeOffset now, TimeSpan validity)
    {
        ArgumentNullException.ThrowIfNull(authority);
        ArgumentNullException.ThrowIfNull(hosts);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(CommonName(nodeName), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension(
            [new Oid(ServerAuthentication), new Oid(ClientAuthentication)], critical: false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(authority, true, false));
        var names = new SubjectAlternativeNameBuilder();
        foreach (var name in hosts.Prepend(nodeName).Distinct(StringComparer.OrdinalIgnoreCase))
        {
            if (IPAddress.TryParse(name, out var address))
            {
                names.AddIpAddress(address);
            }
            else
            {
                names.AddDnsName(name);
            }
        }

        request.CertificateExtensions.Add(names.Build());
        var start = now - ClockSkew;
        var authorityStart = new DateTimeOffset(authority.NotBefore.ToUniversalTime());
        var end = now + validity;
        var authorityEnd = new DateTimeOffset(authority.NotAfter.ToUniversalTime());
        var serial = RandomNumberGenerator.GetBytes(16);
        serial[0] &= 0x7F;   // RFC 5280 4.1.2.2: positive
        using var certificate = request.Create(
            authority, start > authorityStart ? start : authorityStart, end < authorityEnd ? end : authorityEnd, serial);
        return certificate.CopyWithPrivateKey(key);
    }

    /// <summary>
    /// Makes a certificate for the node of an older one, with its names and a new key, and puts it in its place: whoever reads the file finds the one or the other.
    /// </summary>
    /// <param name="authority">The cluster's authority, with its private key.</param>
    /// <param name="path">PFX of the older one, as <see cref="WritePfx"/> writes it without a password.</param>
    /// <param name="now">The present time.</param>
    /// <exception cref="CryptographicException">The file holds no certificate with a private key, or has a password.</exception>
    /// <exception cref="IOException">It cannot be read or written.</exception>
    /// <exception cref="UnauthorizedAccessException">No permission.</exception>
    public static void RenewPfx(X509Certificate2 authority, string path, DateTimeOffset now)
    {
        X509Certificate2Collection found = X509CertificateLoader.LoadPkcs12CollectionFromFile(path, "");
        var old = found.FirstOrDefault(certificate => certificate.HasPrivateKey)
            ?? throw new CryptographicException("no certificate with a private key is in this file.");
        using var renewed = IssueNode(authority, old.GetNameInfo(X509NameType.SimpleName, forIssuer: false), NamesOf(old), now, NodeValidity);
        var fresh = path + ".new";
        WritePfx(renewed, authority, fresh, "");
        File.Move(fresh, path, overwrite: true);
    }

    /// <summary>Host names and IP addresses in a certificate.</summary>
    /// <exception cref="CryptographicException">They cannot be read.</exception>
    internal static string[] NamesOf(X509Certificate2 certificate) =>
    [
        .. certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>()
            .SelectMany(names => names.EnumerateDnsNames().Concat(names.EnumerateIPAddresses().Select(address => address.ToString()))),
    ];

    /// <summary>Writes certificate and key as two PEM files; the key is readable by its owner only.</summary>
    public static void WritePem(X509Certificate2 certificate, string certificatePath, string keyPath)
    {
        ArgumentNullException.ThrowIfNull(certificate);
        using var key = certificate.GetECDsaPrivateKey()
            ?? throw new ArgumentException("The certificate has no ECDSA private key.", nameof(certificate));
        File.WriteAllText(certificatePath, certificate.ExportCertificatePem() + "\n");
        using var file = new StreamWriter(keyPath, OwnerOnly());
        file.Write(key.ExportPkcs8PrivateKeyPem() + "\n");
    }

    /// <summary>Writes certificate, key and the cluster's authority as one PFX file, readable by its owner only.</summary>
    /// <param name="certificate">The node's certificate with its private key.</param>
    /// <param name="authority">The authority; its private key is left out.</param>
    /// <param name="path">The file.</param>
    /// <param name="password">Protects the file; may be empty.</param>
    public static void WritePfx(X509Certificate2 certificate, X509Certificate2 authority, string path, string password)
    {
        ArgumentNullException.ThrowIfNull(certificate);
        ArgumentNullException.ThrowIfNull(authority);
        using var publicAuthority = X509CertificateLoader.LoadCertificate(authority.RawData);
        var bytes = new X509Certificate2Collection { certificate, publicAuthority }.Export(X509ContentType.Pkcs12, password)
            ?? throw new CryptographicException("The certificate cannot be exported.");
        using var file = new FileStream(path, OwnerOnly());
        file.Write(bytes);
        file.Flush(flushToDisk: true);
    }

    private static FileStreamOptions OwnerOnly()
    {
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        return options;
    }

    private static X500DistinguishedName CommonName(string name)
    {
        var builder = new X500DistinguishedNameBuilder();
        builder.AddCommonName(name);
        return builder.Build();
    }
}
