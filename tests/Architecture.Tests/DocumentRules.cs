using System.Text.RegularExpressions;

namespace FtAkka.Architecture.Tests;

/// <summary>Rules on what the documents under docs say. Each returns the violations as sentences; an empty list is a pass.</summary>
internal static partial class DocumentRules
{
    /// <summary>A test that a document names in backticks, such as <c>`EndingTests.Lone_VM_is_switched_off`</c>, must be there: a promise that names its test is held by it.</summary>
    public static IEnumerable<string> Tests(string document, string text, IReadOnlySet<string> tests) =>
        from match in TestName().Matches(text)
        let name = match.Groups["name"].Value
        where !tests.Contains(name)
        select $"{document} names the test {name}, which is not there";

    /// <summary>Names of the tests of a source, as Class.Method.</summary>
    public static IEnumerable<string> TestsOf(string source)
    {
        string? type = null;
        foreach (string line in source.Split('\n'))
        {
            if (TypeName().Match(line) is { Success: true } declared)
            {
                type = declared.Groups["name"].Value;
            }
            else if (type is not null && MethodName().Match(line) is { Success: true } method)
            {
                yield return $"{type}.{method.Groups["name"].Value}";
            }
        }
    }

    [GeneratedRegex(@"`(?<name>[A-Z]\w*Tests\.[A-Z]\w*_\w+)`")]
    private static partial Regex TestName();

    [GeneratedRegex(@"^public (?:sealed )?(?:partial )?class (?<name>\w+)")]
    private static partial Regex TypeName();

    [GeneratedRegex(@"^    public (?:async )?(?:void|Task) (?<name>[A-Z]\w*_\w+)\(")]
    private static partial Regex MethodName();
}
