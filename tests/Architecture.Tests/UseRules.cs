using System.Text.RegularExpressions;

namespace FtAkka.Architecture.Tests;

/// <summary>
/// What src declares for others must be used somewhere in src: what only tests use, or nobody, says of the product what is not so. Judged by words, so
/// that a name which something else has too passes.
/// </summary>
internal static partial class UseRules
{
    private const string ForTests = "tests look at it", Layout = "keeps the layout of the state that emitted code and snapshots share",
        ForOwnSimulations = "for simulations of one's own";

    /// <summary>Names that stand in src only where they are declared, and why they may.</summary>
    public static IReadOnlyDictionary<string, string> Exceptions { get; } = new Dictionary<string, string>
    {
        ["AppendLiteral"] = "the compiler calls it for interpolated strings",
        ["BeginScope"] = "the logging of .NET calls it",
        ["WaitForStartAsync"] = "the generic host calls it",
        ["MachineExitReasons"] = "its methods are called as the enumeration's own",
        ["ApicBase"] = Layout,
        ["Padding0"] = Layout,
        ["Padding2"] = Layout,
        ["Await"] = ForOwnSimulations,
        ["ConsoleBytes"] = ForOwnSimulations,
        ["EffectsOf"] = ForOwnSimulations,
        ["Heal"] = ForOwnSimulations,
        ["RunUntilProtected"] = ForOwnSimulations,
        ["SetQuality"] = ForOwnSimulations,
        ["StatusOf"] = ForOwnSimulations,
        ["SystemOf"] = ForOwnSimulations,
        ["WatchRemoting"] = ForOwnSimulations,
        ["AddendAddress"] = ForTests,
        ["ConsoleText"] = ForTests,
        ["CopyFrom"] = ForTests,
        ["DeviationsWith"] = ForTests,
        ["DifferenceFrom"] = ForTests,
        ["HeldBytes"] = ForTests,
        ["HeldFrames"] = ForTests,
        ["PendingCount"] = ForTests,
        ["ReadTagAddress"] = ForTests,
        ["SupportsSegmentBase"] = ForTests,
        ["WriteTagAddress"] = ForTests,
    };

    /// <summary>The names that the lines of source files declare for others and that stand nowhere else, neither in them nor in what else uses src.</summary>
    /// <param name="source">Lines of src.</param>
    /// <param name="users">Lines of what else uses it: benchmarks, and configuration that names types.</param>
    public static IEnumerable<string> Unused(IReadOnlyCollection<string> source, IEnumerable<string> users)
    {
        var counts = new Dictionary<string, int>();
        foreach (string word in ReadmeRules.WordsOf(source.Concat(users)))
        {
            counts[word] = counts.GetValueOrDefault(word) + 1;
        }
        return source.Select(Declared).Where(name => name.Length > 0 && counts[name] == 1);
    }

    /// <summary>The name that a line declares for others; empty if it declares none, or one that a base type or the command line asks for.</summary>
    private static string Declared(string line)
    {
        Match type = Type().Match(line), member = Member().Match(line);
        return type.Success ? type.Groups["name"].Value : member.Success ? member.Groups["name"].Value : "";
    }

    // Verbs are found by their interface (ICommandModule).
    [GeneratedRegex(@"^\s*(?:public|internal)\s[^(=;{:]*\b(?:class|struct|record|interface|enum)\s+(?!\w+Command\b)(?!struct\b)(?!class\b)(?<name>[A-Z]\w*)")]
    private static partial Regex Type();

    [GeneratedRegex(@"^\s*(?:public|internal)\s(?!.*\b(?:override|operator|class|struct|record|interface|enum|delegate)\b)[^(=;{]*\b(?<name>[A-Z]\w*)(?:<[^>(]*>)?\s*(?:[(=;{]|$)")]
    private static partial Regex Member();
}
