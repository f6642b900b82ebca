using System.Collections.Immutable;
using System.Globalization;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Akka.Configuration;

namespace FtAkka.LogChannelActors.Remoting.Tcp;

/// <summary>This node's certificate and the authorities it trusts; makes both ends of TLS connections and checks who is at the other.</summary>
internal sealed class TlsIdentity : IDisposable
{
    private const string Section = TcpSettings.Section + ".ssl";

    /// <summary>What helps against every refusal of a certificate.</summary>
    private const string Remedy = "give all nodes certificates of one authority, as 'ftakka cluster init' makes them";

    private readonly X509Certificate2 _certificate;
    private readonly X509Certificate2Collection _authorities = [];
    private readonly SslStreamCertificateContext _context;
    private readonly Lock _gate = new();
    private int _handshakes;
    private bool _ended;

    /// <exception cref="ConfigurationException">A file is missing or holds no usable certificate, or the certificate is of another host.</exception>
    public TlsIdentity(TlsSettings settings, string publicHostname)
    {
        if (settings.CertificatePath.Length == 0)
        {
            throw new ConfigurationException(
                $"TLS is on and {Section}.certificate.path is empty: name this node's certificate, which 'ftakka cluster init' makes, "
                + "or set enable-ssl = off and a loopback address.");
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
            throw new ConfigurationException($"{Section}: {settings.CertificatePath}: {failure.Message}", failure);
        }

        RequireUsable(settings, publicHostname);
        _context = SslStreamCertificateContext.Create(_certificate, _authorities, offline: true);
    }

    /// <summary>Why this node's own certificate will be refused by others, or null.</summary>
    public string? OwnWeakness => RefusalOf(_certificate, null, Certificates.ServerAuthentication);

