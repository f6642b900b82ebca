using System.CommandLine;

namespace FtAkka.VmmHost.Cli;

/// <summary>Options that reporting verbs share, so that they are spelled and explained alike.</summary>
public static class ReportOptions
{
    /// <summary><c>--json</c>, which every verb that reports something has.</summary>
    public static Option<bool> Json() => new("--json") { Description = "Print one JSON document instead of text." };
}
