using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using Akka.Configuration;
using Akka.Configuration.Hocon;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.LogChannelActors.Remoting;
using FtAkka.Nodes;
using FtAkka.Nodes.Arbiters;
using FtAkka.Nodes.Labels;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.VmFiles;
using FtAkka.VmmHost.Vms;
using Microsoft.Extensions.Logging;

namespace FtAkka.VmmHost.Nodes;

/// <summary>Settings of a node process, from its HOCON file over the built-in akka.hocon.</summary>
internal sealed record NodeSettings
{
    private const string NodeDefaults = """
        akka.loglevel = INFO
        akka.log-dead-letters = off
        akka.coordinated-shutdown.run-by-clr-shutdown-hook = off
        """;

    private const string Tcp = "akka.remote.ftakka-tcp";

    private const string CertificatePath = $"{Tcp}.ssl.certificate.path";

    /// <summary>Below this, most of a guest's work would be the digests'.</summary>
    private const long DigestIntervalMin = 100_000;

    /// <summary>A proof writes to the storage of each disk, and makes it durable.</summary>
    private static readonly TimeSpan ProofIntervalMin = TimeSpan.FromSeconds(0.1);

    /// <summary>So long a VM may be called protected that is not.</summary>
    private static readonly TimeSpan ProofIntervalMax = TimeSpan.FromMinutes(1);

    /// <summary>Name of the node; stands in its certificate.</summary>
    public required string Name { get; init; }

    /// <summary>The other nodes' wire addresses, host:port, by name.</summary>
    public required ImmutableSortedDictionary<string, string> Peers { get; init; }

    /// <summary>The node's file, for messages.</summary>
    public required string ConfigFile { get; init; }

    /// <summary>Folder that all nodes mount, for the arbiter.</summary>
    public required string SharedDirectory { get; init; }

    /// <summary>Identity of the cluster, which that folder must carry; null if the file does not say it.</summary>
    public required string? Cluster { get; init; }

    /// <summary>The node's certificate; null over plain TCP.</summary>
    public required CertificateFile? Certificate { get; init; }

    /// <summary>Folder of this host's copies of disks that are not shared, where their paths are relative.</summary>
    public required string DiskDirectory { get; init; }

    /// <summary>Path of the control socket.</summary>
    public required string ControlSocket { get; init; }

    /// <summary>Folders and files that the node opens for VMs of other nodes.</summary>
    public required ImmutableArray<string> AllowedPaths { get; init; }

    /// <summary>What all guests of the node may have of RAM together, in bytes.</summary>
    public required ulong MemoryBytesMax { get; init; }

    /// <summary>Connections prove which node speaks: they are encrypted and authenticated.</summary>
    public required bool SendersProved { get; init; }

    /// <summary>Limits and intervals of protected VMs.</summary>
    public required ProtectionOptions Protection { get; init; }

    /// <summary>New backups without a person.</summary>
    public required AutoProtectOptions AutoProtect { get; init; }

    /// <summary>How long an orderly stop waits for VMs to be handed over.</summary>
    public required TimeSpan HandOverTimeout { get; init; }

    /// <summary>How long an orderly stop lets VMs without a backup be copied to a peer.</summary>
    public required TimeSpan StopCopyTimeout { get; init; }

    /// <summary>How long after one proof that a backup could go live here the next begins.</summary>
    public required TimeSpan ProofInterval { get; init; }

    /// <summary>Instructions between the digests by which a backup is compared with its primary.</summary>
    public required ulong DigestInterval { get; init; }

    /// <summary>Bytes per second of a copy at most; 0 for no limit.</summary>
    public required long CloneRate { get; init; }

    /// <summary>Folder for reports of divergences.</summary>
    public required string DivergenceDirectory { get; init; }

    /// <summary>How many are kept there.</summary>
    public required int DivergenceReportsMax { get; init; }

    /// <summary>Bytes of the log in each.</summary>
    public required long DivergenceLogBytes { get; init; }

    /// <summary>For the actor system: what differs from the settings beside the program.</summary>
    public required Config AkkaOverrides { get; init; }

    /// <summary>For the actor system, complete.</summary>
    public Config Akka => AkkaOverrides.WithFallback(HostActorSystem.BaseConfig()).WithFallback(RemotingDefaults.Reference);

