using System.Text.RegularExpressions;
using FtAkka.KnownFailures;

namespace FtAkka.Architecture.Tests;

/// <summary>A test that is known to fail.</summary>
/// <param name="Issue">Title of its issue, up to the colon.</param>
/// <param name="Test">Class and method.</param>
/// <param name="Today">What goes wrong.</param>
internal sealed record KnownFailure(string Issue, string Test, string Today);

/// <summary>Tests that are marked as known to fail, and the table of docs/known-failures.md, say the same.</summary>
internal static partial class KnownFailureRules
{
    public const string Table = "docs/known-failures.md";

    /// <summary>The marked tests of a source file. The words of a mark are one literal each, so that they can be read here.</summary>
    public static IEnumerable<KnownFailure> Marked(string source)
    {
        foreach (Match mark in Mark().Matches(source))
        {
            string today = mark.Groups["today"].Value.Replace("\\\"", "\"", StringComparison.Ordinal);
            string type = Type().Matches(source[..mark.Index]) is { Count: > 0 } types ? types[^1].Groups["name"].Value : "";
            yield return new KnownFailure(TitleOf(mark.Groups["issue"].Value), $"{type}.{mark.Groups["method"].Value}", today);
        }
    }

    /// <summary>How often a source file marks a test, however it is written.</summary>
    public static int Marks(string source) => AnyMark().Count(source);

    /// <summary>The rows of the table: case, issue, test, what goes wrong.</summary>
    public static IEnumerable<KnownFailure> Listed(string text) =>
        Row().Matches(text).Select(row => new KnownFailure(row.Groups["issue"].Value, row.Groups["test"].Value, row.Groups["today"].Value));

    public static IEnumerable<string> Differences(IReadOnlyCollection<KnownFailure> marked, IReadOnlyCollection<KnownFailure> listed) =>
    [
        .. marked.Except(listed).Select(one => $"{Table} lacks the row: {one.Issue} | `{one.Test}` | {one.Today}"),
        .. listed.Except(marked).Select(one => $"{Table} lists {one.Test}, and no such test is marked so ({one.Issue}: {one.Today})"),
        .. listed.GroupBy(one => one.Test).Where(same => same.Count() > 1).Select(same => $"{Table} lists {same.Key} more than once"),
    ];

    private static string TitleOf(string name) =>
        ((string?)typeof(Issue).GetField(name)?.GetRawConstantValue() ?? name).Split(':')[0];

    [GeneratedRegex("""
        \[KnownToFail\(Issue\.(?<issue>\w+),\s*"(?<today>(?:[^"\\]|\\")*)"(?:,\s*Shows = "(?:[^"\\]|\\")*")?\)\]\s*public (?:async )?(?:void|Task) (?<method>\w+)\(
        """)]
    private static partial Regex Mark();

    [GeneratedRegex(@"^\s*\[KnownToFail\b", RegexOptions.Multiline)]
    private static partial Regex AnyMark();

    [GeneratedRegex(@"^public (?:sealed )?(?:partial )?class (?<name>\w+)", RegexOptions.Multiline)]
    private static partial Regex Type();

    [GeneratedRegex(@"^\| [^|]+ \| (?<issue>[^|]+) \| `(?<test>[\w.]+)` \| (?<today>[^|]+) \|$", RegexOptions.Multiline)]
    private static partial Regex Row();
}
