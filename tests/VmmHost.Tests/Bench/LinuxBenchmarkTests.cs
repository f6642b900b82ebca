using FtAkka.GuestKit;
using FtAkka.LinuxBench;
using FtAkka.VmmHost.Bench;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Tests.Bench;

public sealed class LinuxBenchmarkTests
{
    private static readonly LinuxWorkload Pipe = LinuxWorkloads.All.Single(workload => workload.Name == "pipe");

    private static ConsoleTimings Timings(double boot, double pipe, string checksum = "1")
    {
        var timings = new ConsoleTimings();
        timings.Line(InitramfsBuilder.UserlandLine, TimeSpan.FromSeconds(boot), TimeSpan.FromSeconds(boot));
        timings.Line("FTBENCH-START pipe", TimeSpan.FromSeconds(boot), TimeSpan.FromSeconds(boot));
        timings.Line($"FTBENCH-END pipe {checksum}", TimeSpan.FromSeconds(boot + (2 * pipe)), TimeSpan.FromSeconds(boot + pipe));
        return timings;
    }

    [Fact]
    public void Rows_hold_the_cheapest_round_of_each_line_and_ratios_above_one_where_FtAkka_is_ahead()
    {
        IReadOnlyList<LinuxBenchmarkRow> rows = LinuxBenchmark.Rows([Pipe], [Timings(3, 2), Timings(2, 4)], [Timings(1, 8)], [Timings(4, 1)]);

        Assert.Equal(["boot", "pipe"], rows.Select(row => row.Name));
        Assert.Equal(new LinuxBenchmarkCost(2, 2), rows[0].FtAkka);
        Assert.Equal(new LinuxBenchmarkCost(2, 4), rows[1].FtAkka);
        Assert.Equal((0.5, 2), (rows[0].TcgToFtAkka, rows[0].IcountToFtAkka));
        Assert.Equal((4, 0.5), (rows[1].TcgToFtAkka, rows[1].IcountToFtAkka));
        Assert.All(rows, row => Assert.True(row.SameChecksum));
        Assert.Equal(1.41, LinuxBenchmark.GeometricMean(rows.Select(row => row.TcgToFtAkka)));
    }

    [Fact]
    public void Different_checksums_are_noticed_and_without_QEMU_there_are_no_ratios()
    {
        Assert.False(LinuxBenchmark.Rows([Pipe], [Timings(1, 1)], [Timings(1, 1, "2")], [Timings(1, 1)])[1].SameChecksum);
        LinuxBenchmarkRow alone = LinuxBenchmark.Rows([Pipe], [Timings(1, 1)], [], [])[1];
        Assert.True(alone.SameChecksum);
        Assert.Null(alone.TcgToFtAkka);
        Assert.Null(LinuxBenchmark.GeometricMean([alone.IcountToFtAkka]));
    }

    [Fact]
    public async Task Unknown_workload_is_refused()
    {
        using var error = new StringWriter();
        int status = await new CommandLineApplication([new BenchLinuxCommand()], TextWriter.Null, error).RunAsync(["bench", "linux", "--only", "pipe,nosuch"]);
        Assert.Equal(ExitCode.Usage, status);
        Assert.Contains("'nosuch'", error.ToString(), StringComparison.Ordinal);
    }
}