    /// <summary>Name of the node in this node's own certificate.</summary>
    public string OwnNode => _certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false);

    /// <summary>Runs the accepting side of the handshake.</summary>
    /// <exception cref="AuthenticationException">It failed; the message says what to do.</exception>
    public PeerIdentity AuthenticateAsServer(SslStream stream)
    {
        string? refusal = null;
        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = _context,
            ClientCertificateRequired = true,
            RemoteCertificateValidationCallback = (_, certificate, chain, _) =>
                (refusal = RefusalOf(certificate, chain, Certificates.ClientAuthentication)) is null,
            EnabledSslProtocols = SslProtocols.Tls13,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            AllowRenegotiation = false,
            AllowTlsResume = false,   // each connection proves itself anew
        };
        return Shake(stream, () => stream.AuthenticateAsServer(options), () => refusal);
    }

    /// <summary>Runs the dialling side of the handshake.</summary>
    /// <exception cref="AuthenticationException">It failed; the message says what to do.</exception>
    public PeerIdentity AuthenticateAsClient(SslStream stream, string host)
    {
        string? refusal = null;
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = host,
            ClientCertificateContext = _context,
            RemoteCertificateValidationCallback = (_, certificate, chain, _) =>
                (refusal = RefusalOf(certificate, chain, Certificates.ServerAuthentication) ?? ForeignHost(certificate, host)) is null,
            EnabledSslProtocols = SslProtocols.Tls13,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            AllowRenegotiation = false,
            AllowTlsResume = false,
        };
        return Shake(stream, () => stream.AuthenticateAsClient(options), () => refusal);
    }

    /// <summary>No handshake begins any more. Those that run keep the certificates until they are over.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_ended)
            {
                return;
            }

            _ended = true;
            FreeIfUnused();
        }
    }

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

    private static X509Certificate2 Load(TlsSettings settings, X509Certificate2Collection authorities)
    {
        if (settings.KeyPath.Length == 0)
        {
            // A PFX may bring the authorities along: everything in it that is not the node's own certificate.
            var all = X509CertificateLoader.LoadPkcs12CollectionFromFile(settings.CertificatePath, settings.Password);
            var own = all.FirstOrDefault(certificate => certificate.HasPrivateKey)
                ?? throw new CryptographicException("no certificate with a private key is in this file.");
            all.Remove(own);
            authorities.AddRange(all);
            return own;
        }

        return settings.Password.Length == 0
            ? X509Certificate2.CreateFromPemFile(settings.CertificatePath, settings.KeyPath)
            : X509Certificate2.CreateFromEncryptedPemFile(settings.CertificatePath, settings.Password, settings.KeyPath);
    }

    private void RequireUsable(TlsSettings settings, string publicHostname)
    {
        if (_authorities.Count == 0)
        {
            throw new ConfigurationException(
                $"{Section}.ca.path names no certificate authority, and '{settings.CertificatePath}' holds none; without one no peer can be trusted.");
        }

        if (!Matches(_certificate, publicHostname))
        {
            throw new ConfigurationException(
                $"{Section}.certificate.path: the certificate ({_certificate.Subject}) does not carry this node's public host name "
                + $"'{publicHostname}', so no peer would accept it. Set public-hostname to one of its names ({Names(_certificate)}), or issue one with "
                + "that name ('ftakka cluster init').");
        }
    }

    private static PeerIdentity IdentityOf(SslStream stream)
    {
        var certificate = stream.RemoteCertificate as X509Certificate2
            ?? throw new AuthenticationException($"the peer shows no certificate: {Remedy}");
        var hosts = ImmutableArray.CreateBuilder<string>();
        try
        {
            foreach (var names in certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>())
            {
                hosts.AddRange(names.EnumerateDnsNames());
                hosts.AddRange(names.EnumerateIPAddresses().Select(address => address.ToString()));
            }
        }
        catch (CryptographicException failure)
        {
            throw new AuthenticationException($"the certificate ({certificate.Subject}) has names that cannot be read: {Remedy}", failure);
        }

        return new PeerIdentity(certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false), hosts.ToImmutable());
    }

    private static string Names(X509Certificate2 certificate) => string.Join(", ", certificate.Extensions
        .OfType<X509SubjectAlternativeNameExtension>()
        .SelectMany(names => names.EnumerateDnsNames().Concat(names.EnumerateIPAddresses().Select(address => address.ToString()))));

    private static string? ForeignHost(X509Certificate? certificate, string host) => certificate is X509Certificate2 full && !Matches(full, host)
        ? $"the certificate at '{host}' ({full.Subject}) is of another node: it names {Names(full)} and not '{host}'; dial one of these names, or issue "
            + "a certificate with this one"
        : null;

    /// <summary>Why a peer with this certificate is refused, and what to do; null if it is not.</summary>
    private string? RefusalOf(X509Certificate? certificate, X509Chain? presented, string purpose)
    {
        if (certificate is not X509Certificate2 full)
        {
            return $"the peer shows no certificate: {Remedy}";
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

        return chain.Build(full) ? null : $"the certificate ({full.Subject}, issued by {full.Issuer}) {Explain(full, chain)}";
    }

    private static string Explain(X509Certificate2 certificate, X509Chain chain)
    {
        var status = chain.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, one) => all | one.Status);
        if ((status & (X509ChainStatusFlags.PartialChain | X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.NotSignatureValid)) != 0)
        {
            return $"is of no authority that this node trusts: {Remedy}";
        }

        if ((status & X509ChainStatusFlags.NotTimeValid) != 0)
        {
            var now = DateTime.Now;
            return now > certificate.NotAfter ? Text($"has expired on {certificate.NotAfter:u}: issue a new one")
                : now < certificate.NotBefore ? Text($"is not valid before {certificate.NotBefore:u}, and it is {now:u} here: set the clocks of both hosts")
                : "is of an authority that is out of date: make a new authority";
        }

        return $"is not good for this ({status}): {Remedy}";
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private PeerIdentity Shake(SslStream stream, Action handshake, Func<string?> refusal)
    {
        lock (_gate)
        {
            if (_ended)
            {
                throw new IOException("this system stops");
            }

            _handshakes++;
        }

        try
        {
            Explained(handshake, refusal);
            return IdentityOf(stream);
        }
        finally
        {
            lock (_gate)
            {
                _handshakes--;
                FreeIfUnused();
            }
        }
    }

    /// <summary>Lets a handshake that fails say why. The platform's own words are about callbacks and frames.</summary>
    private static void Explained(Action handshake, Func<string?> refusal)
    {
        try
        {
            handshake();
        }
        // A peer chooses what stands in its certificate: what the platform cannot read is refused like any other.
        catch (Exception failure) when (failure is AuthenticationException or IOException or CryptographicException)
        {
            var words = failure.InnerException?.Message ?? failure.Message;
            throw new AuthenticationException(
                refusal() ?? $"the TLS handshake failed ({words.TrimEnd('.')}): the peer speaks no TLS 1.3, or refuses this node's certificate (its log says why); {Remedy}",
                failure);
        }
    }

    private void FreeIfUnused()
    {
        if (!_ended || _handshakes > 0)
        {
            return;
        }

        _certificate.Dispose();
        foreach (var authority in _authorities)
        {
            authority.Dispose();
        }
    }
}
