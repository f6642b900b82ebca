using System.Globalization;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Akka.Configuration;

namespace FtAkka.LogChannelActors.Remoting.Tcp;

/// <summary>
/// This node's certificate and the authorities it trusts; makes both ends of TLS connections and checks who is at the other. A certificate that was renewed
/// is taken with the next connection: the file is looked at before each.
/// </summary>
internal sealed class TlsIdentity : IDisposable
{
    private const string Section = TcpSettings.Section + ".ssl";

    /// <summary>What helps against every refusal of a certificate.</summary>
    private const string Remedy = "give all nodes certificates of one authority, as 'ftakka cluster init' makes them";

    /// <summary>What is said of a certificate that is on the list.</summary>
    public const string Revoked = "has been revoked: issue another one ('ftakka cluster renew') if the node is to be a member";

    private readonly TlsSettings _settings;
    private readonly string _publicHostname;
    private readonly Action<string> _say;
    private readonly RevocationList? _revoked;
    private readonly Lock _gate = new();
    private Loaded _current;
    private DateTime _written;
    private int _handshakes;
    private bool _ended;

    /// <param name="settings">Where the files are.</param>
    /// <param name="publicHostname">Name under which peers know this node; the certificate must carry it.</param>
    /// <param name="say">Told what became of a file that was changed.</param>
    /// <param name="revoked">Certificates that are not good any more; null for none.</param>
    /// <exception cref="ConfigurationException">A file is missing or holds no usable certificate, or the certificate is of another host.</exception>
    public TlsIdentity(TlsSettings settings, string publicHostname, Action<string> say, RevocationList? revoked)
    {
        if (settings.CertificatePath.Length == 0)
        {
            throw new ConfigurationException(
                $"TLS is on and {Section}.certificate.path is empty: name this node's certificate, which 'ftakka cluster init' makes, "
                + "or set enable-ssl = off and a loopback address.");
        }

        (_settings, _publicHostname, _say, _revoked) = (settings, publicHostname, say, revoked);
        _written = WrittenAt();
        _current = LoadUsable();
    }

    /// <summary>Why this node's own certificate will be refused by others, or null.</summary>
    public string? OwnWeakness => RefusalOf(_current, _current.Certificate, null, Certificates.ServerAuthentication);

    /// <summary>Name of the node in this node's own certificate.</summary>
    public string OwnNode => _current.Node;

