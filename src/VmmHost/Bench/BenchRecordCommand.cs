using System.CommandLine;
using System.Globalization;
using FtAkka.Actors.Recordings;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.GuestKit;
using Spectre.Console;

namespace FtAkka.VmmHost.Bench;

/// <summary><c>ftakka bench record</c>: what recording and replay cost, beside QEMU's.</summary>
public sealed class BenchRecordCommand : ICommandModule
{
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
        Description = "How often each monitor runs everything, 1 to 100; the least processor time counts.",
        DefaultValueFactory = _ => 1,
        HelpName = "N",
    };

    /// <inheritdoc/>
    public string Path => "bench record";

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
            if (result.GetValueOrDefault<int>() is < 1 or > 100)
            {
                result.AddError("--rounds must be between 1 and 100.");
            }
        });
        var command = new Command("record", "Run and record a Debian guest with workloads, beside QEMU with rr=record; replay the recording; record an idle guest.")
        {
            json, only, noQemu, rounds,
        };
        command.SetAction(parsed =>
        {
            string[] names = [.. Names(parsed.GetValue(only))];
            LinuxWorkload[] workloads = [.. LinuxWorkloads.All.Where(workload => names.Length == 0 || names.Contains(workload.Name))];
            try
            {
                RecordBenchmarkResult result = RecordBenchmark.Run(workloads, parsed.GetValue(rounds), !parsed.GetValue(noQemu), terminal.Progress);
                if (parsed.GetValue(json))
                {
                    terminal.WriteJson(result);
                }
                else
                {
                    Print(terminal.Out, result);
                }
                return ExitCode.Ok;
            }
            catch (Exception failure) when (failure is GuestKitException or RecordingException)
            {
                throw new CommandFailedException(failure.Message, failure);
            }
        });
        return command;
    }

    private static IEnumerable<string> Names(string[]? words) =>
        (words ?? []).SelectMany(word => word.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));

    private static void Print(IAnsiConsole console, RecordBenchmarkResult result)
    {
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumns("", "run CPU s", "record CPU s", "record / run", "QEMU rr CPU s", "QEMU / FtAkka");
        foreach (TableColumn column in table.Columns.Skip(1))
        {
            column.Alignment = Justify.Right;
        }
        foreach (RecordBenchmarkRow row in result.Rows)
        {
            table.AddRow(row.Name, Text(row.RunCpuSeconds), Text(row.RecordCpuSeconds), Text(row.Overhead), Text(row.QemuCpuSeconds), Text(row.QemuToFtAkka));
        }
        table.AddRow("geometric mean", "", "", Text(result.Overhead), "", Text(result.QemuToFtAkka));
        console.Write(table);
        console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"log: {result.LogBytes:#,0} bytes for {result.Instructions:#,0} instructions in {result.GuestSeconds:f1} s of guest time, {result.LogMegabitPerSecond:f3} Mbit/s; keyframes: {result.SnapshotBytes:#,0} bytes"));
        if (result.QemuLogBytes is { } bytes)
        {
            console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"QEMU's log: {bytes:#,0} bytes, without the data of disk reads"));
        }
        console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"recording took {result.RecordSeconds:f1} s, its replay {result.ReplaySeconds:f1} s; idle guest: {result.IdleMegabitPerSecond:f4} Mbit/s"));
        console.WriteLine(result.Machine);
    }

    private static string Text(double? value) => value?.ToString("0.00", CultureInfo.InvariantCulture) ?? "";
}
