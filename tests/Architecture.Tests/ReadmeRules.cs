using System.Text.RegularExpressions;

namespace FtAkka.Architecture.Tests;

/// <summary>Rules on what the README of a project under src says. Each returns the violations as sentences; an empty list is a pass.</summary>
internal static partial class ReadmeRules
{
    private const string May = "May reference:", MustNot = "Must not reference:";

    /// <summary>
    /// Names of types and members in backticks, such as <c>`Replica.Step`</c> or <c>`ClockAdvance(...)`</c>, must be words of the source: a README
    /// that names what is gone is found here. It is not found if another type has taken the name.
    /// </summary>
    public static IEnumerable<string> Names(string project, string text, IReadOnlySet<string> words) =>
        from span in CodeSpans(text)
        let name = TypeOrMember().Match(span).Groups["name"].Value
        where name.Length > 0
        from part in name.Split('.')
        where !words.Contains(part)
        select $"src/{project}/README.md names {span}, but no source has {part}";

    /// <summary>
    /// Paths in backticks, such as <c>`Engine/Stubs.cs`</c>, must lead to something from the project's folder or from the root; a star stands for the
    /// rest of a name, and the extension of a source file may be missing.
    /// </summary>
    public static IEnumerable<string> Paths(string project, string text, Func<string, bool> exists) =>
        from span in CodeSpans(text)
        where RelativePath().IsMatch(span)
        where !new[] { $"src/{project}/{span}", $"src/{project}/{span}.cs", span }.Any(exists)
        select $"src/{project}/README.md names {span}, which is not there";

    /// <summary>A table of folders has each folder of the project, and no other.</summary>
    public static IEnumerable<string> Folders(string project, string text, IReadOnlyCollection<string> folders)
    {
        string[] listed = [.. FolderRow().Matches(text).Select(row => row.Groups["folder"].Value)];
        if (listed.Length == 0)
        {
            return [];
        }
        return listed.Except(folders).Select(folder => $"src/{project}/README.md lists the folder {folder}, which is not there")
            .Concat(folders.Except(listed).Select(folder => $"src/{project}/README.md does not list the folder {folder}"));
    }

    /// <summary>What a README says of references must be what <see cref="Layers"/> says.</summary>
    public static IEnumerable<string> References(string project, string text)
    {
        foreach (string line in text.Split('\n'))
        {
            bool may = line.StartsWith(May, StringComparison.Ordinal);
            if (!may && !line.StartsWith(MustNot, StringComparison.Ordinal))
            {
                continue;
            }
            // What follows the list of names is a sentence of its own.
            string list = line[(may ? May : MustNot).Length..].Split(". ")[0];
            foreach (string name in Name().Matches(list).Select(match => match.Value.TrimEnd('.')))
            {
                if (MayReference(project, name) is { } allowed && allowed != may)
                {
                    yield return $"src/{project}/README.md says '{(may ? May : MustNot)} {name}', and Layers says otherwise";
                }
            }
        }
    }

    /// <summary>The words of a source, without those that stand in comments only.</summary>
    public static IEnumerable<string> WordsOf(IEnumerable<string> lines) =>
        lines.Where(line => !line.TrimStart().StartsWith("//", StringComparison.Ordinal)).SelectMany(line => Word().Matches(line)).Select(match => match.Value);

    /// <summary>Null for a name that is neither a project nor a guarded package.</summary>
    private static bool? MayReference(string project, string name)
    {
        if (Layers.AllowedReferences.ContainsKey(name))
        {
            return Layers.AllowedReferences[project].Contains(name);
        }
        foreach ((string package, string[] projects) in Layers.GuardedPackages)
        {
            if (ProjectRules.IsFamily(name, package))
            {
                return projects.Contains(project);
            }
        }
        return null;
    }

    private static IEnumerable<string> CodeSpans(string text) => CodeSpan().Matches(text).Select(match => match.Groups["code"].Value);

    [GeneratedRegex(@"`(?<code>[^`\n]+)`")]
    private static partial Regex CodeSpan();

    [GeneratedRegex(@"^(?<name>[A-Z]\w*(\.[A-Z]\w*)*)(\(.*\).*)?$")]
    private static partial Regex TypeOrMember();

    [GeneratedRegex(@"^[\w.*-]+/[\w.*/-]*$")]
    private static partial Regex RelativePath();

    [GeneratedRegex(@"^\| (?<folder>\w+)/ \|", RegexOptions.Multiline)]
    private static partial Regex FolderRow();

    [GeneratedRegex(@"[A-Za-z][\w.]*")]
    private static partial Regex Name();

    [GeneratedRegex(@"\w+")]
    private static partial Regex Word();
}
