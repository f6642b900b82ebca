using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Akka.Actor;
using FtAkka.LogChannelActors;
using FtAkka.Nodes;
using FtAkka.Nodes.Arbiters;
using FtAkka.TinyGuests;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>Nodes of one cluster in this process, each an actor system of its own on real TCP with TLS, and the tiny guest to run on them.</summary>
internal sealed class Cluster : IAsyncDisposable
{
    public const string Vm = "tiny";

    /// <summary>The one file of the cluster's folder that nodes open for each other, for a disk that they share.</summary>
    public const string DiskName = "disk.raw";

    /// <summary>Longer than anything takes on a host that is several times slower and stops for seconds.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>Longer than a busy host keeps a node waiting: a node that is suspected without need changes what a test sees.</summary>
    private const int FailureTimeoutMs = 4000;

    private readonly Dictionary<string, Node> nodes = new(StringComparer.Ordinal);

    private sealed record Node(ActorSystem System, IActorRef Actor);

    public Cluster(string[] names, string extra = "")
    {
        Folder = Directory.CreateTempSubdirectory("ftakka-failover-").FullName;
        // Disks of tests are one file; what else stands in their folder is not the nodes'.
        string allowed = $"ftakka.node.allowed-paths = [ \"{Path(DiskName)}\" ]\n";
        string timing = string.Create(CultureInfo.InvariantCulture,
            $"ftakka.ft {{ failure-timeout = {FailureTimeoutMs}ms, lease = {FailureTimeoutMs * 4 / 5}ms, pause-guard = {FailureTimeoutMs / 2}ms, channel-timeout = 20s, hand-over-timeout = 60s }}\nakka.loglevel = WARNING\n") + extra + "\n";
        Files = ClusterFiles.Create(System.IO.Path.Combine(Folder, "cluster"), [.. names.Select(name => new ClusterNode(name, "127.0.0.1", FreePort.Next()))], allowed + timing);
        File.WriteAllBytes(Path("kernel"), TinyGuest.Kernel);
    }

    public string Folder { get; }

    public ClusterFiles Files { get; }

    public FileArbiter Arbiter => new(System.IO.Path.Combine(Files.Folder, "shared"));

    public string Path(string name) => System.IO.Path.Combine(Folder, name);

    /// <summary>A node's copy of a disk that is not shared.</summary>
    public string OwnDisk(string node, string name) => System.IO.Path.Combine(Files.Folder, "disks", node, name);

