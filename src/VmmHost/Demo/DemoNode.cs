using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Demo;

/// <summary>A node of the demo's cluster: a process of its own, running <c>ftakka host</c>.</summary>
internal sealed class DemoNode : IDisposable
{
    private readonly Process process;

    private DemoNode(string name, string socket, string log, Process process) => (Name, Socket, Log, this.process) = (name, socket, log, process);

    /// <summary>Its name.</summary>
    public string Name { get; }

    /// <summary>Its control socket.</summary>
    public string Socket { get; }

    /// <summary>File with its log.</summary>
    public string Log { get; }

    /// <summary>Processor time that it has used, all threads together.</summary>
    public TimeSpan CpuTime
    {
        get
        {
            process.Refresh();
            return process.TotalProcessorTime;
        }
    }

    /// <summary>Where a node of this name can be started on this host: at a port that is free now.</summary>
    public static ClusterNode OnThisHost(string name)
    {
        using var probe = new System.Net.Sockets.Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        probe.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return new ClusterNode(name, "127.0.0.1", ((IPEndPoint)probe.LocalEndPoint!).Port);
    }

    /// <summary>Starts a node and waits until it can be controlled.</summary>
    /// <exception cref="CommandFailedException">It ended, or did not come up.</exception>
    public static async Task<DemoNode> StartAsync(ClusterFiles files, ClusterNode node, CancellationToken cancelled)
    {
        string socket = Path.Combine(files.Folder, $"{node.Name}.sock");
        string log = Path.Combine(files.Folder, $"{node.Name}.log");
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardError = true, RedirectStandardInput = true };
        foreach (string word in new[] { "host", "--name", node.Name, "--config", files.ConfigOf(node) })
        {
            start.ArgumentList.Add(word);
        }
        Process process = Process.Start(start) ?? throw new CommandFailedException($"The node {node.Name} cannot be started.");
        process.StandardInput.Close();
        var started = new DemoNode(node.Name, socket, log, process);
        _ = started.KeepLogAsync();
        var patience = Stopwatch.StartNew();
        while (!File.Exists(socket))
        {
            if (process.HasExited || patience.Elapsed > TimeSpan.FromSeconds(30))
            {
                started.Dispose();
                throw new CommandFailedException($"The node {node.Name} did not come up; its log is {log}.");
            }
            await Task.Delay(20, cancelled).ConfigureAwait(false);
        }
        return started;
    }

    /// <summary>Ends the process as a host dies: SIGKILL.</summary>
    public void Kill()
    {
        process.Kill();
        process.WaitForExit();
    }

    /// <summary>Ends the process if it runs.</summary>
    public void Dispose()
    {
        if (!process.HasExited)
        {
            Kill();
        }
        process.Dispose();
    }

    private async Task KeepLogAsync()
    {
        await using var file = new StreamWriter(Log) { AutoFlush = true };
        while (await process.StandardError.ReadLineAsync().ConfigureAwait(false) is { } line)
        {
            await file.WriteLineAsync(line).ConfigureAwait(false);
        }
    }
}
