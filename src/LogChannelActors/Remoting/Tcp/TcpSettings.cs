using System.Collections.Frozen;
using System.Globalization;
using System.Net;
using Akka.Configuration;

namespace FtAkka.LogChannelActors.Remoting.Tcp;

/// <summary>Where the certificates are, from <c>ssl</c>.</summary>
/// <param name="CertificatePath">PFX, or PEM if <paramref name="KeyPath"/> is given: this node's certificate.</param>
/// <param name="Password">Password of the PFX or of the PEM key; empty for none.</param>
/// <param name="KeyPath">PEM file with the private key; empty with a PFX.</param>
/// <param name="AuthorityPath">PEM file with the cluster's certificate authorities; empty where they are in the PFX.</param>
/// <param name="RevocationPath">List of certificates that are not good any more; empty for none.</param>
internal sealed record TlsSettings(string CertificatePath, string Password, string KeyPath, string AuthorityPath, string RevocationPath);

/// <summary>Settings and limits of the transport; <c>reference.hocon</c> explains each key.</summary>
internal sealed record TcpSettings
{
    /// <summary>The section that the transport reads when it is not given one of another name.</summary>
    public const string Section = "akka.remote.ftakka-tcp";

    private const int LargestFrameBytes = 32 * 1024 * 1024;

    public required string Hostname { get; init; }

    public required string PublicHostname { get; init; }

    public required int Port { get; init; }

    public required int PublicPort { get; init; }

    /// <summary>Identity of the cluster, which peers must have too; empty for none.</summary>
    public required string Cluster { get; init; }

    /// <summary>Null where <c>enable-ssl = off</c>.</summary>
    public required TlsSettings? Tls { get; init; }

    public required TimeSpan ConnectionTimeout { get; init; }

    public required TimeSpan ConnectAttemptTimeout { get; init; }

    public required TimeSpan FirstMessageWithin { get; init; }

    public required TimeSpan RedialAfter { get; init; }

    public required int MaximumFrameBytes { get; init; }

    public required int SendBufferBytes { get; init; }

    public required int ReceiveBufferBytes { get; init; }

    public required int Backlog { get; init; }

    public required int SendQueueBytes { get; init; }

    public required long SendQueueTotalBytes { get; init; }

    /// <summary>By serializer, the manifests of messages that take the second connection.</summary>
    public required FrozenDictionary<int, ImmutableUtf8Set> BulkMessages { get; init; }

    public required TimeSpan KeepAliveInterval { get; init; }

    public required TimeSpan IdleTimeout { get; init; }

    public required int MaximumConnections { get; init; }

    public required int MaximumConnectionsPerAddress { get; init; }

    public required int MaximumConnectionsPerNode { get; init; }

    public required int MaximumHalfOpen { get; init; }

    public required TimeSpan ShutdownFlushTimeout { get; init; }

    /// <summary>Reads the transport's section over the defaults.</summary>
    /// <exception cref="ConfigurationException">A value is missing, malformed or outside its range.</exception>
    public static TcpSettings Read(Config section)
    {
        var tcp = section.WithFallback(RemotingDefaults.Reference.GetConfig(Section));
        var hostname = tcp.GetString("hostname");
        var publicHostname = tcp.GetString("public-hostname");
        if (string.IsNullOrEmpty(publicHostname))
        {
            publicHostname = IsWildcard(hostname) ? Dns.GetHostName() : hostname;
        }

        var settings = new TcpSettings
        {
            Hostname = hostname,
            PublicHostname = publicHostname,
            Port = InRange(tcp, "port", 0, ushort.MaxValue),
            PublicPort = InRange(tcp, "public-port", 0, ushort.MaxValue),
            Cluster = tcp.GetString("cluster"),
            Tls = tcp.GetBoolean("enable-ssl") ? ReadTls(tcp.GetConfig("ssl")) : null,
            ConnectionTimeout = Time(tcp, "connection-timeout"),
            ConnectAttemptTimeout = Time(tcp, "connect-attempt-timeout"),
            FirstMessageWithin = Time(tcp, "first-message-within"),
            RedialAfter = tcp.GetTimeSpan("redial-after"),
            MaximumFrameBytes = (int)Size(tcp, "maximum-frame-size", 4096, LargestFrameBytes),
            SendBufferBytes = (int)Size(tcp, "send-buffer-size", 4096, int.MaxValue),
            ReceiveBufferBytes = (int)Size(tcp, "receive-buffer-size", 4096, int.MaxValue),
            Backlog = InRange(tcp, "backlog", 1, 65536),
            SendQueueBytes = (int)Size(tcp, "send-queue-size", 4096, 1024 * 1024 * 1024),
            SendQueueTotalBytes = Size(tcp, "send-queue-total", 4096, long.MaxValue),
            BulkMessages = ReadBulk(tcp.GetStringList("bulk-messages")),
            KeepAliveInterval = Time(tcp, "keep-alive-interval"),
            IdleTimeout = Time(tcp, "idle-timeout"),
            MaximumConnections = InRange(tcp, "maximum-connections", 1, 65536),
            MaximumConnectionsPerAddress = InRange(tcp, "maximum-connections-per-address", 1, 65536),
            MaximumConnectionsPerNode = InRange(tcp, "maximum-connections-per-node", 1, 65536),
            MaximumHalfOpen = InRange(tcp, "maximum-half-open", 1, 65536),
            ShutdownFlushTimeout = tcp.GetTimeSpan("shutdown-flush-timeout"),
        };
        settings.RequireLoopbackWithoutTls();
        return settings;
    }

