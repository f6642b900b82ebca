using Akka.Configuration;

namespace FtAkka.Wire;

/// <summary>TLS settings, from <c>akka.remote.dot-netty.tcp.ssl</c>.</summary>
/// <param name="CertificatePath">PFX, or PEM if <paramref name="KeyPath"/> is given: this node's certificate.</param>
/// <param name="Password">Password of the PFX or of the PEM key; empty for none.</param>
/// <param name="KeyPath">PEM file with the private key; empty with a PFX.</param>
/// <param name="AuthorityPath">PEM file with the cluster's certificate authorities, the only roots trusted.</param>
/// <param name="SuppressValidation">Accept any certificate. For tests.</param>
/// <param name="RequireMutualAuthentication">Refuse connections that present no valid client certificate.</param>
/// <param name="ValidateHostname">The peer's address must be in its certificate.</param>
public sealed record WireTlsSettings(
    string CertificatePath,
    string Password,
    string KeyPath,
    string AuthorityPath,
    bool SuppressValidation,
    bool RequireMutualAuthentication,
    bool ValidateHostname);

/// <summary>Settings and limits of the wire; keys and defaults stand in <c>reference.hocon</c>.</summary>
public sealed record WireSettings
{
    /// <summary>The defaults, to be put under an actor system's configuration.</summary>
    public static Config Reference { get; } = ReadReference();

    /// <summary>Address to bind to; empty or a wildcard for every interface.</summary>
    public required string Hostname { get; init; }

    /// <summary>Name or address by which peers reach this node.</summary>
    public required string PublicHostname { get; init; }

    /// <summary>Port to bind to, 0 for any.</summary>
    public required int Port { get; init; }

    /// <summary>Port by which peers reach this node, 0 for the bound one.</summary>
    public required int PublicPort { get; init; }

    /// <summary>Name of this node; with TLS it must stand in the node's certificate.</summary>
    public required string NodeName { get; init; }

    /// <summary>TLS settings, or null where <c>enable-ssl = off</c>.</summary>
    public required WireTlsSettings? Tls { get; init; }

    /// <summary>Limit for connecting and for the handshake.</summary>
    public required TimeSpan ConnectionTimeout { get; init; }

    /// <summary>Longest frame in bytes, in either direction.</summary>
    public required int MaximumFrameBytes { get; init; }

    /// <summary>Kernel send buffer in bytes.</summary>
    public required int SendBufferBytes { get; init; }

    /// <summary>Kernel receive buffer in bytes.</summary>
    public required int ReceiveBufferBytes { get; init; }

    /// <summary>Length of the listener's queue.</summary>
    public required int Backlog { get; init; }

    /// <summary>First time for which a peer that could not be reached is left alone.</summary>
    public required TimeSpan RetryGate { get; init; }

    /// <summary>The same after many failures in a row.</summary>
    public required TimeSpan RetryGateMaximum { get; init; }

    /// <summary>Bytes queued for one peer at most.</summary>
    public required int SendQueueBytes { get; init; }

    /// <summary>How long a sender may wait for room in the queue.</summary>
    public required TimeSpan SendQueueWait { get; init; }

    /// <summary>Interval of probes on an idle connection.</summary>
    public required TimeSpan KeepAliveInterval { get; init; }

    /// <summary>Silence after which a connection is closed.</summary>
    public required TimeSpan IdleTimeout { get; init; }

    /// <summary>Time for flushing at an orderly stop.</summary>
    public required TimeSpan ShutdownFlushTimeout { get; init; }

    /// <summary>Inbound connections at most.</summary>
    public required int MaximumConnections { get; init; }

    /// <summary>Names under <c>akka.actor.serializers</c> whose bodies are accepted.</summary>
    public required IReadOnlyList<string> AcceptedSerializers { get; init; }

    /// <summary>Type name of the wire's factory; empty for TCP.</summary>
    public required string Factory { get; init; }

