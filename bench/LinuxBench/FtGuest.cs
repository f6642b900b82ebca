using System.Diagnostics;
using System.Globalization;
using System.Text;
using FtAkka.GuestKit;

namespace FtAkka.LinuxBench;

/// <summary>A Debian guest on a node of this host, that runs workloads when they are typed on its console.</summary>
internal sealed class FtGuest
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
    private readonly IFtNode node;
    private readonly IFtConsole console;
    private readonly Stopwatch clock;
    private readonly CancellationToken ended;
    private readonly Lock sync = new();
    private readonly StringBuilder line = new();
    private ConsoleTimings timings = new();
    private List<(string Name, TimeSpan At)> marks = [];
    private int done;

    private FtGuest(string vm, IFtNode node, Stopwatch clock, CancellationToken ended)
    {
        (this.vm, this.node, this.clock, this.ended) = (vm, node, clock, ended);
        console = node.ConsoleOf(vm);
    }

    /// <summary>Boots the guest on a node, in files of <paramref name="folder"/>, and waits for its shell.</summary>
    public static async Task<FtGuest> BootAsync(string vm, IFtNode node, string folder, int memoryMiB, Stopwatch clock, CancellationToken ended)
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
        var guest = new FtGuest(vm, node, clock, ended);
        await node.StartVmAsync(file, ended).ConfigureAwait(false);
        _ = guest.console.FollowAsync(guest.Take, Patience, ended);
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
        return console.TypeAsync(Encoding.ASCII.GetBytes(words + "\n"), ended);
    }

    /// <summary>Waits until the line that was typed is done.</summary>
    public Task DoneAsync() => UntilAsync("the workloads to end", () => Task.FromResult(Volatile.Read(ref done) > 0));

    /// <summary>The state of its replica on the node.</summary>
    /// <exception cref="GuestKitException">It is not live there.</exception>
    public async Task<FtGuestStatus> StatusAsync() =>
        await node.StatusAsync(vm, ended).ConfigureAwait(false) ?? throw new GuestKitException("The guest is not live on its node any more.");

    /// <summary>Has it copied to another node.</summary>
    public Task ProtectAsync(string backup) => node.ProtectAsync(vm, backup, ended);

    /// <summary>Takes its backup away.</summary>
    public Task UnprotectAsync() => node.UnprotectAsync(vm, ended);

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
