using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Demo;
using FtAkka.VmmHost.GuestKit;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Bench;

/// <summary>
/// Two nodes with mutual TLS on this host, and a guest that runs workloads when they are typed on its console. One guest for all runs: the
/// translations it has at a run without backup are those it has with one.
/// </summary>
internal sealed class BenchFtPair : IDisposable
{
    private const string Vm = "bench";

    /// <summary>Printed when the guest waits for workloads, and behind each line of them.</summary>
    private const string Ready = "FTB-READY", Done = "FTB-DONE";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(15);
    private static readonly TimeSpan SampleInterval = TimeSpan.FromMilliseconds(50);

    /// <summary>Longer than the defaults: a host with all processors busy must not be taken for dead in the middle. Nothing but detection depends on them.</summary>
    private const string Timing =
        "ftakka.ft { heartbeat-interval = 100ms, failure-timeout = 4s, lease = 3s, pause-guard = 2s, channel-timeout = 20s }\n";

    private static readonly string Script = string.Join('\n',
        "stty -echo",
        $"echo {Ready}",
        "while read -r words; do",
        "  [ \"$words\" = end ] && break",
        $"  ftbench -d {LinuxWorkloads.Disk} $words",
        $"  echo {Done}",
        "done");

    private readonly DemoNode primary;
    private readonly DemoNode backup;
    private readonly ConsoleFollower follower;
    private readonly CancellationTokenSource ended;
    private readonly Stopwatch clock = Stopwatch.StartNew();
    private readonly Lock sync = new();
    private readonly StringBuilder line = new();
    private ConsoleTimings timings = new();
    private List<(string Name, TimeSpan At)> marks = [];
    private int done;

    private BenchFtPair(DemoNode primary, DemoNode backup, CancellationToken cancelled)
    {
        (this.primary, this.backup) = (primary, backup);
        ended = CancellationTokenSource.CreateLinkedTokenSource(cancelled);
        follower = new ConsoleFollower(() => [primary.Socket], Vm);
    }

    /// <summary>What the workloads of the last run took.</summary>
    /// <param name="Timings">On the wall, and of the primary's processor.</param>
    /// <param name="LogMbit">Log sent meanwhile, in Mbit/s.</param>
    /// <param name="Lag">Samples of the lag, in milliseconds.</param>
    internal sealed record WorkloadRun(ConsoleTimings Timings, IReadOnlyDictionary<string, double> LogMbit, IReadOnlyList<double> Lag);

    /// <summary>Starts nodes and guest, in files of <paramref name="folder"/>.</summary>
    public static async Task<BenchFtPair> StartAsync(string folder, int memoryMiB, CancellationToken cancelled)
    {
        ClusterFiles files = ClusterFiles.Create(Path.Combine(folder, "cluster"), [new ClusterNode("A", "127.0.0.1", FreePort()), new ClusterNode("B", "127.0.0.1", FreePort())], Timing);
        foreach (ClusterNode node in files.Nodes)
        {
            await File.AppendAllTextAsync(files.ConfigOf(node), $"ftakka.node.control-socket = \"{node.Name}.sock\"\n", cancelled).ConfigureAwait(false);
        }
        DemoNode[] nodes = await Task.WhenAll(files.Nodes.Select(node => DemoNode.StartAsync(files, node, cancelled))).ConfigureAwait(false);
        var pair = new BenchFtPair(nodes[0], nodes[1], cancelled);
        try
        {
            await pair.BootAsync(folder, memoryMiB).ConfigureAwait(false);
            return pair;
        }
        catch
        {
            pair.Dispose();
            throw;
        }
    }

    /// <summary>Runs workloads.</summary>
    public async Task<WorkloadRun> RunAsync(string workloads)
    {
        lock (sync)
        {
            (timings, marks) = (new ConsoleTimings(), []);
        }
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(ended.Token);
        Task<(List<(TimeSpan At, long Bytes)> Bytes, List<double> Lag)> sampling = SampleAsync(enough.Token);
        await TypeAsync(workloads).ConfigureAwait(false);
        await DoneAsync().ConfigureAwait(false);
        await enough.CancelAsync().ConfigureAwait(false);
        (List<(TimeSpan At, long Bytes)> bytes, List<double> lag) = await sampling.ConfigureAwait(false);
        lock (sync)
        {
            if (timings.Failures.Count > 0)
            {
                throw new GuestKitException($"A workload failed: {timings.Failures[0]}");
            }
            var log = new Dictionary<string, double>(StringComparer.Ordinal);
            for (int i = 1; i < marks.Count; i += 2)
            {
                log[marks[i].Name] = FtMeasurements.MbitBetween(bytes, marks[i - 1].At, marks[i].At);
            }
            return new WorkloadRun(timings, log, lag);
        }
    }

    /// <summary>Types a line without waiting for its end.</summary>
    public Task TypeAsync(string words)
    {
        done = 0;
        return follower.TypeAsync(Encoding.ASCII.GetBytes(words + "\n"), ended.Token);
    }

    /// <summary>Waits until the line that was typed is done.</summary>
    public Task DoneAsync() => UntilAsync("the workloads to end", () => Task.FromResult(Volatile.Read(ref done) > 0));

