using System.CommandLine;
using System.Globalization;
using FtAkka.GuestKit;
using FtAkka.LinuxBench;
using FtAkka.VmmHost.Cli;
using Spectre.Console;

namespace FtAkka.VmmHost.Bench;

/// <summary><c>ftakka bench ft</c>: what protection costs a guest.</summary>
public sealed class BenchFtCommand : ICommandModule
{
    private const int RoundsMax = 100;

    private readonly Option<bool> json = ReportOptions.Json();

    private readonly Option<string[]> only = new("--only")
    {
        Description = $"Workloads to run: {string.Join(", ", LinuxWorkloads.All.Select(workload => workload.Name))}. Default: all.",
        HelpName = "NAMES",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<int> rounds = new("--rounds")
    {
        Description = "How often everything is run without and with a backup, in turns; the least times count.",
        DefaultValueFactory = _ => 2,
        HelpName = "N",
    };

    private readonly Option<bool> withNeighbour = new("--neighbour")
    {
        Description = "While the guest runs without a backup, run the same in another guest on the other node: the primary's share of the host is the same in both turns. "
            + "For hosts of few processors.",
    };

    /// <inheritdoc/>
    public string Path => "bench ft";

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
        var command = new Command("ft", "Run programs in a Debian guest without and with a backup, on two nodes on this host, and measure log, output delay, lag and copies.")
        {
            json, only, rounds, withNeighbour,
        };
        command.SetAction(async (parsed, cancelled) =>
        {
            string[] names = [.. Names(parsed.GetValue(only))];
            LinuxWorkload[] workloads = [.. LinuxWorkloads.All.Where(workload => names.Length == 0 || names.Contains(workload.Name))];
            try
            {
                FtBenchmarkResult result = await FtBenchmark.RunAsync(
                    workloads, parsed.GetValue(rounds), parsed.GetValue(withNeighbour), BenchNode.StartPairAsync, terminal.Progress, cancelled).ConfigureAwait(false);
                Print(terminal, result, parsed.GetValue(json));
                return ExitCode.Ok;
            }
            catch (GuestKitException failure)
            {
                throw new CommandFailedException(failure.Message, failure);
            }
        });
        return command;
    }

    private static IEnumerable<string> Names(string[]? words) =>
        (words ?? []).SelectMany(word => word.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));

    private static void Print(Terminal terminal, FtBenchmarkResult result, bool asJson)
    {
        if (asJson)
        {
            terminal.WriteJson(result);
            return;
        }
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumns("", "work", "alone s", "protected s", "ratio", "alone CPU s", "protected CPU s", "CPU ratio", "log Mbit/s");
        foreach (TableColumn column in table.Columns.Skip(2))
        {
            column.Alignment = Justify.Right;
        }
        foreach (FtBenchmarkRow row in result.Rows)
        {
            table.AddRow(row.Name, Markup.Escape(row.Work), Number(row.AloneSeconds), Number(row.ProtectedSeconds), Number(row.Ratio),
                Number(row.AloneCpuSeconds), Number(row.ProtectedCpuSeconds), Number(row.CpuRatio), Number(row.LogMbitPerSecond));
        }
        table.AddRow("geometric mean", "", "", "", Number(result.Ratio), "", "", Number(result.CpuRatio), "");
        terminal.Out.Write(table);
        List<FormattableString> lines =
        [
            $"log of the idle guest {result.IdleLogMbitPerSecond} Mbit/s",
            $"outputs waited {result.OutputDelayMedianMs} ms in the median, {result.OutputDelayP99Ms} ms at the 99th percentile, {result.OutputsDelayed} outputs",
            $"lag: median {result.LagMs[0]}, 95th percentile {result.LagMs[1]}, 99th {result.LagMs[2]}, greatest {result.LagMs[3]} ms",
            .. result.Copies.Select(copy => (FormattableString)$"copy, guest {copy.What}: paused {copy.PauseMs} ms, {copy.TotalMs} ms in all; last {copy.Rounds}"),
            $"{result.Machine}",
        ];
        foreach (FormattableString line in lines)
        {
            terminal.Output.WriteLine(line.ToString(CultureInfo.InvariantCulture));
        }
    }

    private static string Number(double? value) => value?.ToString("0.00", CultureInfo.InvariantCulture) ?? "";
}
