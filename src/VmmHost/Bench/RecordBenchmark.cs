using System.Globalization;
using System.Text.Json;
using FtAkka.Actors.Recordings;
using FtAkka.Machine.Events;
using FtAkka.Replication.Log;
using FtAkka.VmmHost.Doctor;
using FtAkka.VmmHost.GuestKit;

namespace FtAkka.VmmHost.Bench;

/// <summary>One line: the boot, or a workload.</summary>
/// <param name="Name">Its name.</param>
/// <param name="RunCpuSeconds">Processor time of <c>ftakka run</c>, all threads.</param>
/// <param name="RecordCpuSeconds">The same of <c>ftakka record</c>.</param>
/// <param name="QemuCpuSeconds">The same of QEMU with <c>rr=record</c>; null without QEMU.</param>
public sealed record RecordBenchmarkRow(string Name, double RunCpuSeconds, double RecordCpuSeconds, double? QemuCpuSeconds)
{
    /// <summary>Recording to not recording.</summary>
    public double Overhead => Math.Round(RecordCpuSeconds / Math.Max(RunCpuSeconds, LinuxBenchmark.ClockTickSeconds), 3);

    /// <summary>How many times as much QEMU takes to record.</summary>
    public double? QemuToFtAkka => QemuCpuSeconds is { } seconds ? Math.Round(seconds / Math.Max(RecordCpuSeconds, LinuxBenchmark.ClockTickSeconds), 2) : null;
}

/// <summary>The benchmark's result.</summary>
/// <param name="Rows">Boot, then the workloads; of several rounds the least processor time counts.</param>
/// <param name="Overhead">Geometric mean of recording to not recording.</param>
/// <param name="QemuToFtAkka">Geometric mean of QEMU's recording to ours.</param>
/// <param name="Instructions">Instructions recorded.</param>
/// <param name="GuestSeconds">Guest time recorded.</param>
/// <param name="LogBytes">Bytes of our log, disk reads included.</param>
/// <param name="SnapshotBytes">Bytes of our keyframes.</param>
/// <param name="LogMegabitPerSecond">Our log's rate in guest time.</param>
/// <param name="QemuLogBytes">Bytes of QEMU's log; disk reads are not in it.</param>
/// <param name="RecordSeconds">Time on the wall that the recording took.</param>
/// <param name="ReplaySeconds">Time on the wall that its replay took.</param>
/// <param name="IdleMegabitPerSecond">Our log's rate while a guest idles at its shell, in guest time.</param>
/// <param name="Machine">Host and load.</param>
public sealed record RecordBenchmarkResult(
    IReadOnlyList<RecordBenchmarkRow> Rows, double? Overhead, double? QemuToFtAkka, ulong Instructions, double GuestSeconds, long LogBytes,
    long SnapshotBytes, double LogMegabitPerSecond, long? QemuLogBytes, double RecordSeconds, double ReplaySeconds, double IdleMegabitPerSecond, string Machine);

/// <summary>
/// Lets the fetched Debian guest run workloads under <c>ftakka run</c>, <c>ftakka record</c> and QEMU with <c>rr=record</c>, one after the other, and
/// compares processor time, log sizes, and the replay's time with the recording's. Then records an idle guest.
/// </summary>
public sealed class RecordBenchmark
{
    private const int MemoryMiB = 512;
    private const int IdleSeconds = 20;

    /// <summary>The end of the idle recording that is looked at: well behind the boot.</summary>
    private const int IdleMeasuredSeconds = 15;

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(30);

    private readonly GuestFolder guest = GuestFolder.Default;
    private readonly IReadOnlyList<LinuxWorkload> workloads;
    private readonly Action<string> progress;

    private RecordBenchmark(IReadOnlyList<LinuxWorkload> workloads, Action<string> progress)
    {
        this.workloads = workloads;
        this.progress = progress;
    }

