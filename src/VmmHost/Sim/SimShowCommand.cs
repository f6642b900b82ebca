using System.CommandLine;
using FtAkka.DeterministicSim.Reports;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Sim;

/// <summary><c>ftakka sim show</c>: a trace as a time line that a person can read.</summary>
public sealed class SimShowCommand : ICommandModule
{
    private readonly Argument<string> file = new("TRACE") { Description = "A file written by 'sim run --trace'." };
    private readonly Option<string?> html = new("--html") { Description = "Write a self-contained HTML page to this file instead.", HelpName = "FILE" };
    private readonly Option<bool> messages = new("--messages") { Description = "Show every message between hosts." };
    private readonly Option<bool> outside = new("--outputs") { Description = "Show everything that left for the outside." };
    private readonly Option<string?> from = new("--from") { Description = "Begin at this virtual time, such as 4s.", HelpName = "TIME" };
    private readonly Option<string?> to = new("--to") { Description = "End at this virtual time.", HelpName = "TIME" };

    /// <inheritdoc/>
    public string Path => "sim show";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        var command = new Command("show", "Show a trace as a time line: lanes of hosts, roles, faults, moments, messages.") { file, html, messages, outside, from, to };
        command.SetAction((parsed, _) => SimOptions.Guard(() => Show(terminal, parsed)));
        return command;
    }

    private int Show(Terminal terminal, ParseResult parsed)
    {
        string path = parsed.GetRequiredValue(file);
        using var reader = new StreamReader(path);
        TraceFile trace = TraceFile.Read(reader, path);
        if (parsed.GetValue(html) is { } page)
        {
            using var writer = new StreamWriter(page);
            TimelineHtml.Write(writer, trace);
            terminal.Output.WriteLine($"wrote {page}: {trace.Events.Length} events");
            return ExitCode.Ok;
        }
        var view = new TimelineView(
            SimOptions.TimeOf(parsed.GetValue(from), "--from") ?? TimeSpan.Zero, SimOptions.TimeOf(parsed.GetValue(to), "--to") ?? TimeSpan.MaxValue,
            parsed.GetValue(messages), parsed.GetValue(outside));
        SimulationReport report = trace.Header.Report;
        terminal.Output.WriteLine(SimText.Line($"{report.Scenario} (runner {trace.Header.Runner}), seed {report.Seed}; # role, ! fault, * moment, @ operator, > outside, - log"));
        TimelineText.Write(terminal.Output, trace.Header.Hosts, trace.Events, view);
        terminal.Output.WriteLine(report.Violation is { } violation
            ? SimText.Line($"VIOLATION at {SimText.Seconds(violation.At)} s: {violation.Invariant}: {violation.Detail}")
            : SimText.Line($"every invariant held over {SimText.Seconds(report.VirtualTime)} s of virtual time"));
        return ExitCode.Ok;
    }
}
