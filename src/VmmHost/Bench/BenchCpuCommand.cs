using System.CommandLine;
using System.Globalization;
using FtAkka.CpuBench;
using FtAkka.VmmHost.Cli;
using Spectre.Console;

namespace FtAkka.VmmHost.Bench;

/// <summary><c>ftakka bench cpu</c>: the translator beside the host CPU and QEMU's TCG on the same programs.</summary>
public sealed class BenchCpuCommand : ICommandModule
{
    /// <inheritdoc/>
    public string Path => "bench cpu";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        Option<bool> json = ReportOptions.Json();
        var repetitions = new Option<int>("--repetitions") { Description = "Runs of each program on each side; the fastest counts.", DefaultValueFactory = _ => 3 };
        repetitions.Validators.Add(result =>
        {
            int given = result.GetValueOrDefault<int>();
            if (given is < 1 or > 100)
            {
                result.AddError(string.Create(CultureInfo.InvariantCulture, $"--repetitions must be between 1 and 100, not {given}."));
            }
        });
        var programs = new Option<string[]>("--program") { Description = "Only this program; may be given several times.", DefaultValueFactory = _ => [] };
        var noQemu = new Option<bool>("--no-qemu") { Description = "Leave QEMU out, which takes a minute or more." };
        var command = new Command("cpu", "Run programs natively and translated, check that they agree, and compare their CPU time; under QEMU's TCG too where it is installed.")
        {
            json, repetitions, programs, noQemu,
        };
        command.SetAction((parsed, _) =>
        {
            var options = new CpuBenchmarkOptions
            {
                Repetitions = parsed.GetValue(repetitions),
                Programs = parsed.GetValue(programs) ?? [],
                Qemu = !parsed.GetValue(noQemu),
            };
            CpuBenchmarkResult result = Run(options, terminal);
            if (parsed.GetValue(json))
            {
                terminal.WriteJson(result);
            }
            else
            {
                Print(terminal.Out, result);
            }

            bool equal = result.Programs.All(row => row.ChecksumEqual);
            return Task.FromResult(equal ? ExitCode.Ok : throw new CommandFailedException("A program computed different results natively and translated: see the rows that say so."));
        });
        return command;
    }

    private static CpuBenchmarkResult Run(CpuBenchmarkOptions options, Terminal terminal)
    {
        try
        {
            return CpuBenchmark.Run(options, terminal.Progress);
        }
        catch (ArgumentException)
        {
            throw new CommandFailedException($"There is no program {string.Join(", ", options.Programs)}; without --program all run.");
        }
    }

    private static void Print(IAnsiConsole console, CpuBenchmarkResult result)
    {
        bool qemu = result.QemuVersion is not null;
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumns("program", "native s", "translated s", "ratio", "ns/instruction");
        if (qemu)
        {
            table.AddColumns("QEMU", "QEMU -icount");
        }

        table.AddColumn("results");
        foreach (TableColumn column in table.Columns.Skip(1).SkipLast(1))
        {
            column.Alignment = Justify.Right;
        }

        foreach (CpuBenchmarkRow row in result.Programs)
        {
            string[] cells =
            [
                Markup.Escape(row.Name), Text(row.NativeSeconds, "F3"), Text(row.TranslatedSeconds, "F3"), Text(row.Ratio, "F2"),
                Text(row.TranslatedSeconds * 1e9 / row.Instructions, "F2"),
            ];
            string[] others = qemu ? [Ratio(row.QemuSeconds, row), Ratio(row.QemuIcountSeconds, row)] : [];
            table.AddRow([.. cells, .. others, row.ChecksumEqual ? "equal" : "DIFFERENT"]);
        }

        console.Write(table);
        console.WriteLine($"Geometric mean: {Text(result.GeometricMeanRatio, "F2")} times native, with exact instruction counts and 4 KiB pages.");
        if (qemu)
        {
            console.WriteLine($"QEMU's TCG: {Text(result.QemuGeometricMeanRatio ?? double.NaN, "F2")}, with -icount {Text(result.QemuIcountGeometricMeanRatio ?? double.NaN, "F2")} ({result.QemuVersion}).");
        }

        console.WriteLine($"Translation: {Text(result.TranslatedInstructionsPerSecond / 1e6, "F2")} million guest instructions a second.");
    }

    private static string Ratio(double? seconds, CpuBenchmarkRow row) => seconds is { } s ? Text(s / row.NativeSeconds, "F2") : "-";

    private static string Text(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
