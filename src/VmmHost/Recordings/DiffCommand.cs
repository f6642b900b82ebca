using System.CommandLine;
using FtAkka.Recordings;
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
                    DiffText.Write(terminal.Output, report);
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
}
