using FtAkka.LinuxBench;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Demo;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Bench;

/// <summary>A node for <see cref="FtBenchmark"/>: a process of this program, asked through its control socket.</summary>
internal sealed class BenchNode(DemoNode node) : IFtNode
{
    /// <inheritdoc/>
    public string Name => node.Name;

    /// <inheritdoc/>
    public TimeSpan CpuTime => node.CpuTime;

    /// <summary>Two nodes with mutual TLS, A and B.</summary>
    /// <exception cref="CommandFailedException">One of them did not come up.</exception>
    public static async Task<(IFtNode Primary, IFtNode Backup)> StartPairAsync(string folder, string settings, CancellationToken cancelled)
    {
        // The guests' images are beside the cluster's files.
        string allowed = $"\nftakka.node.allowed-paths = [ \"{Path.GetDirectoryName(Path.GetFullPath(folder))}\" ]\n";
        ClusterFiles files = ClusterFiles.Create(folder, [DemoNode.OnThisHost("A"), DemoNode.OnThisHost("B")], settings + allowed);
        foreach (ClusterNode node in files.Nodes)
        {
            await File.AppendAllTextAsync(files.ConfigOf(node), $"ftakka.node.control-socket = \"{node.Name}.sock\"\n", cancelled).ConfigureAwait(false);
        }
        DemoNode[] nodes = await Task.WhenAll(files.Nodes.Select(node => DemoNode.StartAsync(files, node, cancelled))).ConfigureAwait(false);
        return (new BenchNode(nodes[0]), new BenchNode(nodes[1]));
    }

    /// <inheritdoc/>
    public Task StartVmAsync(string file, CancellationToken cancelled) => AskAsync(new ControlRequest("start", File: file), cancelled);

    /// <inheritdoc/>
    public Task ProtectAsync(string vm, string backup, CancellationToken cancelled) => AskAsync(new ControlRequest("protect", vm, Node: backup), cancelled);

    /// <inheritdoc/>
    public Task UnprotectAsync(string vm, CancellationToken cancelled) => AskAsync(new ControlRequest("unprotect", vm), cancelled);

    /// <inheritdoc/>
    public async Task<FtGuestStatus?> StatusAsync(string vm, CancellationToken cancelled) =>
        (await AskAsync(new ControlRequest("list"), cancelled).ConfigureAwait(false)).Replicas?.FirstOrDefault(replica => replica.Vm == vm) is { } found && ControlClient.IsLive(found)
            ? new FtGuestStatus
            {
                IsSolo = found.Role == "solo",
                IsProtected = found.Protected,
                LagMs = found.LagMs,
                LogBytesSent = found.LogBytesSent,
                OutputDelayMedianMs = found.OutputDelayMedianMs,
                OutputDelayP99Ms = found.OutputDelayP99Ms,
                OutputsDelayed = found.OutputsDelayed,
                CopyPauseMs = found.CopyPauseMs,
                CopyState = found.CopyState,
            }
            : null;

    /// <inheritdoc/>
    public IFtConsole ConsoleOf(string vm) => new FollowedConsole(new ConsoleFollower(() => [node.Socket], vm));

    /// <inheritdoc/>
    public void Dispose() => node.Dispose();

    private Task<ControlAnswer> AskAsync(ControlRequest request, CancellationToken cancelled) => ControlClient.AskAsync(node.Socket, request, cancelled);

    private sealed class FollowedConsole(ConsoleFollower follower) : IFtConsole
    {
        public Task FollowAsync(Action<byte[]> taken, TimeSpan patience, CancellationToken cancelled) => follower.FollowAsync(taken, patience, cancelled);

        public Task TypeAsync(byte[] bytes, CancellationToken cancelled) => follower.TypeAsync(bytes, cancelled);
    }
}
