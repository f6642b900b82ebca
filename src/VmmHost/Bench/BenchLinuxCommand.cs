using System.CommandLine;
using System.Globalization;
using FtAkka.GuestKit;
using FtAkka.LinuxBench;
using FtAkka.VmmHost.Cli;
using Spectre.Console;

namespace FtAkka.VmmHost.Bench;

/// <summary><c>ftakka bench linux</c>: boot and workloads of a Debian guest beside QEMU.</summary>
public sealed class BenchLinuxCommand : ICommandModule
{
    private readonly WorkloadOptions options = new("the least processor time counts");

    /// <inheritdoc/>
    public string Path => "bench linux";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        var command = new Command("linux", "Boot a Debian guest and run programs in it, beside QEMU and QEMU -icount on the same kernel and initramfs.");
        options.AddTo(command);
        command.SetAction(parsed => Run(terminal, parsed));
        return command;
    }

    private int Run(Terminal terminal, ParseResult parsed)
    {
        LinuxBenchmarkResult result;
        try
        {
            result = LinuxBenchmark.Run(OwnProgram.Words, options.Workloads(parsed), options.Rounds(parsed), options.WithQemu(parsed), terminal.Progress);
        }
        catch (GuestKitException failure)
        {
            throw new CommandFailedException(failure.Message, failure);
        }
        if (options.IsJson(parsed))
        {
            terminal.WriteJson(result);
        }
        else
        {
            Print(terminal.Out, result);
        }
        return result.Rows.All(row => row.SameChecksum)
            ? ExitCode.Ok
            : throw new CommandFailedException($"The monitors do not agree on what {string.Join(", ", result.Rows.Where(row => !row.SameChecksum).Select(row => row.Name))} computed.");
    }

    private static void Print(IAnsiConsole console, LinuxBenchmarkResult result)
    {
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumns("", "work", "FtAkka CPU s", "wall s", "QEMU CPU s", "-icount CPU s", "QEMU / FtAkka", "-icount / FtAkka");
        foreach (TableColumn column in table.Columns.Skip(2))
        {
            column.Alignment = Justify.Right;
        }
        foreach (LinuxBenchmarkRow row in result.Rows)
        {
            table.AddRow(
                row.Name, Markup.Escape(row.Work), Seconds(row.FtAkka.CpuSeconds), Seconds(row.FtAkka.WallSeconds),
                Seconds(row.Tcg?.CpuSeconds), Seconds(row.Icount?.CpuSeconds), Ratio(row.TcgToFtAkka), Ratio(row.IcountToFtAkka));
        }
        table.AddRow("geometric mean", "", "", "", "", "", Ratio(result.TcgGeometricMean), Ratio(result.IcountGeometricMean));
        console.Write(table);
        if (result.QemuMissing is { } reason)
        {
            console.WriteLine($"QEMU: {reason}");
        }
        console.WriteLine(result.Machine);
    }

    private static string Seconds(double? value) => value?.ToString("0.00", CultureInfo.InvariantCulture) ?? "";

    private static string Ratio(double? value) => value?.ToString("0.00", CultureInfo.InvariantCulture) ?? "";
}
