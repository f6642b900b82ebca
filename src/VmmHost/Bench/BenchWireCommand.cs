using System.CommandLine;
using System.Globalization;
using FtAkka.VmmHost.Cli;
using FtAkka.WireBench;
using Spectre.Console;

namespace FtAkka.VmmHost.Bench;

/// <summary><c>ftakka bench wire</c>: round trip, processor time and throughput of remoting beside plain sockets.</summary>
public sealed class BenchWireCommand : ICommandModule
{
    /// <inheritdoc/>
    public string Path => "bench wire";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        Option<bool> json = ReportOptions.Json();
        var rounds = Number("--rounds", "Interleaved rounds of each transport; the median counts.", 5, 1, 1000);
        var roundTrips = Number("--round-trips", "Round trips measured in each round.", 10_000, 100, 10_000_000);
        var messages = Number("--messages", "One-way messages in each round.", 200_000, 1000, 100_000_000);
        var command = new Command("wire", "Measure messages between two actor systems on loopback, over each transport, beside plain .NET sockets with and without TLS.")
        {
            json, rounds, roundTrips, messages,
        };
        command.SetAction(async (parsed, _) =>
        {
            WireBenchmarkResult result = await WireBenchmark.RunAsync(
                parsed.GetValue(rounds), parsed.GetValue(roundTrips), parsed.GetValue(messages), terminal.Progress).ConfigureAwait(false);
            if (parsed.GetValue(json))
            {
                terminal.WriteJson(result);
            }
            else
            {
                Print(terminal.Out, result);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private static Option<int> Number(string name, string description, int value, int least, int most)
    {
        var option = new Option<int>(name) { Description = description, DefaultValueFactory = _ => value };
        option.Validators.Add(result =>
        {
            int given = result.GetValueOrDefault<int>();
            if (given < least || given > most)
            {
                result.AddError(string.Create(CultureInfo.InvariantCulture, $"{name} must be between {least} and {most}, not {given}."));
            }
        });
        return option;
    }

    private static void Print(IAnsiConsole console, WireBenchmarkResult result)
    {
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumns("transport", "bytes", "best µs", "median µs", "p99 µs", "of TLS socket", "CPU µs", "messages/s", "MB/s");
        foreach (TableColumn column in table.Columns.Skip(1))
        {
            column.Alignment = Justify.Right;
        }

        foreach (WireBenchmarkRow row in result.Rows)
        {
            table.AddRow(
                Markup.Escape(row.Transport),
                Text(row.MessageBytes),
                Text(row.RoundTripBestMicroseconds),
                Text(row.RoundTripMedianMicroseconds),
                Text(row.RoundTrip99Microseconds),
                Text(row.RatioToSecureSocket),
                Text(row.CpuMicroseconds),
                row.MessagesPerSecond == 0 ? "" : Text(row.MessagesPerSecond),
                row.MessagesPerSecond == 0 ? "" : Text(row.MegabytesPerSecond));
        }

        console.Write(table);
        console.WriteLine(result.Machine);
    }

    private static string Text(IFormattable value) => value.ToString(null, CultureInfo.InvariantCulture);
}
