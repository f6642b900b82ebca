using FtAkka.GuestKit;

namespace FtAkka.LinuxBench;

/// <summary>Cost of one line of the benchmark under one monitor.</summary>
/// <param name="CpuSeconds">Processor time of the monitor's process, all threads; the least of the rounds.</param>
/// <param name="WallSeconds">Time on the wall in the same round.</param>
public sealed record LinuxBenchmarkCost(double CpuSeconds, double WallSeconds);

/// <summary>One line: the boot, or a workload.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Work">What it does.</param>
/// <param name="FtAkka">Under FtAkka.</param>
/// <param name="Tcg">Under QEMU's translator, or null without QEMU.</param>
/// <param name="Icount">Under QEMU's translator with counted instructions, or null without QEMU.</param>
/// <param name="SameChecksum">Whether all computed the same.</param>
public sealed record LinuxBenchmarkRow(
    string Name, string Work, LinuxBenchmarkCost FtAkka, LinuxBenchmarkCost? Tcg, LinuxBenchmarkCost? Icount, bool SameChecksum)
{
    /// <summary>How many times as much QEMU takes.</summary>
    public double? TcgToFtAkka => Ratio(Tcg);

    /// <summary>How many times as much QEMU with counted instructions takes.</summary>
    public double? IcountToFtAkka => Ratio(Icount);

    private double? Ratio(LinuxBenchmarkCost? other) =>
        other is null ? null : Math.Round(other.CpuSeconds / Math.Max(FtAkka.CpuSeconds, LinuxBenchmark.ClockTickSeconds), 2);
}

/// <summary>The benchmark's result.</summary>
/// <param name="Rows">Boot, then the workloads.</param>
/// <param name="TcgGeometricMean">Geometric mean of the ratios to QEMU, boot included; null without QEMU.</param>
/// <param name="IcountGeometricMean">The same for QEMU with counted instructions.</param>
/// <param name="QemuMissing">Why there is no QEMU beside, or null.</param>
/// <param name="Machine">Host, kernel and versions.</param>
public sealed record LinuxBenchmarkResult(
    IReadOnlyList<LinuxBenchmarkRow> Rows, double? TcgGeometricMean, double? IcountGeometricMean, string? QemuMissing, string Machine);

/// <summary>
/// Boots the fetched Debian kernel under FtAkka, QEMU and QEMU with counted instructions, one after the other, lets each run the same workloads,
/// and compares the processor time of the three processes between the same two lines of the console. Processor time and not time on the wall:
/// other processes of the host disturb it less.
/// </summary>
public sealed class LinuxBenchmark
{
    /// <summary>Resolution of a process's processor time.</summary>
    public const double ClockTickSeconds = 0.01;

    private readonly WorkloadGuest guest;
    private readonly IReadOnlyList<LinuxWorkload> workloads;

    private LinuxBenchmark(IReadOnlyList<string> ownProgram, IReadOnlyList<LinuxWorkload> workloads, Action<string> progress)
    {
        guest = new WorkloadGuest(ownProgram, workloads, progress);
        this.workloads = workloads;
    }

    /// <summary>Runs it, and fetches the guest before if need be.</summary>
    /// <param name="ownProgram">The words that start this program as another process.</param>
    /// <param name="workloads">Workloads to run.</param>
    /// <param name="rounds">How often each monitor runs all; the monitors take turns.</param>
    /// <param name="withQemu">Whether to run QEMU beside.</param>
    /// <param name="progress">Told what is going on.</param>
    /// <exception cref="GuestKitException">No guest can be had, or a monitor or a workload failed.</exception>
    public static LinuxBenchmarkResult Run(
        IReadOnlyList<string> ownProgram, IReadOnlyList<LinuxWorkload> workloads, int rounds, bool withQemu, Action<string> progress)
    {
        var benchmark = new LinuxBenchmark(ownProgram, workloads, progress);
        benchmark.guest.EnsureFetched();
        return benchmark.Run(rounds, withQemu);
    }

    /// <summary>Geometric mean; null when there is nothing to average.</summary>
    public static double? GeometricMean(IEnumerable<double?> ratios)
    {
        double[] known = [.. ratios.OfType<double>().Where(ratio => ratio > 0)];
        return known.Length == 0 ? null : Math.Round(Math.Exp(known.Average(Math.Log)), 2);
    }

    /// <summary>Puts together what was measured; of several rounds the one with the least processor time counts, line by line.</summary>
    internal static IReadOnlyList<LinuxBenchmarkRow> Rows(
        IReadOnlyList<LinuxWorkload> workloads,
        IReadOnlyList<ConsoleTimings> ftakka, IReadOnlyList<ConsoleTimings> tcg, IReadOnlyList<ConsoleTimings> icount)
    {
        IEnumerable<LinuxWorkload> lines = [new LinuxWorkload(ConsoleTimings.Boot, "to the first process"), .. workloads];
        return
        [
            .. lines.Select(line => new LinuxBenchmarkRow(
                line.Name, line.Work, Least(line.Name, ftakka)!, Least(line.Name, tcg), Least(line.Name, icount),
                new[] { ftakka, tcg, icount }.SelectMany(runs => runs).Select(run => run.Timings[line.Name].Checksum).Distinct().Count() == 1)),
        ];
    }

    private static LinuxBenchmarkCost? Least(string name, IReadOnlyList<ConsoleTimings> runs)
    {
        if (runs.Count == 0)
        {
            return null;
        }
        ConsoleTiming best = runs.Select(run => run.Timings[name]).MinBy(timing => timing.Cpu);
        return new LinuxBenchmarkCost(Math.Round(best.Cpu.TotalSeconds, 3), Math.Round(best.Wall.TotalSeconds, 3));
    }

    private LinuxBenchmarkResult Run(int rounds, bool withQemu)
    {
        string? missing = !withQemu ? "left out, as asked"
            : HostProgram.Find(QemuGuest.Program) is null ? $"this host has no {QemuGuest.Program}; on Debian: apt-get install qemu-system-x86" : null;
        List<ConsoleTimings> ftakka = [], tcg = [], icount = [];
        for (int round = 1; round <= rounds; round++)
        {
            ftakka.Add(guest.Measure($"FtAkka, round {round}", disk => guest.OwnCommand(disk, "run")));
            if (missing is null)
            {
                tcg.Add(guest.Measure($"QEMU, round {round}", disk => guest.QemuCommand(QemuMode.Tcg, disk)));
                icount.Add(guest.Measure($"QEMU -icount, round {round}", disk => guest.QemuCommand(QemuMode.Icount, disk)));
            }
        }
        IReadOnlyList<LinuxBenchmarkRow> rows = Rows(workloads, ftakka, tcg, icount);
        return new LinuxBenchmarkResult(
            rows, GeometricMean(rows.Select(row => row.TcgToFtAkka)), GeometricMean(rows.Select(row => row.IcountToFtAkka)), missing, Machine(missing is null));
    }

    private string Machine(bool withQemu) =>
        guest.Describe() + (withQemu ? ", " + HostProgram.Run(QemuGuest.Program, ["--version"]).Output.Split('\n')[0] : "");
}