    /// <summary>Makes such a copy, of zeroes.</summary>
    public string MakeOwnDisk(string node, string name, long bytes)
    {
        string path = OwnDisk(node, name);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!);
        using FileStream image = File.Create(path);
        image.SetLength(bytes);
        return path;
    }

    /// <summary>Starts the tiny guest.</summary>
    public Task StartVmAsync(string node, string commandLine, string? disk = null, bool takeOver = false, string settings = "") =>
        DoAsync(node, VmStart.Read(WriteVm(commandLine, disk, settings), null, takeOver, System.IO.Path.GetDirectoryName(OwnDisk(node, "x"))!));

    /// <summary>Starts a node, whose options a test may change.</summary>
    public void Start(string name, Func<NodeOptions, NodeOptions>? change = null)
    {
        NodeSettings settings = SettingsOf(name);
        NodeOptions options = settings.ToOptions();
        var system = ActorSystem.Create(NodeOptions.SystemName, settings.Akka);
        nodes[name] = new Node(system, system.ActorOf(NodeActor.Props(change?.Invoke(options) ?? options), NodeActor.Name));
    }

    /// <summary>Starts a member that has no node, and offers copies.</summary>
    public void StartOffering(string name)
    {
        var system = ActorSystem.Create(NodeOptions.SystemName, SettingsOf(name).Akka);
        nodes[name] = new Node(system, system.ActorOf(Props.Create<OfferingNode>(), NodeActor.Name));
    }

    /// <summary>A node's actor, as a message of another node reaches it.</summary>
    public IActorRef NodeSeenFrom(string from, string node)
    {
        ActorSystem system = SystemOf(from);
        return ((ExtendedActorSystem)system).Provider.ResolveActorRef(NodeActor.PathOf(system, SettingsOf(from).Peers[node]));
    }

    /// <summary>The replica of the VM on a node, as a message of another node reaches it.</summary>
    public IActorRef ReplicaSeenFrom(string from, string node)
    {
        ActorSystem system = SystemOf(from);
        return ((ExtendedActorSystem)system).Provider.ResolveActorRef(ReplicaEndpoint.PathOf(NodeActor.PathOf(system, SettingsOf(from).Peers[node]).Root, Vm));
    }

    public ActorSystem SystemOf(string name) => nodes[name].System;

    public IActorRef ActorOf(string name) => nodes[name].Actor;

    public NodeSettings SettingsOf(string name) => NodeSettings.Read(Files.ConfigOf(Files.Nodes.First(node => node.Name == name)), name, insecure: false);

    /// <summary>The node falls silent at once: its actors are stopped in the middle of what they do, and nothing is said to anybody.</summary>
    public void Kill(string name) => nodes[name].System.Stop(nodes[name].Actor);

    public string WriteVm(string commandLine, string? disk = null, string settings = "")
    {
        string file = Path("tiny.hocon");
        File.WriteAllText(file, $"name = {Vm}\nmemory = 16M\nkernel = \"{Path("kernel")}\"\nappend = \"{commandLine}\"\nrng-seed = 1\n"
            + (disk is null ? "" : $"disks = [ \"{disk}\" ]\n") + settings);
        return file;
    }

    public async Task<object> AskAsync(string node, object message)
    {
        using var patience = new CancellationTokenSource(Patience);
        return await nodes[node].Actor.Ask<object>(message, patience.Token);
    }

    public async Task DoAsync(string node, object message)
    {
        object answer = await AskAsync(node, message);
        Assert.True(answer is NodeProtocol.Done, answer.ToString());
    }

    public async Task<ReplicaStatusLine?> StatusAsync(string node)
    {
        var replicas = (NodeProtocol.Replicas)await AskAsync(node, new NodeProtocol.List());
        return replicas.Lines.Where(line => line.Vm == Vm).Select(ReplicaStatusLine.Of).FirstOrDefault();
    }

    public async Task<ReplicaStatusLine> UntilAsync(string node, Func<ReplicaStatusLine, bool> reached, string what)
    {
        DateTime end = DateTime.UtcNow + Patience;
        ReplicaStatusLine? last = null;
        while (DateTime.UtcNow < end)
        {
            last = await StatusAsync(node);
            if (last is not null && reached(last))
            {
                return last;
            }
            await Task.Delay(10);
        }
        throw new TimeoutException($"{node} did not become {what}: {last}");
    }

    public async Task ProtectAsync(string primary, string backup)
    {
        await DoAsync(primary, new NodeProtocol.Protect(Vm, backup));
        await UntilAsync(primary, line => line.Protected, "protected");
        await UntilAsync(backup, line => line.Role == "backup", "a backup");
    }

    public async Task<VmConsole> ConsoleAsync(string node)
    {
        DateTime end = DateTime.UtcNow + Patience;
        while (true)
        {
            object answer = await AskAsync(node, new NodeProtocol.Attach(Vm));
            if (answer is NodeProtocol.Attached attached)
            {
                return attached.Console;
            }
            Assert.True(DateTime.UtcNow < end, answer.ToString());
            await Task.Delay(5);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(nodes.Values.Select(node => node.System.Terminate()));
        Directory.Delete(Folder, recursive: true);
    }
}

/// <summary>A console client that knows only the position it has reached.</summary>
internal sealed class ConsoleReader
{
    private readonly StringBuilder text = new();
    private ulong position;

    public string Text => text.ToString();

    /// <summary>Reads until the text is as wanted. Bytes that are missing fail the test; the position leaves none twice.</summary>
    public async Task ReadAsync(VmConsole console, Func<string, bool> enough)
    {
        using var patience = new CancellationTokenSource(Cluster.Patience);
        while (!enough(Text))
        {
            (ulong offset, ImmutableArray<byte> bytes) = await console.ReadAsync(position, patience.Token);
            Assert.Equal(position, offset);
            text.Append(Encoding.ASCII.GetString(bytes.AsSpan()));
            position += (ulong)bytes.Length;
        }
    }
}
