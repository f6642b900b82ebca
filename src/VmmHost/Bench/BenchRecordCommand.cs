using System.CommandLine;
using System.Globalization;
using FtAkka.GuestKit;
using FtAkka.LinuxBench;
using FtAkka.Recordings;
using FtAkka.VmmHost.Cli;
using Spectre.Console;

namespace FtAkka.VmmHost.Bench;

/// <summary><c>ftakka bench record</c>: what recording and replay cost, beside QEMU's.</summary>
public sealed class BenchRecordCommand : ICommandModule
{
    private readonly WorkloadOptions options = new("the medians count");

    /// <inheritdoc/>
    public string Path => "bench record";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        var command = new Command("record", "Run and record a Debian guest with workloads, beside QEMU with rr=record; replay the recording; record an idle guest.");
        options.AddTo(command);
        command.SetAction(parsed =>
        {
            try
            {
                RecordBenchmarkResult result = RecordBenchmark.Run(OwnProgram.Words, options.Workloads(parsed), options.Rounds(parsed), options.WithQemu(parsed), terminal.Progress);
                if (options.IsJson(parsed))
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

    private static void Print(IAnsiConsole console, RecordBenchmarkResult result)
    {
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumns("", "run CPU s", "record CPU s", "record / run", "QEMU rr CPU s", "QEMU / FtAkka", "guest s", "log bytes", "log Mbit/s");
        foreach (TableColumn column in table.Columns.Skip(1))
        {
            column.Alignment = Justify.Right;
        }
        foreach (RecordBenchmarkRow row in result.Rows)
        {
            table.AddRow(
                row.Name, Text(row.RunCpuSeconds), Text(row.RecordCpuSeconds), Text(row.Overhead), Text(row.QemuCpuSeconds), Text(row.QemuToFtAkka),
                Text(row.Log.GuestSeconds), row.Log.Bytes.ToString("#,0", CultureInfo.InvariantCulture), row.Log.MegabitPerSecond.ToString("0.000", CultureInfo.InvariantCulture));
        }
        table.AddRow("geometric mean", "", "", Text(result.Overhead), "", Text(result.QemuToFtAkka), "", "", "");
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