    /// <summary>Gives the guest a backup.</summary>
    public async Task<FtBenchmarkCopy> ProtectAsync(string what)
    {
        TimeSpan begin = default;
        ReplicaStatusLine status = await StatusAsync().ConfigureAwait(false);
        bool asked = false;
        await UntilAsync("the guest to be protected", async () =>
        {
            if (!asked || status.Role == "solo")
            {
                // The other node refuses until it has closed what it had; the time runs from the attempt that succeeds.
                begin = clock.Elapsed;
                asked = true;
                await AskAsync(new ControlRequest("protect", Vm, Node: backup.Name)).ConfigureAwait(false);
                await Task.Delay(20, ended.Token).ConfigureAwait(false);
            }
            status = await StatusAsync().ConfigureAwait(false);
            return status.Protected;
        }).ConfigureAwait(false);
        double total = Math.Round((clock.Elapsed - begin).TotalMilliseconds);
        return new FtBenchmarkCopy(what, status.CopyPauseMs ?? 0, total, status.CopyState ?? "");
    }

    /// <summary>Takes the backup away.</summary>
    public async Task UnprotectAsync()
    {
        await AskAsync(new ControlRequest("unprotect", Vm)).ConfigureAwait(false);
        await UntilAsync("the guest to be without backup", async () => (await StatusAsync().ConfigureAwait(false)).Role == "solo").ConfigureAwait(false);
    }

    /// <summary>Log sent while the guest does nothing, in Mbit/s.</summary>
    public async Task<double> IdleLogAsync(TimeSpan time)
    {
        long before = (await StatusAsync().ConfigureAwait(false)).LogBytesSent;
        TimeSpan begin = clock.Elapsed;
        await Task.Delay(time, ended.Token).ConfigureAwait(false);
        return ((await StatusAsync().ConfigureAwait(false)).LogBytesSent - before) * 8 / 1e6 / (clock.Elapsed - begin).TotalSeconds;
    }

    /// <summary>The primary's state.</summary>
    public async Task<ReplicaStatusLine> StatusAsync() =>
        (await AskAsync(new ControlRequest("list")).ConfigureAwait(false)).Replicas?.FirstOrDefault(replica => replica.Vm == Vm) is { } found && ControlClient.IsLive(found)
            ? found
            : throw new GuestKitException("The guest is not live on its node any more.");

    /// <inheritdoc/>
    public void Dispose()
    {
        ended.Cancel();
        primary.Dispose();
        backup.Dispose();
        ended.Dispose();
    }

    private async Task BootAsync(string folder, int memoryMiB)
    {
        string disk = Path.Combine(folder, "disk.raw");
        using (FileStream image = File.Create(disk))
        {
            image.SetLength(LinuxWorkloads.DiskBytesMin);
        }
        string file = Path.Combine(folder, $"{Vm}.hocon");
        await File.WriteAllTextAsync(file, $$"""
            name = {{Vm}}
            memory = {{memoryMiB.ToString(CultureInfo.InvariantCulture)}}M
            kernel = "{{GuestFolder.Default.PreferredKernel}}"
            initrd = "{{GuestFolder.Default.Initramfs(LinuxWorkloads.Variant)}}"
            disks = [ "{{disk}}" ]
            append = "quiet mitigations=off ftakka.run64={{Convert.ToBase64String(Encoding.ASCII.GetBytes(Script))}}"
            """, ended.Token).ConfigureAwait(false);
        await AskAsync(new ControlRequest("start", File: file)).ConfigureAwait(false);
        _ = follower.FollowAsync(Take, Patience, ended.Token);
        await DoneAsync().ConfigureAwait(false);
    }

    private Task<ControlAnswer> AskAsync(ControlRequest request) => ControlClient.AskAsync(primary.Socket, request, ended.Token);

    private void Take(byte[] bytes)
    {
        lock (sync)
        {
            foreach (byte value in bytes)
            {
                if (value == '\n')
                {
                    TakeLine(line.ToString().TrimEnd('\r'));
                    line.Clear();
                }
                else
                {
                    line.Append((char)value);
                }
            }
        }
    }

    private void TakeLine(string text)
    {
        TimeSpan now = clock.Elapsed;
        timings.Line(text, now, primary.CpuTime);
        foreach (string mark in new[] { LinuxWorkloads.StartMark, LinuxWorkloads.EndMark })
        {
            if (text.StartsWith(mark, StringComparison.Ordinal))
            {
                marks.Add((text[mark.Length..].Split(' ')[0], now));
            }
        }
        if (text is Ready or Done)
        {
            Volatile.Write(ref done, 1);
        }
    }

    private async Task<(List<(TimeSpan At, long Bytes)> Bytes, List<double> Lag)> SampleAsync(CancellationToken enough)
    {
        var bytes = new List<(TimeSpan At, long Bytes)>();
        var lag = new List<double>();
        while (!enough.IsCancellationRequested)
        {
            ReplicaStatusLine status = await StatusAsync().ConfigureAwait(false);
            bytes.Add((clock.Elapsed, status.LogBytesSent));
            if (status.Protected)
            {
                lag.Add(status.LagMs);
            }
            await Task.WhenAny(Task.Delay(SampleInterval, enough)).ConfigureAwait(false);
        }
        return (bytes, lag);
    }

    private async Task UntilAsync(string what, Func<Task<bool>> reached)
    {
        var waited = Stopwatch.StartNew();
        while (!await reached().ConfigureAwait(false))
        {
            if (waited.Elapsed > Patience)
            {
                throw new GuestKitException($"Waited {Patience.TotalMinutes} minutes in vain for {what}.");
            }
            await Task.Delay(5, ended.Token).ConfigureAwait(false);
        }
    }

    private static int FreePort()
    {
        using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        probe.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)probe.LocalEndPoint!).Port;
    }
}
