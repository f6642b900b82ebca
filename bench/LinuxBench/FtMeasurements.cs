using System.Globalization;

namespace FtAkka.LinuxBench;

/// <summary>One workload, unprotected and protected.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Work">What it does.</param>
/// <param name="AloneSeconds">Time on the wall without a backup; the least of the rounds.</param>
/// <param name="ProtectedSeconds">The same with one.</param>
/// <param name="AloneCpuSeconds">Processor time of the primary's node without a backup; the least of the rounds.</param>
/// <param name="ProtectedCpuSeconds">The same with one.</param>
/// <param name="LogMbitPerSecond">Log sent while it ran; the mean of the rounds.</param>
public sealed record FtBenchmarkRow(
    string Name, string Work, double AloneSeconds, double ProtectedSeconds, double AloneCpuSeconds, double ProtectedCpuSeconds, double LogMbitPerSecond)
{
    /// <summary>Speed under protection, as a share of the unprotected one, by time on the wall.</summary>
    public double Ratio => Math.Round(AloneSeconds / Math.Max(ProtectedSeconds, 1e-3), 3);

    /// <summary>The same by the primary's processor time: what recording and sending cost, without waiting.</summary>
    public double CpuRatio => Math.Round(AloneCpuSeconds / Math.Max(ProtectedCpuSeconds, LinuxBenchmark.ClockTickSeconds), 3);
}

/// <summary>A copy of the running guest.</summary>
/// <param name="What">What the guest did meanwhile.</param>
/// <param name="PauseMs">How long it stood for the last part.</param>
/// <param name="TotalMs">From the request until the backup could take over.</param>
/// <param name="Rounds">The last pre-copy round, and pages sent in it.</param>
public sealed record FtBenchmarkCopy(string What, double PauseMs, double TotalMs, string Rounds);

/// <summary>The benchmark's result.</summary>
/// <param name="Rows">The workloads.</param>
/// <param name="Ratio">Geometric mean of their ratios by time on the wall.</param>
/// <param name="CpuRatio">The same by the primary's processor time.</param>
/// <param name="IdleLogMbitPerSecond">Log sent while the guest did nothing.</param>
/// <param name="OutputDelayMedianMs">How long half of the outputs waited for their acknowledgement at most.</param>
/// <param name="OutputDelayP99Ms">The same for 99 of 100.</param>
/// <param name="OutputsDelayed">Outputs that waited.</param>
/// <param name="LagMs">Execution lag while workloads ran: median, 95th and 99th percentile, greatest; sampled.</param>
/// <param name="Copies">Copies of the running guest.</param>
/// <param name="Machine">Host and guest.</param>
public sealed record FtBenchmarkResult(
    IReadOnlyList<FtBenchmarkRow> Rows, double? Ratio, double? CpuRatio, double IdleLogMbitPerSecond, double OutputDelayMedianMs, double OutputDelayP99Ms,
    long OutputsDelayed, IReadOnlyList<double> LagMs, IReadOnlyList<FtBenchmarkCopy> Copies, string Machine);

/// <summary>What the rounds measured, put together into a result. Knows nothing of nodes.</summary>
internal sealed class FtMeasurements
{
    private readonly List<ConsoleTimings> alone = [];
    private readonly List<(ConsoleTimings Timings, IReadOnlyDictionary<string, double> LogMbit)> withBackup = [];

    /// <summary>Samples of the lag while workloads ran, in milliseconds.</summary>
    public List<double> Lag { get; } = [];

    /// <summary>Log sent by an idle guest, in Mbit/s, of each round.</summary>
    public List<double> IdleLog { get; } = [];

    /// <summary>Copies.</summary>
    public List<FtBenchmarkCopy> Copies { get; } = [];

    /// <summary>Takes a run without a backup.</summary>
    public void Alone(ConsoleTimings timings) => alone.Add(timings);

    /// <summary>Takes a run with one.</summary>
    /// <param name="timings">What the console showed.</param>
    /// <param name="log">Log sent while each workload ran, in Mbit/s.</param>
    public void Protected(ConsoleTimings timings, IReadOnlyDictionary<string, double> log) => withBackup.Add((timings, log));

    /// <summary>The rows: of several rounds the least time counts, line by line.</summary>
    public IReadOnlyList<FtBenchmarkRow> Rows(IEnumerable<LinuxWorkload> workloads) =>
    [
        .. workloads.Select(workload => new FtBenchmarkRow(
            workload.Name, workload.Work,
            Least(alone.Select(run => run.Timings[workload.Name].Wall)), Least(withBackup.Select(run => run.Timings.Timings[workload.Name].Wall)),
            Least(alone.Select(run => run.Timings[workload.Name].Cpu)), Least(withBackup.Select(run => run.Timings.Timings[workload.Name].Cpu)),
            Math.Round(withBackup.Average(run => run.LogMbit.GetValueOrDefault(workload.Name)), 3))),
    ];

    /// <summary>The value that a share of the sorted samples does not exceed.</summary>
    public static double AtShare(IReadOnlyList<double> samples, double share) =>
        samples.Count == 0 ? 0 : Math.Round(samples.Order().ElementAt((int)Math.Max(0, Math.Ceiling(share * samples.Count) - 1)), 1);

    /// <summary>Bytes between two moments by samples of a counter that rises, as Mbit/s.</summary>
    public static double MbitBetween(IReadOnlyList<(TimeSpan At, long Bytes)> samples, TimeSpan from, TimeSpan to) =>
        to <= from ? 0 : (BytesAt(samples, to) - BytesAt(samples, from)) * 8 / 1e6 / (to - from).TotalSeconds;

    private static double BytesAt(IReadOnlyList<(TimeSpan At, long Bytes)> samples, TimeSpan moment)
    {
        for (int i = 1; i < samples.Count; i++)
        {
            if (samples[i].At >= moment)
            {
                (TimeSpan before, long low) = samples[i - 1];
                (TimeSpan after, long high) = samples[i];
                double share = after == before ? 1 : Math.Clamp((moment - before) / (after - before), 0, 1);
                return low + ((high - low) * share);
            }
        }
        return samples.Count == 0 ? 0 : samples[^1].Bytes;
    }

    private static double Least(IEnumerable<TimeSpan> times) => Math.Round(times.Min().TotalSeconds, 3);

    /// <summary>Host and load, for whoever reads the figures later.</summary>
    public static string Machine(string kernel, int memoryMiB) => string.Create(CultureInfo.InvariantCulture,
        $"Linux {kernel}, {memoryMiB} MiB, both nodes on this host with {Environment.ProcessorCount} processors, load average {(File.Exists("/proc/loadavg") ? File.ReadAllText("/proc/loadavg").Split(' ')[0] : "unknown")}, .NET {Environment.Version}");
}
