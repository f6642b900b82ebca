using System.CommandLine;
using System.Globalization;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.GuestKit;
using Spectre.Console;

namespace FtAkka.VmmHost.Bench;

/// <summary><c>ftakka bench linux</c>: boot and workloads of a Debian guest beside QEMU.</summary>
public sealed class BenchLinuxCommand : ICommandModule
{
    private const int RoundsMax = 100;

    private readonly Option<bool> json = ReportOptions.Json();

    private readonly Option<string[]> only = new("--only")
    {
        Description = $"Workloads to run: {string.Join(", ", LinuxWorkloads.All.Select(workload => workload.Name))}. Default: all.",
        HelpName = "NAMES",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<bool> noQemu = new("--no-qemu") { Description = "Leave out QEMU." };

    private readonly Option<int> rounds = new("--rounds")
    {
        Description = "How often each monitor runs everything; the least processor time counts.",
        DefaultValueFactory = _ => 1,
        HelpName = "N",
    };

    /// <inheritdoc/>
    public string Path => "bench linux";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        only.Validators.Add(result =>
        {
            if (Names(result.GetValueOrDefault<string[]>()).FirstOrDefault(name => LinuxWorkloads.All.All(workload => workload.Name != name)) is { } unknown)
            {
                result.AddError($"--only: there is no workload '{unknown}'.");
            }
        });
        rounds.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() is < 1 or > RoundsMax)
            {
                result.AddError($"--rounds must be between 1 and {RoundsMax}.");
            }
        });
        var command = new Command("linux", "Boot a Debian guest and run programs in it, beside QEMU and QEMU -icount on the same kernel and initramfs.")
        {
            json, only, noQemu, rounds,
        };
        command.SetAction(parsed => Run(terminal, parsed));
        return command;
    }

    private int Run(Terminal terminal, ParseResult parsed)
    {
        string[] names = [.. Names(parsed.GetValue(only))];
        LinuxWorkload[] workloads = [.. LinuxWorkloads.All.Where(workload => names.Length == 0 || names.Contains(workload.Name))];
        LinuxBenchmarkResult result;
        try
        {
            result = LinuxBenchmark.Run(workloads, parsed.GetValue(rounds), !parsed.GetValue(noQemu), terminal.Progress);
        }
        catch (GuestKitException failure)
        {
            throw new CommandFailedException(failure.Message, failure);
        }
        if (parsed.GetValue(json))
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

    private static IEnumerable<string> Names(string[]? words) =>
        (words ?? []).SelectMany(word => word.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));

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
