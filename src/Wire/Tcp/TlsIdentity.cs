using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Akka.Configuration;

namespace FtAkka.Wire.Tcp;

/// <summary>This node's certificate and the authorities it trusts; makes and checks both ends of TLS connections.</summary>
internal sealed class TlsIdentity : IDisposable
{
    private const string Section = "akka.remote.dot-netty.tcp.ssl";
    private readonly WireTlsSettings _settings;
    private readonly X509Certificate2 _certificate;
    private readonly X509Certificate2Collection _authorities = [];
    private readonly SslStreamCertificateContext _context;

    /// <exception cref="ConfigurationException">A file is missing or holds no usable certificate.</exception>
    public TlsIdentity(WireTlsSettings settings, string nodeName)
    {
        _settings = settings;
        if (settings.CertificatePath.Length == 0)
        {
            throw new ConfigurationException(
                $"TLS is on and {Section}.certificate.path is empty: name this node's certificate, or set enable-ssl = off.");
        }

        try
        {
            _certificate = Load(settings, _authorities);
            if (settings.AuthorityPath.Length > 0)
            {
                _authorities.ImportFromPemFile(settings.AuthorityPath);
            }
        }
        catch (Exception failure) when (failure is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException($"{Section}: {failure.Message}", failure);
        }

        if (!_certificate.HasPrivateKey)
        {
            throw new ConfigurationException($"{Section}.certificate.path: '{settings.CertificatePath}' has no private key.");
        }

        if (!settings.SuppressValidation)
        {
            RequireUsable(nodeName);
        }

        _context = SslStreamCertificateContext.Create(_certificate, _authorities, offline: true);
    }

    /// <summary>Runs the server's side of the handshake.</summary>
    /// <exception cref="AuthenticationException">It failed; the message says what to do.</exception>
    public void AuthenticateAsServer(SslStream stream)
    {
        string? refusal = null;
        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = _context,
            ClientCertificateRequired = _settings.RequireMutualAuthentication,
            RemoteCertificateValidationCallback = (_, certificate, chain, _) =>
                (refusal = RefusalOf(certificate, chain, Certificates.ClientAuthentication, _settings.RequireMutualAuthentication)) is null,
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            AllowRenegotiation = false,
            AllowTlsResume = false,   // each connection proves itself anew
        };
        Explained(() => stream.AuthenticateAsServer(options), () => refusal);
    }

    /// <summary>Runs the client's side of the handshake.</summary>
    /// <exception cref="AuthenticationException">It failed; the message says what to do.</exception>
    public void AuthenticateAsClient(SslStream stream, string targetHost)
    {
        string? refusal = null;
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = targetHost,
            ClientCertificateContext = _context,
            RemoteCertificateValidationCallback = (_, certificate, chain, _) =>
                (refusal = RefusalOf(certificate, chain, Certificates.ServerAuthentication, required: true)) is null,
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            AllowRenegotiation = false,
            AllowTlsResume = false,
        };
        Explained(() => stream.AuthenticateAsClient(options), () => refusal);
    }

    /// <summary>True if the peer's certificate carries the node name that it claims and, where that is asked for, its host.</summary>
    public bool Certifies(SslStream stream, string nodeName, string host)
    {
        if (_settings.SuppressValidation || (stream.RemoteCertificate is null && !_settings.RequireMutualAuthentication))
        {
            return true;
        }

        return stream.RemoteCertificate is X509Certificate2 certificate
            && Matches(certificate, nodeName)
            && (!_settings.ValidateHostname || Matches(certificate, host));
    }

    public void Dispose()
    {
        _certificate.Dispose();
        foreach (var authority in _authorities)
        {
            authority.Dispose();
        }
    }

    /// <summary>What helps against every refusal of a certificate.</summary>
    private const string Remedy = "give all nodes certificates of one authority, as 'ftakka cluster init' makes them, and TLS on all or on none";

    private static bool Matches(X509Certificate2 certificate, string name)
    {
        try
        {
            return certificate.MatchesHostname(name, allowWildcards: false, allowCommonName: false);
        }
        catch (Exception failure) when (failure is CryptographicException or ArgumentException)
        {
            return false;   // malformed alternative names, or a claimed name that cannot be a host name
        }
    }

    private static X509Certificate2 Load(WireTlsSettings settings, X509Certificate2Collection authorities)
    {
        if (settings.KeyPath.Length == 0)
        {
            // A PFX may bring the authorities along: everything in it that is not the node's own certificate.
            var all = X509CertificateLoader.LoadPkcs12CollectionFromFile(settings.CertificatePath, settings.Password);
            var own = all.FirstOrDefault(certificate => certificate.HasPrivateKey)
                ?? throw new CryptographicException($"'{settings.CertificatePath}' has no certificate with a private key.");
            all.Remove(own);
            authorities.AddRange(all);
            return own;
        }

        return settings.Password.Length == 0
            ? X509Certificate2.CreateFromPemFile(settings.CertificatePath, settings.KeyPath)
            : X509Certificate2.CreateFromEncryptedPemFile(settings.CertificatePath, settings.Password, settings.KeyPath);
    }

    private void RequireUsable(string nodeName)
    {
        if (_authorities.Count == 0)
        {
            throw new ConfigurationException($"{Section}.ca.path names no certificate authority, and the PFX holds none; without one no peer can be trusted.");
        }

        if (!Matches(_certificate, nodeName))
        {
            throw new ConfigurationException(
                $"{Section}.certificate.path: the certificate ({_certificate.Subject}) does not carry the node name '{nodeName}'.");
        }
    }

    /// <summary>Why a peer with this certificate is refused, and what to do; null if it is not.</summary>
    private string? RefusalOf(X509Certificate? certificate, X509Chain? presented, string purpose, bool required)
    {
        if (certificate is null)
        {
            return required ? $"the peer shows no certificate: {Remedy}" : null;
        }

        return IsTrusted(certificate, presented, purpose)
            ? null
            : $"the peer's certificate ({certificate.Subject}, issued by {certificate.Issuer}) is of no authority that this node trusts, or out of date: {Remedy}";
    }

    /// <summary>Lets a handshake that fails say why. The platform's own words are about callbacks and frames.</summary>
    private static void Explained(Action handshake, Func<string?> refusal)
    {
        try
        {
            handshake();
        }
        catch (AuthenticationException failure)
        {
            throw new AuthenticationException(refusal() ?? $"the TLS handshake failed ({failure.Message.TrimEnd('.')}): the peer speaks no TLS, or does not trust this node; {Remedy}", failure);
        }
    }

    private bool IsTrusted(X509Certificate certificate, X509Chain? presented, string purpose)
    {
        if (_settings.SuppressValidation)
        {
            return true;
        }

        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(_authorities);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(purpose));
        if (presented is not null)
        {
            chain.ChainPolicy.ExtraStore.AddRange(presented.ChainPolicy.ExtraStore);
        }

        return certificate is X509Certificate2 full && chain.Build(full);
    }
}
