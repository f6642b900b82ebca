using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace FtAkka.CpuBench;

/// <summary>
/// The same programs on a bare machine under QEMU's TCG: a Multiboot stub runs them one after the other and reports each on the debug
/// console. Times are CPU seconds of the QEMU process between two reports.
/// </summary>
internal static class QemuBenchmark
{
    private const string Executable = "qemu-system-x86_64";

    /// <summary>One program's CPU seconds, and what it returned.</summary>
    public readonly record struct Timing(double Seconds, ulong Checksum);

    /// <summary>First line of QEMU's version report, or null if it is not installed.</summary>
    public static string? Version()
    {
        try
        {
            using Process process = Start(["--version"]);
            string? line = process.StandardOutput.ReadLine();
            process.WaitForExit();
            return line;
        }
        catch (Win32Exception)
        {
            return null; // no such program
        }
    }

    /// <summary>Runs all programs; those reported before the time ran out.</summary>
    public static IReadOnlyDictionary<string, Timing> Run(ProgramImage image, bool icount, int timeoutSeconds, Action<string>? progress)
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(file, [.. ProgramImage.Resource("qemu-boot.bin"), .. image.Bytes]);
            string[] counting = icount ? ["-icount", "shift=0"] : [];
            using Process process = Start(
            [
                "-accel", "tcg", "-nodefaults", "-display", "none", "-no-reboot", "-m", "256", "-kernel", file, "-debugcon", "stdio",
                "-device", "isa-debug-exit,iobase=0xf4,iosize=1", .. counting,
            ]);
            using var timeout = new Timer(_ => Stop(process), null, TimeSpan.FromSeconds(timeoutSeconds), Timeout.InfiniteTimeSpan);
            return Collect(process, icount ? "qemu -icount" : "qemu", progress);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static Dictionary<string, Timing> Collect(Process process, string label, Action<string>? progress)
    {
        var timings = new Dictionary<string, Timing>(StringComparer.Ordinal);
        double before = 0;
        bool first = true;
        while (process.StandardOutput.ReadLine() is { } line)
        {
            double now = CpuSeconds(process);
            string[] words = line.Split(' ');
            if (words.Length != 2 || !ulong.TryParse(words[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong checksum)) { continue; }
            // The stub says "ready" when the machine has started: firmware and start of QEMU are not the programs' time.
            if (!first) { timings[words[0]] = new Timing(now - before, checksum); }
            progress?.Invoke(first ? $"{label}: started after {now:F2} s" : $"{label}: {words[0],-8} {now - before:F3} s");
            first = false;
            before = now;
        }
        process.WaitForExit();
        return timings;
    }

    private static double CpuSeconds(Process process)
    {
        process.Refresh();
        return process.HasExited ? double.NaN : process.TotalProcessorTime.TotalSeconds;
    }

    private static Process Start(string[] arguments)
    {
        var start = new ProcessStartInfo(Executable, arguments) { RedirectStandardOutput = true, RedirectStandardInput = true };
        return Process.Start(start) ?? throw new InvalidOperationException($"{Executable} did not start.");
    }

    private static void Stop(Process process)
    {
        try
        {
            process.Kill();
        }
        catch (InvalidOperationException)
        {
            // It ended by itself in the meantime.
        }
    }
}