    /// <summary>Runs it, and fetches the guest before if need be.</summary>
    /// <exception cref="GuestKitException">No guest can be had, or a monitor or a workload failed.</exception>
    /// <exception cref="RecordingException">A recording cannot be read.</exception>
    public static RecordBenchmarkResult Run(IReadOnlyList<LinuxWorkload> workloads, int rounds, bool withQemu, Action<string> progress)
    {
        GuestFolder guest = GuestFolder.Default;
        if (guest.PreferredKernel is null || !File.Exists(guest.Initramfs(LinuxWorkloads.Variant)))
        {
            new GuestFetch(new GuestFetchOptions { Variant = LinuxWorkloads.Variant, Bench = true }, progress).Run();
        }
        return new RecordBenchmark(workloads, progress).Run(rounds, withQemu && HostProgram.Find(QemuGuest.Program) is not null);
    }

    private RecordBenchmarkResult Run(int rounds, bool withQemu)
    {
        using var folder = new TemporaryFolder(Path.GetTempPath());
        List<ConsoleTimings> run = [], record = [], qemu = [];
        string recording = "", qemuLog = Path.Combine(folder.Path, "qemu.rr");
        TimeSpan recordTime = TimeSpan.Zero;
        for (int round = 1; round <= rounds; round++)
        {
            recording = Path.Combine(folder.Path, $"recording{round}");
            run.Add(Measure($"run, round {round}", folder.Path, disk => (OwnProgram[0], [.. OwnProgram[1..], "run", .. OwnArguments(disk)])));
            long started = System.Diagnostics.Stopwatch.GetTimestamp();
            record.Add(Measure($"record, round {round}", folder.Path, disk => (OwnProgram[0], [.. OwnProgram[1..], "record", "-o", recording, .. OwnArguments(disk)])));
            recordTime = System.Diagnostics.Stopwatch.GetElapsedTime(started);
            if (withQemu)
            {
                qemu.Add(Measure($"QEMU record, round {round}", folder.Path, disk => (QemuGuest.Program, QemuGuest.Arguments(
                    QemuMode.Record, guest.PreferredKernel!, guest.Initramfs(LinuxWorkloads.Variant), LinuxWorkloads.KernelArgument(workloads), disk, MemoryMiB, qemuLog))));
            }
        }
        progress("replay");
        JsonElement replay = Replay(recording, folder.Path);
        progress("idle guest");
        double idle = IdleRate(Path.Combine(folder.Path, "idle"));
        IReadOnlyList<RecordBenchmarkRow> rows = Rows(workloads, run, record, qemu);
        long logBytes = new FileInfo(Path.Combine(recording, "log.ftlog")).Length;
        double guestSeconds = replay.GetProperty("guestSeconds").GetDouble();
        return new RecordBenchmarkResult(
            rows, LinuxBenchmark.GeometricMean(rows.Select(row => (double?)row.Overhead)), LinuxBenchmark.GeometricMean(rows.Select(row => row.QemuToFtAkka)),
            replay.GetProperty("instructions").GetUInt64(), guestSeconds, logBytes,
            Directory.GetFiles(recording, "*.ftsnap").Sum(file => new FileInfo(file).Length),
            Math.Round(logBytes * 8 / 1e6 / guestSeconds, 4), withQemu ? new FileInfo(qemuLog).Length : null,
            Math.Round(recordTime.TotalSeconds, 2), replay.GetProperty("wallSeconds").GetDouble(), Math.Round(idle, 5), Host());
    }

    /// <summary>Puts together what was measured.</summary>
    internal static IReadOnlyList<RecordBenchmarkRow> Rows(
        IReadOnlyList<LinuxWorkload> workloads, IReadOnlyList<ConsoleTimings> run, IReadOnlyList<ConsoleTimings> record, IReadOnlyList<ConsoleTimings> qemu) =>
    [
        .. workloads.Select(workload => workload.Name).Prepend(ConsoleTimings.Boot)
            .Select(name => new RecordBenchmarkRow(name, Least(name, run), Least(name, record), qemu.Count == 0 ? null : Least(name, qemu))),
    ];

    private static double Least(string name, IReadOnlyList<ConsoleTimings> rounds) =>
        Math.Round(rounds.Min(round => round.Timings[name].Cpu).TotalSeconds, 3);

