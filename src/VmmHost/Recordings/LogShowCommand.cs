using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using FtAkka.Machine;
using FtAkka.Recordings;
using FtAkka.Replication.Log;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Recordings;

/// <summary><c>ftakka log show</c>: the entries of a recording, and what they amount to.</summary>
public sealed class LogShowCommand : ICommandModule
{
    private readonly Argument<string> folder = new("DIR")
    {
        Description = "Folder of the recording; or a file of frames, as a report of a divergence keeps them (*.frames).",
    };

    private readonly Option<bool> json = new("--json")
    {
        Description = "Print one JSON document: an array \"entries\", unless --summary is given, and an object \"summary\".",
    };

    private readonly Option<LogEntryKind[]> kinds = new("--kind")
    {
        Description = "Only entries of this kind. May be given more than once.",
        HelpName = "K",
    };

    private readonly Option<ulong?> from = InstructionCount.Option("--from", "Only entries from this icount on.");

    private readonly Option<ulong?> to = InstructionCount.Option("--to", "Only entries up to this icount.");

    private readonly Option<bool> summaryOnly = new("--summary") { Description = "Only what the entries amount to: rates by kind, bytes per second of guest time." };

    /// <inheritdoc/>
    public string Path => "log show";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        var command = new Command("show", "Print the entries of a recording's log, and rates by kind.") { folder, json, kinds, from, to, summaryOnly };
        command.SetAction((parsed, cancelled) =>
        {
            try
            {
                Show(terminal.Output, parsed, cancelled);
                return Task.FromResult(ExitCode.Ok);
            }
            catch (RecordingException failure)
            {
                throw new CommandFailedException(failure.Message, failure);
            }
        });
        return command;
    }

    private void Show(TextWriter output, ParseResult parsed, CancellationToken cancelled)
    {
        string path = parsed.GetRequiredValue(folder);
        RecordingReader? recording = File.Exists(path) ? null : RecordingReader.Open(path);
        using LogFileReader log = recording?.OpenLog() ?? LogFileReader.OpenFrames(path);
        bool asJson = parsed.GetValue(json);
        bool quiet = parsed.GetValue(summaryOnly);
        ulong first = parsed.GetValue(from) ?? 0;
        ulong last = parsed.GetValue(to) ?? ulong.MaxValue;
        LogEntryKind[] wanted = parsed.GetValue(kinds) ?? [];
        var tally = new LogTally(recording?.Manifest.Machine.TscHz ?? MachineConfig.DefaultTscHz);
        if (first > 0)
        {
            log.SeekIcount(first);
        }
        long start = log.Position;
        string separator = asJson ? quiet ? "{" : "{\"entries\": [\n" : "";
        while (log.Read() is { } entry && entry.Icount <= last)
        {
            cancelled.ThrowIfCancellationRequested();
            if (entry.Icount < first)
            {
                continue;
            }
            tally.Pass(entry);
            if (wanted.Length > 0 && !wanted.Contains(LogEntries.KindOf(entry)))
            {
                continue;
            }
            tally.Add(entry);
            if (!quiet)
            {
                output.Write(separator);
                output.Write(asJson ? JsonOf(entry) : TextOf(entry));
                separator = asJson ? ",\n" : "";
            }
        }
        LogSummary summary = tally.Summary(log.Position - start, log.Tail);
        if (asJson)
        {
            string entriesEnd = quiet ? "{" : tally.IsEmpty ? "{\"entries\": [],\n" : "\n],\n";
            output.WriteLine($"{entriesEnd}\"summary\": {JsonSerializer.Serialize(summary, RecordingJson.Options)}}}");
        }
        else
        {
            Print(output, summary);
        }
    }

    private static string TextOf(LogEntry entry) => string.Create(
        CultureInfo.InvariantCulture, $"{entry.Lsn.Value,8} {entry.Icount,16} {LogEntries.KindOf(entry),-16} {LogEntries.Describe(entry)}\n");

    private static string JsonOf(LogEntry entry) => JsonSerializer.Serialize(
        new EntryDocument(entry.Lsn.Value, entry.Icount, LogEntries.KindOf(entry), LogEntries.Describe(entry)), RecordingJson.Line);

    private static void Print(TextWriter output, LogSummary summary)
    {
        output.WriteLine();
        output.WriteLine("kind                  entries        bytes    entries/s      bytes/s   (seconds of guest time)");
        foreach (KindRate kind in summary.Kinds)
        {
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{kind.Kind,-18} {kind.Entries,10} {kind.Bytes,12} {kind.EntriesPerGuestSecond,12:f1} {kind.BytesPerGuestSecond,12:f1}"));
        }
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{summary.Entries} entries, {summary.LogBytes} bytes of log in {summary.GuestSeconds:f3} s of guest time: "
            + $"{summary.BytesPerGuestSecond:f0} bytes/s, {summary.MegabitPerGuestSecond:f3} Mbit/s, {summary.BytesPerThousandInstructions:f4} bytes per 1000 instructions"));
        if (summary.Cut is { } cut)
        {
            output.WriteLine(cut);
        }
    }

    private sealed record EntryDocument(ulong Lsn, ulong Icount, LogEntryKind Kind, string Content);
}