    /// <summary>What the node's actor works with on this host.</summary>
    /// <exception cref="CommandFailedException">The shared folder is missing, or is not the cluster's.</exception>
    public NodeOptions ToOptions(ILogger? log = null)
    {
        string cluster = Cluster ?? throw new CommandFailedException(
            $"{ConfigFile}: ftakka.node.cluster is missing: the identity of the cluster, which 'cluster init' writes here and into {ClusterIdentity.FileName} in the shared folder. "
            + "For a cluster that was made before, choose a word and put it in both, on all nodes.");
        try
        {
            ClusterIdentity.Require(SharedDirectory, cluster);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException($"The node {Name} does not start: {refused.Message}", refused);
        }
        var arbiter = new FileArbiter(SharedDirectory, cluster);
        return new NodeOptions
        {
            Name = Name,
            Incarnation = (DateTime.UtcNow - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond,
            Peers = Peers,
            SendersProved = SendersProved,
            Protection = Protection,
            AutoProtect = AutoProtect,
            HandOverTimeout = HandOverTimeout,
            StopCopyTimeout = StopCopyTimeout,
            MemoryBytesMax = MemoryBytesMax,
            CloneLimits = new CloneOptions { BytesPerSecondMax = CloneRate },
            DigestInterval = DigestInterval,
            EvidenceLogBytes = DivergenceLogBytes,
            KeepEvidence = report => new EvidenceFolder(DivergenceDirectory, DivergenceReportsMax).Keep(report, line => log?.Log(LogLevel.Warning, default, line, null, (text, _) => text)),
            ProofInterval = ProofInterval,
            Arbiter = arbiter,
            Devices = new HostDevices(DiskDirectory, new AllowedPaths(AllowedPaths), new DiskLabels(Name, cluster, SharedDirectory, arbiter)),
        };
    }

    /// <summary>Reads a node's file.</summary>
    /// <param name="file">HOCON; relative paths in it are relative to its folder.</param>
    /// <param name="name">Name of the node, which the file must agree with.</param>
    /// <param name="insecure">Plain TCP was asked for.</param>
    /// <exception cref="CommandFailedException">The file cannot be read, or a value is missing or wrong.</exception>
    public static NodeSettings Read(string file, string name, bool insecure)
    {
        Config given;
        try
        {
            given = HoconText.Parse(HoconText.ReadFile(file));
        }
        catch (Exception wrong) when (wrong is not OutOfMemoryException)
        {
            // The parser throws whatever it stumbles over.
            throw new CommandFailedException($"Cannot read the node's configuration {file}: {wrong.Message}", wrong);
        }
        string folder = Path.GetDirectoryName(Path.GetFullPath(file)) ?? "/";
        Config overrides = given.WithFallback(ConfigurationFactory.ParseString(NodeDefaults));
        string written = given.GetString("ftakka.node.name", name);
        if (written != name)
        {
            throw new CommandFailedException($"{file} is the configuration of the node {written}, not of {name}.");
        }
        if (given.HasPath("akka.remote.dot-netty") || given.HasPath("akka.remote.wire"))
        {
            throw new CommandFailedException($"{file}: settings of connections stand under {Tcp} now: move hostname, port and ssl.certificate there from akka.remote.dot-netty.tcp, and remove akka.remote.wire.");
        }
        ImmutableSortedDictionary<string, string> peers = ReadPeers(given);
        string? cluster = given.GetString("ftakka.node.cluster") is { Length: > 0 } identity ? identity : null;
        Config akka = Secured(overrides, given, file, folder, insecure).WithFallback(Owners(given, name, peers))
            .WithFallback(ConfigurationFactory.ParseString($"{Tcp}.cluster = \"{cluster}\""));
        string shared = given.GetString("ftakka.node.shared-directory")
            ?? throw new CommandFailedException($"{file}: ftakka.node.shared-directory is missing; it is the folder that all nodes mount.");
        akka = akka.WithFallback(ConfigurationFactory.ParseString($"{Tcp}.ssl.revocation-list = \"{Path.Combine(folder, shared, ClusterRevokeCommand.ListName)}\""));
        return new NodeSettings
        {
            Name = name,
            Peers = peers,
            SendersProved = !insecure,
            ConfigFile = file,
            SharedDirectory = Path.Combine(folder, shared),
            Cluster = cluster,
            Certificate = insecure ? null : ReadCertificate(akka, file),
            DiskDirectory = Path.Combine(folder, given.GetString("ftakka.node.disk-directory", Path.Combine("disks", name))),
            ControlSocket = given.GetString("ftakka.node.control-socket") is { Length: > 0 } path ? Path.Combine(folder, path) : DefaultSocket(name),
            AllowedPaths = ReadAllowedPaths(given, folder, name),
            MemoryBytesMax = ReadMemory(given, file),
            Protection = ReadProtection(given, file),
            AutoProtect = ReadAutoProtect(given, file),
            HandOverTimeout = given.GetTimeSpan("ftakka.ft.hand-over-timeout", TimeSpan.FromSeconds(10)),
            StopCopyTimeout = given.GetTimeSpan("ftakka.ft.stop-copy-timeout", TimeSpan.FromSeconds(60)),
            ProofInterval = ReadProofInterval(given, file),
            DigestInterval = ReadDigestInterval(given, file),
            CloneRate = given.GetByteSize("ftakka.ft.clone-rate", 0) ?? 0,
            DivergenceDirectory = Path.Combine(folder, given.GetString("ftakka.node.divergence-directory", "divergences")),
            DivergenceReportsMax = given.GetInt("ftakka.node.divergence-reports", 16),
            DivergenceLogBytes = given.GetByteSize("ftakka.node.divergence-log", 8 << 20) ?? 8 << 20,
            AkkaOverrides = akka,
        };
    }

    /// <summary>Folder of the control sockets of all nodes of this user.</summary>
    public static string SocketFolder =>
        Environment.GetEnvironmentVariable("FTAKKA_RUN_DIR") is { Length: > 0 } chosen ? chosen
        : Path.Combine(Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") is { Length: > 0 } run ? run : Path.GetTempPath(), "ftakka");

    /// <summary>Where a node of this name listens if its file says nothing else.</summary>
    public static string DefaultSocket(string name) => Path.Combine(SocketFolder, $"{name}.sock");

    private static ImmutableSortedDictionary<string, string> ReadPeers(Config given)
    {
        var peers = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        if (given.HasPath("ftakka.node.peers"))
        {
            foreach (KeyValuePair<string, HoconValue> peer in given.GetConfig("ftakka.node.peers").AsEnumerable())
            {
                peers[peer.Key] = peer.Value.GetString();
            }
        }
        return peers.ToImmutable();
    }

    private static ProtectionOptions ReadProtection(Config given, string file)
    {
        var defaults = new ProtectionOptions();
        TimeSpan Time(string key, TimeSpan otherwise) => given.GetTimeSpan($"ftakka.ft.{key}", otherwise);
        ProtectionOptions read = defaults with
        {
            HeartbeatInterval = Time("heartbeat-interval", defaults.HeartbeatInterval),
            FailureTimeout = Time("failure-timeout", defaults.FailureTimeout),
            ChannelTimeout = Time("channel-timeout", defaults.ChannelTimeout),
            LeaseDuration = Time("lease", defaults.LeaseDuration),
            PauseGuard = Time("pause-guard", defaults.PauseGuard),
            LogEntriesMax = given.GetInt("ftakka.ft.log-entries", defaults.LogEntriesMax),
            LogBytesMax = given.GetLong("ftakka.ft.log-bytes", defaults.LogBytesMax),
        };
        return read.Validate() is { } wrong ? throw new CommandFailedException($"{file}: ftakka.ft: {wrong}.") : read;
    }

    /// <summary>This node's own images; and those that all nodes reach, by default below the folder that all nodes mount.</summary>
    private static ImmutableArray<string> ReadAllowedPaths(Config given, string folder, string name)
    {
        const string Key = "ftakka.node.allowed-paths";
        IEnumerable<string> shared = given.HasPath(Key) ? given.GetStringList(Key) : [Path.Combine(given.GetString("ftakka.node.shared-directory"), "images")];
        return [.. shared.Prepend(given.GetString("ftakka.node.disk-directory", Path.Combine("disks", name))).Select(path => Path.GetFullPath(Path.Combine(folder, path)))];
    }

    /// <summary>Without the setting all that this process may have: of the host, or of its cgroup.</summary>
    private static ulong ReadMemory(Config given, string file)
    {
        const string Key = "ftakka.node.memory";
        if (!given.HasPath(Key))
        {
            return (ulong)GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        }
        return given.GetByteSize(Key) is { } bytes and > 0 ? (ulong)bytes : throw new CommandFailedException($"{file}: {Key} is '{given.GetString(Key)}': a size is meant, such as 16g.");
    }

    private static TimeSpan ReadProofInterval(Config given, string file)
    {
        TimeSpan read = given.GetTimeSpan("ftakka.ft.proof-interval", TimeSpan.FromSeconds(2));
        return read >= ProofIntervalMin && read <= ProofIntervalMax ? read
            : throw new CommandFailedException($"{file}: ftakka.ft.proof-interval is {read.TotalSeconds} s: from {ProofIntervalMin.TotalSeconds} s to {ProofIntervalMax.TotalSeconds} s are allowed.");
    }

    private static ulong ReadDigestInterval(Config given, string file)
    {
        long read = given.GetLong("ftakka.ft.digest-interval", (long)ReplicaDefinition.DefaultDigestInterval);
        return read >= DigestIntervalMin ? (ulong)read
            : throw new CommandFailedException($"{file}: ftakka.ft.digest-interval: {read} instructions are too few, at least {DigestIntervalMin}.");
    }

    /// <summary><c>off</c>, <c>any</c>, or a list of nodes.</summary>
    private static AutoProtectOptions ReadAutoProtect(Config given, string file)
    {
        const string Key = "ftakka.ft.auto-protect";
        var defaults = new AutoProtectOptions();
        AutoProtectOptions read = defaults with
        {
            Delay = given.GetTimeSpan("ftakka.ft.auto-protect-delay", defaults.Delay),
            DelayMax = given.GetTimeSpan("ftakka.ft.auto-protect-delay-max", defaults.DelayMax),
        };
        if (!given.HasPath(Key))
        {
            return read;
        }
        HoconValue value = given.GetValue(Key);
        if (value.IsArray())
        {
            return read with { Enabled = true, Nodes = [.. value.GetStringList()] };
        }
        return value.GetString() is "any" or "off"
            ? read with { Enabled = value.GetString() == "any" }
            : throw new CommandFailedException($"{file}: {Key} is '{value.GetString()}': off, any, or a list of nodes is meant.");
    }

    /// <summary>Which node owns which address: a node that shows up at another one's is refused.</summary>
    private static Config Owners(Config given, string name, ImmutableSortedDictionary<string, string> peers)
    {
        string host = given.GetString($"{Tcp}.public-hostname") is { Length: > 0 } known ? known : given.GetString($"{Tcp}.hostname", "127.0.0.1");
        int port = given.GetInt($"{Tcp}.public-port") is > 0 and int outside ? outside : given.GetInt($"{Tcp}.port", 4053);
        IEnumerable<string> owned = peers.Append(KeyValuePair.Create(name, string.Create(CultureInfo.InvariantCulture, $"{host}:{port}")))
            .Select(node => $"\"{node.Key}\" = \"{node.Value}\"");
        return ConfigurationFactory.ParseString($"{Tcp}.nodes {{\n{string.Join('\n', owned)}\n}}");
    }

    private static Config Secured(Config overrides, Config given, string file, string folder, bool insecure)
    {
        const string Ssl = $"{Tcp}.enable-ssl";
        if (insecure)
        {
            return ConfigurationFactory.ParseString($"{Ssl} = off").WithFallback(overrides);
        }
        if (!overrides.GetBoolean(Ssl, true))
        {
            throw new CommandFailedException($"{file} switches TLS off. Ask for plain TCP by --insecure-tcp, or remove enable-ssl = off.");
        }
        string path = Path.Combine(folder, given.GetString(CertificatePath) ?? "");
        return File.Exists(path)
            ? ConfigurationFactory.ParseString($"{CertificatePath} = \"{path}\"").WithFallback(overrides)
            : throw new CommandFailedException($"{file}: the node has no certificate ({CertificatePath}). Let 'ftakka cluster init' make one, or ask for plain TCP by --insecure-tcp.");
    }

    /// <summary>Looked at before anything starts: no peer would talk to a node whose certificate has expired.</summary>
    private static CertificateFile ReadCertificate(Config akka, string file)
    {
        string path = akka.GetString(CertificatePath);
        try
        {
            var certificate = new CertificateFile(path, akka.GetString($"{Tcp}.ssl.certificate.password", ""), akka.GetString($"{Tcp}.ssl.certificate.key-path", ""));
            return certificate.Expired(DateTimeOffset.UtcNow) is { } expired ? throw new CommandFailedException($"{file}: {expired}.") : certificate;
        }
        catch (Exception unusable) when (unusable is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException($"{file}: the node's certificate {path} cannot be used: {unusable.Message}", unusable);
        }
    }
}