    /// <summary>True if a message with this serializer and manifest takes the second connection.</summary>
    public bool IsBulk(int serializer, ReadOnlySpan<byte> manifest) =>
        BulkMessages.TryGetValue(serializer, out var manifests) && manifests.Contains(manifest);

    /// <summary>True for the host names that mean every interface.</summary>
    public static bool IsWildcard(string hostname) => hostname is "" or "0.0.0.0" or "::";

    /// <summary>True if a host name means this machine and nothing else.</summary>
    public static bool IsLoopback(string hostname) =>
        hostname == "localhost" || (IPAddress.TryParse(hostname, out var address) && IPAddress.IsLoopback(address));

    private void RequireLoopbackWithoutTls()
    {
        if (Tls is null && !(IsLoopback(Hostname) && IsLoopback(PublicHostname)))
        {
            throw new ConfigurationException(
                $"{Section}: enable-ssl = off is for loopback addresses only, and this node would listen on '{Hostname}' as '{PublicHostname}'. "
                + "Set enable-ssl = on with a certificate ('ftakka cluster init' makes one), or hostname = 127.0.0.1.");
        }
    }

    private static TlsSettings ReadTls(Config ssl) => new(
        ssl.GetString("certificate.path"), ssl.GetString("certificate.password"), ssl.GetString("certificate.key-path"), ssl.GetString("ca.path"),
        ssl.GetString("revocation-list"));

    private static FrozenDictionary<int, ImmutableUtf8Set> ReadBulk(IList<string> entries)
    {
        var manifests = new Dictionary<int, List<string>>();
        foreach (var entry in entries)
        {
            var colon = entry.IndexOf(':', StringComparison.Ordinal);
            if (colon <= 0 || !int.TryParse(entry.AsSpan(0, colon), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var serializer))
            {
                throw new ConfigurationException($"{Section}.bulk-messages: '{entry}' is not 'serializer:manifest', such as '711:cp'.");
            }

            if (!manifests.TryGetValue(serializer, out var list))
            {
                manifests[serializer] = list = [];
            }

            list.Add(entry[(colon + 1)..]);
        }

        return manifests.ToFrozenDictionary(pair => pair.Key, pair => new ImmutableUtf8Set(pair.Value));
    }

    private static TimeSpan Time(Config config, string key)
    {
        var value = config.GetTimeSpan(key);
        return value >= TimeSpan.FromMilliseconds(1) && value <= TimeSpan.FromDays(1)
            ? value
            : throw new ConfigurationException($"{Section}.{key} is {value}; it must be between 1 ms and one day.");
    }

    private static long Size(Config config, string key, long min, long max)
    {
        var value = config.GetByteSize(key) ?? throw new ConfigurationException($"{Section}.{key} is not a size.");
        return value >= min && value <= max
            ? value
            : throw new ConfigurationException($"{Section}.{key} is {value}; it must be between {min} and {max} bytes.");
    }

    private static int InRange(Config config, string key, int min, int max)
    {
        var value = config.GetInt(key);
        return value >= min && value <= max
            ? value
            : throw new ConfigurationException($"{Section}.{key} is {value}; it must be between {min} and {max}.");
    }
}

/// <summary>A few short texts, compared as UTF-8 without making strings.</summary>
internal sealed class ImmutableUtf8Set(IEnumerable<string> texts)
{
    private readonly byte[][] _texts = [.. texts.Select(System.Text.Encoding.UTF8.GetBytes)];

    public bool Contains(ReadOnlySpan<byte> text)
    {
        foreach (var known in _texts)
        {
            if (text.SequenceEqual(known))
            {
                return true;
            }
        }

        return false;
    }
}