    /// <summary>Runs the accepting side of the handshake.</summary>
    /// <exception cref="AuthenticationException">It failed; the message says what to do.</exception>
    public PeerIdentity AuthenticateAsServer(SslStream stream)
    {
        string? refusal = null;
        var own = Renewed();
        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = own.Context,
            ClientCertificateRequired = true,
            RemoteCertificateValidationCallback = (_, certificate, chain, _) =>
                (refusal = RefusalOf(own, certificate, chain, Certificates.ClientAuthentication)) is null,
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
        var own = Renewed();
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = host,
            ClientCertificateContext = own.Context,
            RemoteCertificateValidationCallback = (_, certificate, chain, _) =>
                (refusal = RefusalOf(own, certificate, chain, Certificates.ServerAuthentication) ?? ForeignHost(certificate, host)) is null,
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

    /// <summary>Reads the certificate with its private key, and the authorities that its file brings along.</summary>
    /// <exception cref="CryptographicException">The files hold none, or have another password.</exception>
    internal static X509Certificate2 Load(TlsSettings settings, X509Certificate2Collection authorities)
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

    /// <summary>What this node shows and trusts now. A changed file that is of no use, as one that is half written, is said and left; the old certificate stays.</summary>
    private Loaded Renewed()
    {
        lock (_gate)
        {
            var written = WrittenAt();
            if (written == _written || _ended)
            {
                return _current;
            }

            _written = written;
            try
            {
                var renewed = LoadUsable();
                if (renewed.Node != _current.Node)
                {
                    throw new ConfigurationException($"it is of the node '{renewed.Node}', and this is '{_current.Node}'");
                }

                // Handshakes that run still have the old one; it is not disposed of.
                _current = renewed;
                _say(Text($"{_settings.CertificatePath} was renewed and is taken; it is good until {renewed.Certificate.NotAfter:u}"));
            }
            catch (ConfigurationException unusable)
            {
                _say($"{_settings.CertificatePath} was changed and cannot be taken, the certificate from before stays: {unusable.Message}");
            }

            return _current;
        }
    }

    private DateTime WrittenAt()
    {
        try
        {
            return File.GetLastWriteTimeUtc(_settings.CertificatePath);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return default;
        }
    }

    /// <exception cref="ConfigurationException">A file is missing or holds no usable certificate, or the certificate is of another host.</exception>
    private Loaded LoadUsable()
    {
        X509Certificate2Collection authorities = [];
        X509Certificate2 certificate;
        try
        {
            certificate = Load(_settings, authorities);
            if (_settings.AuthorityPath.Length > 0)
            {
                authorities.ImportFromPemFile(_settings.AuthorityPath);
            }
        }
        catch (Exception failure) when (failure is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException($"{Section}: {_settings.CertificatePath}: {failure.Message}", failure);
        }

        if (authorities.Count == 0)
        {
            throw new ConfigurationException(
                $"{Section}.ca.path names no certificate authority, and '{_settings.CertificatePath}' holds none; without one no peer can be trusted.");
        }

        if (!Matches(certificate, _publicHostname))
        {
            throw new ConfigurationException(
                $"{Section}.certificate.path: the certificate ({certificate.Subject}) does not carry this node's public host name "
                + $"'{_publicHostname}', so no peer would accept it. Set public-hostname to one of its names ({Names(certificate)}), or issue one with "
                + "that name ('ftakka cluster init').");
        }

        return new Loaded(certificate, authorities, SslStreamCertificateContext.Create(certificate, authorities, offline: true));
    }

    private static PeerIdentity IdentityOf(SslStream stream)
    {
        var certificate = stream.RemoteCertificate as X509Certificate2
            ?? throw new AuthenticationException($"the peer shows no certificate: {Remedy}");
        try
        {
            return new PeerIdentity(certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false), [.. Certificates.NamesOf(certificate)]);
        }
        catch (CryptographicException failure)
        {
            throw new AuthenticationException($"the certificate ({certificate.Subject}) has names that cannot be read: {Remedy}", failure);
        }
    }

    private static string Names(X509Certificate2 certificate) => string.Join(", ", Certificates.NamesOf(certificate));

    private static string? ForeignHost(X509Certificate? certificate, string host) => certificate is X509Certificate2 full && !Matches(full, host)
        ? $"the certificate at '{host}' ({full.Subject}) is of another node: it names {Names(full)} and not '{host}'; dial one of these names, or issue "
            + "a certificate with this one"
        : null;

    /// <summary>Why a peer with this certificate is refused, and what to do; null if it is not.</summary>
    private string? RefusalOf(Loaded own, X509Certificate? certificate, X509Chain? presented, string purpose)
    {
        if (certificate is not X509Certificate2 full)
        {
            return $"the peer shows no certificate: {Remedy}";
        }

        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(own.Authorities);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(purpose));
        if (presented is not null)
        {
            chain.ChainPolicy.ExtraStore.AddRange(presented.ChainPolicy.ExtraStore);
        }

        var fault = !chain.Build(full) ? Explain(full, chain) : _revoked?.Has(full.RawData) == true ? Revoked : null;
        return fault is null ? null : $"the certificate ({full.Subject}, issued by {full.Issuer}) {fault}";
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

        _current.Certificate.Dispose();
        foreach (var authority in _current.Authorities)
        {
            authority.Dispose();
        }
    }

    /// <summary>What was read from the files together.</summary>
    private sealed record Loaded(X509Certificate2 Certificate, X509Certificate2Collection Authorities, SslStreamCertificateContext Context)
    {
        public string Node { get; } = Certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false);
    }
}
