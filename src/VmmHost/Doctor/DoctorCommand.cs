using System.CommandLine;
using FtAkka.VmmHost.Cli;
using Spectre.Console;

namespace FtAkka.VmmHost.Doctor;

/// <summary><c>ftakka doctor</c>: what this host can do, and how to get the rest.</summary>
public sealed class DoctorCommand : ICommandModule
{
    /// <summary>What <c>--json</c> prints.</summary>
    /// <param name="CanRunGuests">Whether everything required is there.</param>
    /// <param name="Checks">Every check.</param>
    public sealed record Report(bool CanRunGuests, IReadOnlyList<CheckResult> Checks);

    private readonly IReadOnlyList<HostCheck> checks;

    /// <summary>The command with all checks.</summary>
    public DoctorCommand()
        : this(HostChecks.All)
    {
    }

    /// <summary>The command with these checks.</summary>
    internal DoctorCommand(IReadOnlyList<HostCheck> checks) => this.checks = checks;

    /// <inheritdoc/>
    public string Path => "doctor";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        Option<bool> json = ReportOptions.Json();
        var command = new Command("doctor", "Say what this host can do and how to get the rest. Fails when guests cannot run here.") { json };
        command.SetAction(parsed => Run(terminal, parsed.GetValue(json)));
        return command;
    }

    private int Run(Terminal terminal, bool json)
    {
        CheckResult[] results = [.. checks.Select(check => check.Run())];
        bool canRunGuests = results.All(result => result is { Need: CheckNeed.Optional } or { Status: CheckStatus.Ok });
        if (json)
        {
            terminal.WriteJson(new Report(canRunGuests, results));
        }
        else
        {
            Print(terminal.Out, results, canRunGuests);
        }
        return canRunGuests ? ExitCode.Ok : ExitCode.Failed;
    }

    private static void Print(IAnsiConsole console, CheckResult[] results, bool canRunGuests)
    {
        int width = results.Max(result => result.Name.Length);
        foreach (CheckResult result in results)
        {
            (string word, string colour) = result switch
            {
                { Status: CheckStatus.Ok } => ("ok", "green"),
                { Need: CheckNeed.Required } => ("MISSING", "red"),
                _ => ("missing", "yellow"),
            };
            WriteLine(console, $"[{colour}]{word,-8}[/]", $" {result.Name.PadRight(width)}  {result.Found}");
            if (result.Status != CheckStatus.Ok)
            {
                string indent = new(' ', 11 + width);
                WriteLine(console, "", $"{indent}needed for: {result.NeededFor}");
                WriteLine(console, "", $"{indent}to get it:  {result.Remedy}");
            }
        }
        int missing = results.Count(result => result is { Need: CheckNeed.Optional, Status: CheckStatus.Missing });
        string rest = missing == 0 ? "everything else is there too" : $"{missing} optional things are missing";
        WriteLine(console, "", canRunGuests ? $"This host can run guests; {rest}." : "This host cannot run guests: see MISSING above.");
    }

    private static void WriteLine(IAnsiConsole console, string markup, string text) => console.MarkupLine(markup + Markup.Escape(text));
}