    /// <summary>Incarnation number of this process; greater than that of every earlier process at the same address.</summary>
    /// <remarks>The default is the wall clock in microseconds. A node that keeps a counter on disk gives that instead.</remarks>
    public long Incarnation { get; init; } = (DateTime.UtcNow - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;

    /// <summary>Reads the settings of an actor system.</summary>
    /// <exception cref="ConfigurationException">A value is missing, malformed or outside its range.</exception>
    public static WireSettings Read(Config system)
    {
        ArgumentNullException.ThrowIfNull(system);
        var remote = system.WithFallback(Reference).GetConfig("akka.remote");
        var tcp = remote.GetConfig("dot-netty.tcp");
        var wire = remote.GetConfig("wire");
        var hostname = tcp.GetString("hostname");
        var publicHostname = FirstOf(tcp.GetString("public-hostname"), IsWildcard(hostname) ? "" : hostname, System.Net.Dns.GetHostName());
        return new WireSettings
        {
            Hostname = hostname,
            PublicHostname = publicHostname,
            Port = InRange(tcp.GetInt("port"), 0, ushort.MaxValue, "dot-netty.tcp.port"),
            PublicPort = InRange(tcp.GetInt("public-port"), 0, ushort.MaxValue, "dot-netty.tcp.public-port"),
            NodeName = FirstOf(wire.GetString("node-name"), publicHostname),
            Tls = tcp.GetBoolean("enable-ssl") ? ReadTls(tcp.GetConfig("ssl")) : null,
            ConnectionTimeout = Time(tcp, "connection-timeout"),
            MaximumFrameBytes = Size(tcp, "maximum-frame-size", 1024, 64 * 1024 * 1024),
            SendBufferBytes = Size(tcp, "send-buffer-size", 4096, int.MaxValue),
            ReceiveBufferBytes = Size(tcp, "receive-buffer-size", 4096, int.MaxValue),
            Backlog = InRange(tcp.GetInt("backlog"), 1, 65536, "dot-netty.tcp.backlog"),
            RetryGate = Time(remote, "retry-gate-closed-for"),
            RetryGateMaximum = Time(wire, "retry-gate-maximum"),
            SendQueueBytes = Size(wire, "send-queue-size", 4096, 1024 * 1024 * 1024),
            SendQueueWait = wire.GetTimeSpan("send-queue-wait"),
            KeepAliveInterval = Time(wire, "keep-alive-interval"),
            IdleTimeout = Time(wire, "idle-timeout"),
            ShutdownFlushTimeout = wire.GetTimeSpan("shutdown-flush-timeout"),
            MaximumConnections = InRange(wire.GetInt("maximum-connections"), 1, 65536, "wire.maximum-connections"),
            AcceptedSerializers = [.. wire.GetStringList("accepted-serializers")],
            Factory = wire.GetString("factory"),
        };
    }

    /// <summary>True for the host names that mean every interface.</summary>
    internal static bool IsWildcard(string hostname) => hostname is "" or "0.0.0.0" or "::";

    private static WireTlsSettings ReadTls(Config ssl) => new(
        ssl.GetString("certificate.path"),
        ssl.GetString("certificate.password"),
        ssl.GetString("certificate.key-path"),
        ssl.GetString("ca.path"),
        ssl.GetBoolean("suppress-validation"),
        ssl.GetBoolean("require-mutual-authentication"),
        ssl.GetBoolean("validate-certificate-hostname"));

    private static string FirstOf(params ReadOnlySpan<string> candidates)
    {
        foreach (var candidate in candidates)
        {
            if (!string.IsNullOrEmpty(candidate))
            {
                return candidate;
            }
        }

        return string.Empty;
    }

    private static TimeSpan Time(Config config, string key)
    {
        var value = config.GetTimeSpan(key);
        return value > TimeSpan.Zero && value <= TimeSpan.FromDays(1)
            ? value
            : throw new ConfigurationException($"{key} is {value}; it must be above zero and at most one day.");
    }

    private static int Size(Config config, string key, int min, int max)
    {
        var value = config.GetByteSize(key) ?? throw new ConfigurationException($"{key} is not a size.");
        return value >= min && value <= max
            ? (int)value
            : throw new ConfigurationException($"{key} is {value}; it must be between {min} and {max} bytes.");
    }

    private static int InRange(int value, int min, int max, string key) =>
        value >= min && value <= max
            ? value
            : throw new ConfigurationException($"{key} is {value}; it must be between {min} and {max}.");

    private static Config ReadReference()
    {
        using var stream = typeof(WireSettings).Assembly.GetManifestResourceStream("FtAkka.Wire.reference.hocon")
            ?? throw new InvalidOperationException("The assembly lacks its resource FtAkka.Wire.reference.hocon.");
        using var reader = new StreamReader(stream);
        return ConfigurationFactory.ParseString(reader.ReadToEnd());
    }
}
