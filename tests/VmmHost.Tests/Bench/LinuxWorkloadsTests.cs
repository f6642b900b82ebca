using System.Text.RegularExpressions;
using FtAkka.LinuxBench;

namespace FtAkka.VmmHost.Tests.Bench;

public sealed partial class LinuxWorkloadsTests
{
    [Fact]
    public void Names_are_those_of_the_program_in_its_order()
    {
        using var source = new StreamReader(
            typeof(LinuxWorkloads).Assembly.GetManifestResourceStream("FtAkka.LinuxBench.main.c")!);
        IEnumerable<(string, bool)> entries = Entry().Matches(source.ReadToEnd())
            .Select(m => (m.Groups["name"].Value, m.Groups["disk"].Value == "1"));

        Assert.Equal(entries, LinuxWorkloads.All.Select(w => (w.Name, w.NeedsDisk)));
        Assert.Equal(17, LinuxWorkloads.All.Length);
    }

    [Fact]
    public void Console_lines_become_timings()
    {
        var timings = new ConsoleTimings();
        (string Line, double Wall, double Cpu)[] console =
        [
            ("[    0.1] Linux version", 0.1, 0.1), ("FTAKKA-USERLAND\r", 2, 1.5), ("FTBENCH-START sieve\r", 3, 2),
            ("[    4.0] some kernel message", 3.5, 2.5), ("FTBENCH-END sieve 00ff\r", 4, 2.75),
        ];

        foreach ((string line, double wall, double cpu) in console)
        {
            timings.Line(line, TimeSpan.FromSeconds(wall), TimeSpan.FromSeconds(cpu));
        }

        Assert.Equal(["boot", "sieve"], timings.Timings.Keys.Order());
        Assert.Equal(new ConsoleTiming(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(1.5), ""), timings.Timings["boot"]);
        Assert.Equal(new ConsoleTiming(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(0.75), "00ff"), timings.Timings["sieve"]);
    }

    [Fact]
    public void Failed_or_unfinished_workload_has_no_timing()
    {
        var timings = new ConsoleTimings();
        string[] console =
        [
            "FTBENCH-START gzip", "FTBENCH-FAILED gzip: No space left on device", "FTBENCH-END gzip 1", "FTBENCH-START pipe",
            "FTBENCH-START chase", "FTBENCH-END pipe 2",
        ];

        foreach (string line in console)
        {
            timings.Line(line, TimeSpan.Zero, TimeSpan.Zero);
        }

        Assert.Empty(timings.Timings);
        Assert.Equal(["gzip: No space left on device"], timings.Failures);
    }

    [Fact]
    public void Qemu_gets_icount_only_when_asked_and_commas_in_paths_doubled()
    {
        IReadOnlyList<string> plain = QemuGuest.Arguments(QemuMode.Tcg, "k", "i", "x=1", null);
        IReadOnlyList<string> counted = QemuGuest.Arguments(QemuMode.Icount, "k", "i", "x=1", "/a,b");

        Assert.DoesNotContain("-icount", plain);
        Assert.DoesNotContain("-drive", plain);
        Assert.Contains("-icount", counted);
        Assert.Contains(counted, a => a.StartsWith("file=/a,,b,", StringComparison.Ordinal));
        Assert.Contains(counted, a => a.EndsWith(" x=1", StringComparison.Ordinal));
    }

    [GeneratedRegex("\\{\"(?<name>[a-z0-9]+)\", run_\\w+, (?<disk>[01])\\}")]
    private static partial Regex Entry();
}
