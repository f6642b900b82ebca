using System.Diagnostics;
using FtAkka.Cpu.Verification;

namespace FtAkka.CpuBench;

/// <summary>
/// Measures the translator against the host: the same programs natively, translated, and where QEMU is installed under its TCG. CPU time of
/// the process, not wall time, so that a busy machine disturbs less.
/// </summary>
public static class CpuBenchmark
{
    /// <summary>Runs the benchmark. Takes about half a minute, plus QEMU.</summary>
    /// <param name="options">What to measure; null for everything.</param>
    /// <param name="progress">Told one line per finished program; null: nobody listens.</param>
    public static CpuBenchmarkResult Run(CpuBenchmarkOptions? options = null, Action<string>? progress = null)
    {
        options ??= new CpuBenchmarkOptions();
        ArgumentOutOfRangeException.ThrowIfNotEqual(options.Repetitions, Math.Clamp(options.Repetitions, 1, 100));
        ProgramImage image = ProgramImage.Load();
        var chosen = image.Programs.Where(program => options.Programs.Count == 0 || options.Programs.Contains(program.Name)).ToList();
        if (chosen.Count == 0) { throw new ArgumentException("None of the programs asked for exists.", nameof(options)); }
        var rows = new List<CpuBenchmarkRow>();
        foreach ((string name, int entry) in chosen)
        {
            CpuBenchmarkRow row = Measure(image, name, entry, options.Repetitions);
            rows.Add(row);
            progress?.Invoke(
                $"{name,-8} native {row.NativeSeconds:F3} s, translated {row.TranslatedSeconds:F3} s, ratio {row.Ratio:F2}, checksum {row.Checksum:x}{(row.ChecksumEqual ? "" : " DIFFERS")}");
        }
        double speed = MeasureTranslation(image, progress);
        var result = new CpuBenchmarkResult(GeometricMean(rows.Select(row => row.Ratio)), rows, speed);
        return options.Qemu ? AddQemu(result, image, options, progress) : result;
    }

    private static CpuBenchmarkRow Measure(ProgramImage image, string name, int entry, int repetitions)
    {
        using var native = new NativeProgram(image.Bytes, ProgramImage.ArenaBytes);
        double nativeSeconds = double.MaxValue, translatedSeconds = double.MaxValue;
        long expected = 0, actual = 0;
        bool equal = true;
        ulong instructions = 0;
        for (int i = 0; i < repetitions; i++)
        {
            nativeSeconds = Math.Min(nativeSeconds, CpuSeconds(() => expected = native.Call(entry)));
            equal &= i == 0 || expected == actual;
            actual = expected;
        }
        using var guest = new GuestProgram(image.Bytes);
        for (int i = 0; i < repetitions; i++)
        {
            ulong before = guest.Icount;
            translatedSeconds = Math.Min(translatedSeconds, CpuSeconds(() => actual = guest.Call(entry)));
            instructions = guest.Icount - before;
            equal &= expected == actual;
        }
        return new CpuBenchmarkRow(name, nativeSeconds, translatedSeconds, translatedSeconds / nativeSeconds, equal, actual, instructions);
    }

    /// <summary>Guest instructions per CPU second over code that runs once; the first guests warm up the JIT compiler and do not count.</summary>
    private static double MeasureTranslation(ProgramImage image, Action<string>? progress)
    {
        const int Rounds = 6, CodeBytes = 1 << 20;
        double speed = 0;
        for (int i = 0; i < Rounds; i++)
        {
            using GuestProgram guest = GuestProgram.CreateTranslationWorkload(image.Bytes, CodeBytes, out int instructions);
            speed = Math.Max(speed, instructions / CpuSeconds(() => guest.Call(0)));
        }
        progress?.Invoke($"translation: {speed / 1e6:F2} million guest instructions per second");
        return speed;
    }

    private static CpuBenchmarkResult AddQemu(CpuBenchmarkResult result, ProgramImage image, CpuBenchmarkOptions options, Action<string>? progress)
    {
        string? version = QemuBenchmark.Version();
        if (version is null)
        {
            progress?.Invoke("qemu-system-x86_64 is not installed: no comparison with TCG");
            return result;
        }
        IReadOnlyDictionary<string, QemuBenchmark.Timing> plain = QemuBenchmark.Run(image, icount: false, options.QemuTimeoutSeconds, progress);
        IReadOnlyDictionary<string, QemuBenchmark.Timing> counted = QemuBenchmark.Run(image, icount: true, options.QemuTimeoutSeconds, progress);
        var rows = result.Programs.Select(row => row with
        {
            QemuSeconds = plain.TryGetValue(row.Name, out QemuBenchmark.Timing first) ? first.Seconds : null,
            QemuIcountSeconds = counted.TryGetValue(row.Name, out QemuBenchmark.Timing second) ? second.Seconds : null,
            ChecksumEqual = row.ChecksumEqual && Agrees(plain, row) && Agrees(counted, row),
        }).ToList();
        return result with
        {
            Programs = rows,
            QemuVersion = version,
            QemuGeometricMeanRatio = MeanOf(rows, row => row.QemuSeconds),
            QemuIcountGeometricMeanRatio = MeanOf(rows, row => row.QemuIcountSeconds),
        };
    }

    private static bool Agrees(IReadOnlyDictionary<string, QemuBenchmark.Timing> timings, CpuBenchmarkRow row) =>
        !timings.TryGetValue(row.Name, out QemuBenchmark.Timing timing) || timing.Checksum == (ulong)row.Checksum;

    private static double? MeanOf(IReadOnlyList<CpuBenchmarkRow> rows, Func<CpuBenchmarkRow, double?> seconds)
    {
        var ratios = rows.Where(row => seconds(row) is not null).Select(row => seconds(row)!.Value / row.NativeSeconds).ToList();
        return ratios.Count == 0 ? null : GeometricMean(ratios);
    }

    private static double GeometricMean(IEnumerable<double> values) => Math.Exp(values.Average(Math.Log));

    private static double CpuSeconds(Action action)
    {
        TimeSpan before = Environment.CpuUsage.TotalTime;
        action();
        return (Environment.CpuUsage.TotalTime - before).TotalSeconds;
    }
}
