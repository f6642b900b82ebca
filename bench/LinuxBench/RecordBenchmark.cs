using FtAkka.GuestKit;
using FtAkka.Machine.Events;
using FtAkka.Recordings;
using FtAkka.Replication.Log;

namespace FtAkka.LinuxBench;

/// <summary>One line: the boot, or a workload.</summary>
/// <param name="Name">Its name.</param>
/// <param name="RunCpuSeconds">Processor time of <c>ftakka run</c>, all threads; the median of the rounds.</param>
/// <param name="RecordCpuSeconds">The same of <c>ftakka record</c>.</param>
/// <param name="QemuCpuSeconds">The same of QEMU with <c>rr=record</c>; null without QEMU.</param>
/// <param name="Overhead">Recording to not recording; the median of the rounds' ratios.</param>
/// <param name="Log">What it brings into the log.</param>
public sealed record RecordBenchmarkRow(string Name, double RunCpuSeconds, double RecordCpuSeconds, double? QemuCpuSeconds, double Overhead, WorkloadLog Log)
{
    /// <summary>How many times as much QEMU takes to record.</summary>
    public double? QemuToFtAkka => QemuCpuSeconds is { } seconds ? Math.Round(seconds / Math.Max(RecordCpuSeconds, LinuxBenchmark.ClockTickSeconds), 2) : null;
}

/// <summary>The benchmark's result.</summary>
/// <param name="Rows">Boot, then the workloads; medians of the rounds.</param>
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
    private const int IdleSeconds = 20;

    /// <summary>The end of the idle recording that is looked at: well behind the boot.</summary>
    private const int IdleMeasuredSeconds = 15;

    private readonly WorkloadGuest guest;
    private readonly IReadOnlyList<LinuxWorkload> workloads;
    private readonly Action<string> progress;

    private RecordBenchmark(IReadOnlyList<string> ownProgram, IReadOnlyList<LinuxWorkload> workloads, Action<string> progress)
    {
        guest = new WorkloadGuest(ownProgram, workloads, progress);
        this.workloads = workloads;
        this.progress = progress;
    }

    /// <summary>Runs it, and fetches the guest before if need be.</summary>
    /// <param name="ownProgram">The words that start this program as another process.</param>
    /// <param name="workloads">Workloads to run.</param>
    /// <param name="rounds">How often each monitor runs all; the monitors take turns.</param>
    /// <param name="withQemu">Whether to record under QEMU beside.</param>
    /// <param name="progress">Told what is going on.</param>
    /// <exception cref="GuestKitException">No guest can be had, or a monitor or a workload failed.</exception>
    /// <exception cref="RecordingException">A recording cannot be read.</exception>
    public static RecordBenchmarkResult Run(
        IReadOnlyList<string> ownProgram, IReadOnlyList<LinuxWorkload> workloads, int rounds, bool withQemu, Action<string> progress)
    {
        var benchmark = new RecordBenchmark(ownProgram, workloads, progress);
        benchmark.guest.EnsureFetched();
        return benchmark.Run(rounds, withQemu && HostProgram.Find(QemuGuest.Program) is not null);
    }

    private RecordBenchmarkResult Run(int rounds, bool withQemu)
    {
        using var folder = new TemporaryFolder(Path.GetTempPath());
        List<ConsoleTimings> run = [], record = [], qemu = [];
        string recording = "", qemuLog = Path.Combine(folder.Path, "qemu.rr");
        TimeSpan recordTime = TimeSpan.Zero;
        for (int round = 1; round <= rounds; round++)
        {
            string last = recording = Path.Combine(folder.Path, $"recording{round}");
            run.Add(guest.Measure($"run, round {round}", disk => guest.OwnCommand(disk, "run")));
            long started = System.Diagnostics.Stopwatch.GetTimestamp();
            record.Add(guest.Measure($"record, round {round}", disk => guest.OwnCommand(disk, "record", "-o", last)));
            recordTime = System.Diagnostics.Stopwatch.GetElapsedTime(started);
            if (withQemu)
            {
                qemu.Add(guest.Measure($"QEMU record, round {round}", disk => guest.QemuCommand(QemuMode.Record, disk, qemuLog)));
            }
        }
        RecordingReader reader = RecordingReader.Open(recording);
        var stretches = new WorkloadStretches();
        ReplayOutcome replay = Replay(reader, stretches);
        progress("idle guest");
        double idle = IdleRate(Path.Combine(folder.Path, "idle"));
        IReadOnlyList<RecordBenchmarkRow> rows = Rows(workloads, run, record, qemu, stretches.MeasureLog(reader));
        long logBytes = new FileInfo(reader.LogPath).Length;
        return new RecordBenchmarkResult(
            rows, LinuxBenchmark.GeometricMean(rows.Select(row => (double?)row.Overhead)), LinuxBenchmark.GeometricMean(rows.Select(row => row.QemuToFtAkka)),
            replay.Instructions, Math.Round(replay.GuestTime.TotalSeconds, 3), logBytes, reader.Keyframes.Sum(keyframe => new FileInfo(keyframe.Path).Length),
            Math.Round(logBytes * 8 / 1e6 / replay.GuestTime.TotalSeconds, 4), withQemu ? new FileInfo(qemuLog).Length : null,
            Math.Round(recordTime.TotalSeconds, 2), Math.Round(replay.Elapsed.TotalSeconds, 2), Math.Round(idle, 5), guest.Describe());
    }

    /// <summary>Puts together what was measured.</summary>
    internal static IReadOnlyList<RecordBenchmarkRow> Rows(
        IReadOnlyList<LinuxWorkload> workloads, IReadOnlyList<ConsoleTimings> run, IReadOnlyList<ConsoleTimings> record, IReadOnlyList<ConsoleTimings> qemu,
        IReadOnlyDictionary<string, WorkloadLog> logs) =>
    [
        .. workloads.Select(workload => workload.Name).Prepend(ConsoleTimings.Boot).Select(name => new RecordBenchmarkRow(
            name, Median(run.Select(Seconds(name))), Median(record.Select(Seconds(name))), qemu.Count == 0 ? null : Median(qemu.Select(Seconds(name))),
            Median(run.Zip(record, (without, with) => Seconds(name)(with) / Math.Max(Seconds(name)(without), LinuxBenchmark.ClockTickSeconds))),
            logs.GetValueOrDefault(name, new WorkloadLog(0, 0)))),
    ];

    private static Func<ConsoleTimings, double> Seconds(string name) => round => round.Timings[name].Cpu.TotalSeconds;

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return Math.Round((sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2, 3);
    }

    private ReplayOutcome Replay(RecordingReader recording, WorkloadStretches stretches)
    {
        progress("replay");
        using var replay = new ReplayRun(recording, new ReplayOptions()) { Output = stretches.Take };
        ReplayOutcome outcome = replay.Run(CancellationToken.None);
        return outcome.Failure is { } failure ? throw new GuestKitException(failure) : outcome;
    }

    /// <summary>Mbit per second of guest time at the end of a recording of a guest that sleeps.</summary>
    private double IdleRate(string recording)
    {
        IReadOnlyList<string> command = guest.OwnCommand(["record", "-o", recording], $"ftakka.run=\"sleep {IdleSeconds}\"");
        MonitorRun.Run(command[0], command.Skip(1), WorkloadGuest.Limit);
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
}
