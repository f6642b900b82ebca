using System.CommandLine;
using FtAkka.Actors.Recordings;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Recordings;

/// <summary><c>ftakka diff</c>: where two recordings part.</summary>
public sealed class DiffCommand : ICommandModule
{
    private readonly Argument<string> first = new("DIR1") { Description = "Folder of a recording." };

    private readonly Argument<string> second = new("DIR2") { Description = "Folder of another one." };

    private readonly Option<bool> json = ReportOptions.Json();

    /// <inheritdoc/>
    public string Path => "diff";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        var command = new Command(
            "diff", "Compare two recordings: the machines, the first log entry that differs, and the states it leads to. Exits with 1 when they differ.")
        {
            first, second, json,
        };
        command.SetAction(parsed =>
        {
            try
            {
                var diff = new RecordingDiff(
                    RecordingReader.Open(parsed.GetRequiredValue(first)), RecordingReader.Open(parsed.GetRequiredValue(second)), terminal.Progress);
                DiffReport report = diff.Compare();
                if (parsed.GetValue(json))
                {
                    terminal.WriteJson(report);
                }
                else
                {
                    Print(terminal.Output, report);
                }
                return report.Equal ? ExitCode.Ok : ExitCode.Failed;
            }
            catch (RecordingException failure)
            {
                throw new CommandFailedException(failure.Message, failure);
            }
        });
        return command;
    }

    private static void Print(TextWriter output, DiffReport report)
    {
        if (report.Equal)
        {
            output.WriteLine("the recordings are the same");
            return;
        }
        foreach (DifferentValue setting in report.Configuration)
        {
            output.WriteLine($"setting {setting.Name}: {setting.First}  {setting.Second}");
        }
        Print(output, "the machines start from different states", report.Start);
        if (report.Entry is { } entry)
        {
            output.WriteLine("the first entry that differs:");
            foreach (string line in report.Before)
            {
                output.WriteLine($"   {line}");
            }
            output.WriteLine($"1: {(entry.First.Length > 0 ? entry.First : "(the log ends here)")}");
            output.WriteLine($"2: {(entry.Second.Length > 0 ? entry.Second : "(the log ends here)")}");
        }
        if (report.EntryDetail is { } detail)
        {
            output.WriteLine(detail);
        }
        Print(output, "state where the different inputs have been delivered", report.AtEntry);
        if (report.Culprit is { } culprit)
        {
            output.WriteLine("the instruction that makes registers differ for the first time:");
            output.WriteLine($"     {culprit}");
        }
        Print(output, "state behind it", report.FirstRegisters);
        foreach (string problem in report.Problems)
        {
            output.WriteLine(problem);
        }
        Print(output, "state in the first keyframes behind it", report.Keyframe);
    }

    private static void Print(TextWriter output, string title, StateDifference? difference)
    {
        if (difference is null)
        {
            return;
        }
        output.WriteLine($"{title}, icount {InstructionCount.Text(difference.Icount)}:");
        foreach (string line in difference.Lines())
        {
            output.WriteLine(line);
        }
    }
}
