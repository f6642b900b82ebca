using System.Diagnostics;
using System.Globalization;
using System.Text;
using FtAkka.GuestKit;
using FtAkka.LinuxBench;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Demo;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Bench;

/// <summary>A Debian guest on a node of this host, that runs workloads when they are typed on its console.</summary>
internal sealed class BenchFtGuest
{
    /// <summary>Printed when the guest waits for workloads, and behind each line of them.</summary>
    private const string Ready = "FTB-READY", Done = "FTB-DONE";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(15);

    private static readonly string Script = string.Join('\n',
        "stty -echo",
        $"echo {Ready}",
        "while read -r words; do",
        "  [ \"$words\" = end ] && break",
        $"  ftbench -d {LinuxWorkloads.Disk} $words",
        $"  echo {Done}",
        "done");

    private readonly string vm;
    private readonly DemoNode node;
    private readonly ConsoleFollower follower;
    private readonly Stopwatch clock;
    private readonly CancellationToken ended;
    private readonly Lock sync = new();
    private readonly StringBuilder line = new();
    private ConsoleTimings timings = new();
    private List<(string Name, TimeSpan At)> marks = [];
    private int done;

    private BenchFtGuest(string vm, DemoNode node, Stopwatch clock, CancellationToken ended)
    {
        (this.vm, this.node, this.clock, this.ended) = (vm, node, clock, ended);
        follower = new ConsoleFollower(() => [node.Socket], vm);
    }

    /// <summary>Boots the guest on a node, in files of <paramref name="folder"/>, and waits for its shell.</summary>
    public static async Task<BenchFtGuest> BootAsync(string vm, DemoNode node, string folder, int memoryMiB, Stopwatch clock, CancellationToken ended)
    {
        string disk = Path.Combine(folder, $"{vm}.raw");
        using (FileStream image = File.Create(disk))
        {
            image.SetLength(LinuxWorkloads.DiskBytesMin);
        }
        string file = Path.Combine(folder, $"{vm}.hocon");
        await File.WriteAllTextAsync(file, $$"""
            name = {{vm}}
            memory = {{memoryMiB.ToString(CultureInfo.InvariantCulture)}}M
            kernel = "{{GuestFolder.Default.PreferredKernel}}"
            initrd = "{{GuestFolder.Default.Initramfs(LinuxWorkloads.Variant)}}"
            disks = [ "{{disk}}" ]
            append = "quiet mitigations=off ftakka.run64={{Convert.ToBase64String(Encoding.ASCII.GetBytes(Script))}}"
            """, ended).ConfigureAwait(false);
        var guest = new BenchFtGuest(vm, node, clock, ended);
        await guest.AskAsync(new ControlRequest("start", File: file)).ConfigureAwait(false);
        _ = guest.follower.FollowAsync(guest.Take, Patience, ended);
        await guest.DoneAsync().ConfigureAwait(false);
        return guest;
    }

    /// <summary>Runs workloads and waits for their end.</summary>
    /// <exception cref="GuestKitException">A workload failed.</exception>
    public async Task<(ConsoleTimings Timings, IReadOnlyList<(string Name, TimeSpan At)> Marks)> RunAsync(string workloads)
    {
        await TypeAsync(workloads).ConfigureAwait(false);
        await DoneAsync().ConfigureAwait(false);
        lock (sync)
        {
            return timings.Failures.Count == 0 ? (timings, marks) : throw new GuestKitException($"A workload failed: {timings.Failures[0]}");
        }
    }

    /// <summary>Types a line without waiting for its end.</summary>
    public Task TypeAsync(string words)
    {
        lock (sync)
        {
            (timings, marks) = (new ConsoleTimings(), []);
        }
        Volatile.Write(ref done, 0);
        return follower.TypeAsync(Encoding.ASCII.GetBytes(words + "\n"), ended);
    }

    /// <summary>Waits until the line that was typed is done.</summary>
    public Task DoneAsync() => UntilAsync("the workloads to end", () => Task.FromResult(Volatile.Read(ref done) > 0));

    /// <summary>The state of its replica on the node.</summary>
    /// <exception cref="GuestKitException">It is not live there.</exception>
    public async Task<ReplicaStatusLine> StatusAsync() =>
        (await AskAsync(new ControlRequest("list")).ConfigureAwait(false)).Replicas?.FirstOrDefault(replica => replica.Vm == vm) is { } found && ControlClient.IsLive(found)
            ? found
            : throw new GuestKitException("The guest is not live on its node any more.");

    /// <summary>Asks the node for something about the guest.</summary>
    public Task<ControlAnswer> AskAsync(ControlRequest request) => ControlClient.AskAsync(node.Socket, request, ended);

    /// <summary>Waits, with an end to patience.</summary>
    /// <exception cref="GuestKitException">It took too long.</exception>
    public async Task UntilAsync(string what, Func<Task<bool>> reached)
    {
        var waited = Stopwatch.StartNew();
        while (!await reached().ConfigureAwait(false))
        {
            if (waited.Elapsed > Patience)
            {
                throw new GuestKitException($"Waited {Patience.TotalMinutes} minutes in vain for {what}.");
            }
            await Task.Delay(5, ended).ConfigureAwait(false);
        }
    }

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
        timings.Line(text, now, node.CpuTime);
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
}