    private ConsoleTimings Measure(string what, string folder, Func<string, (string Program, IReadOnlyList<string> Arguments)> command)
    {
        progress(what);
        string disk = Path.Combine(folder, "disk.img");
        using (FileStream image = File.Create(disk))
        {
            image.SetLength(LinuxWorkloads.DiskBytesMin);
        }
        (string program, IReadOnlyList<string> arguments) = command(disk);
        MonitorRun run = MonitorRun.Run(program, arguments, Limit);
        bool complete = run.ExitCode == 0 && run.Timings.Failures.Count == 0 && workloads.All(workload => run.Timings.Timings.ContainsKey(workload.Name));
        return complete
            ? run.Timings
            : throw new GuestKitException($"{what} did not finish; its console ended with:{Environment.NewLine}{string.Join(Environment.NewLine, run.ConsoleTail)}");
    }

    private static JsonElement Replay(string recording, string folder)
    {
        string stats = Path.Combine(folder, "replay.json");
        MonitorRun run = MonitorRun.Run(OwnProgram[0], [.. OwnProgram[1..], "replay", recording, "--stats", stats], Limit);
        if (run.ExitCode != 0)
        {
            throw new GuestKitException("The replay is not the recording, or failed; see above.");
        }
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(stats));
        return document.RootElement.Clone();
    }

    /// <summary>Mbit per second of guest time at the end of a recording of a guest that sleeps.</summary>
    private double IdleRate(string recording)
    {
        MonitorRun.Run(OwnProgram[0],
        [
            .. OwnProgram[1..], "record", "-o", recording, "--kernel", guest.PreferredKernel!, "--initrd", guest.Initramfs(LinuxWorkloads.Variant),
            "--memory", $"{MemoryMiB}M", "--append", $"{QemuGuest.KernelArguments} ftakka.run=\"sleep {IdleSeconds}\"",
        ], Limit);
        RecordingReader reader = RecordingReader.Open(recording);
        ulong hz = reader.Manifest.Machine.TscHz;
        ulong last = Clocks(reader).Max(clock => clock.Tsc);
        // The last second is the shutdown.
        (ulong from, ulong to) = (last - ((IdleMeasuredSeconds + 1UL) * hz), last - hz);
        (ulong Tsc, ulong Bytes)[] window = [.. Clocks(reader).Where(clock => clock.Tsc >= from && clock.Tsc < to)];
        return window.Length < 2 ? 0 : (window[^1].Bytes - window[0].Bytes) * 8 / 1e6 / ((window[^1].Tsc - window[0].Tsc) / (double)hz);
    }

    /// <summary>Each clock advance, and how many bytes of log there are up to it, the frames around them included.</summary>
    private static IEnumerable<(ulong Tsc, ulong Bytes)> Clocks(RecordingReader reader)
    {
        using LogFileReader log = reader.OpenLog();
        while (log.Read() is { } entry)
        {
            if (entry.Payload is InputPayload { Input: ClockAdvance clock })
            {
                yield return (clock.Tsc, (ulong)log.Position);
            }
        }
    }

    /// <summary>This program, as another process.</summary>
    private static string[] OwnProgram =>
        Environment.ProcessPath is { } path && Path.GetFileNameWithoutExtension(path) != "dotnet"
            ? [path]
            : ["dotnet", "exec", typeof(RecordBenchmark).Assembly.Location];

    private string[] OwnArguments(string disk) =>
    [
        "--kernel", guest.PreferredKernel!, "--initrd", guest.Initramfs(LinuxWorkloads.Variant), "--memory", $"{MemoryMiB}M", "--disk", disk,
        "--append", $"{QemuGuest.KernelArguments} {LinuxWorkloads.KernelArgument(workloads)}",
    ];

    private static string Host()
    {
        string load = File.Exists("/proc/loadavg") ? File.ReadAllText("/proc/loadavg").Split(' ')[0] : "unknown";
        return string.Create(CultureInfo.InvariantCulture, $"{CpuFeatures.Model()}, {Environment.ProcessorCount} processors, load average {load}, .NET {Environment.Version}");
    }
}
