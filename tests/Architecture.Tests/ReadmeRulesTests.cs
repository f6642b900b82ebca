namespace FtAkka.Architecture.Tests;

/// <summary>The READMEs under src say what is so, and each rule sees a violation planted for it.</summary>
public sealed class ReadmeRulesTests
{
    private static readonly HashSet<string> Words =
        [.. SourceTree.SourceFiles("src").SelectMany(file => ReadmeRules.WordsOf(File.ReadLines(Path.Combine(SourceTree.Root, file))))];

    public static TheoryData<string> Projects => [.. SourceTree.SourceProjects];

    [Theory]
    [MemberData(nameof(Projects))]
    public void Readme_names_only_what_the_source_has(string project) => Violations.None(ReadmeRules.Names(project, Readme(project), Words));

    [Theory]
    [MemberData(nameof(Projects))]
    public void Readme_names_only_files_and_folders_that_are_there(string project)
    {
        Violations.None(ReadmeRules.Paths(project, Readme(project), Exists));
        string[] folders =
        [
            .. Directory.GetDirectories(Path.Combine(SourceTree.Root, "src", project)).Select(folder => Path.GetFileName(folder)!)
                .Where(folder => folder is not ("bin" or "obj")),
        ];
        Violations.None(ReadmeRules.Folders(project, Readme(project), folders));
    }

    [Theory]
    [MemberData(nameof(Projects))]
    public void Readme_says_of_references_what_the_table_of_layers_says(string project) =>
        Violations.None(ReadmeRules.References(project, Readme(project)));

    [Fact]
    public void Planted_name_that_is_gone_is_seen()
    {
        HashSet<string> words = [.. ReadmeRules.WordsOf(["class Disk { void Step() { } }", "    // and no Gate"])];
        Assert.Equal(
            ["src/X/README.md names Gate, but no source has Gate", "src/X/README.md names Disk.Stop(now), but no source has Stop"],
            ReadmeRules.Names("X", "`Disk` and `Disk.Step(now)`, `unsafe`, `vm start`, `Gate`, `Disk.Stop(now)`", words));
    }

    [Fact]
    public void Planted_path_and_folder_that_are_not_there_are_seen()
    {
        Assert.Equal(["src/X/README.md names A/C.cs, which is not there"], ReadmeRules.Paths("X", "`A/B` `A/C.cs` `a/b c`", path => path == "src/X/A/B.cs"));
        Assert.Equal(
            ["src/X/README.md lists the folder B, which is not there", "src/X/README.md does not list the folder C"],
            ReadmeRules.Folders("X", "| A/ | a |\n| B/ | b |\n", ["A", "C"]));
        Assert.Empty(ReadmeRules.Folders("X", "No table.", ["A", "C"]));
    }

    [Fact]
    public void Planted_untruth_about_references_is_seen() =>
        Assert.Equal(
            ["src/Machine/README.md says 'May reference: Actors', and Layers says otherwise", "src/Machine/README.md says 'Must not reference: Cpu', and Layers says otherwise"],
            ReadmeRules.References("Machine", "May reference: Cpu, Actors. Replication is above.\nMust not reference: Cpu; Akka, Iced; any other project."));

    private static string Readme(string project) => File.ReadAllText(Path.Combine(SourceTree.Root, "src", project, "README.md"));

    private static bool Exists(string path)
    {
        string whole = Path.Combine(SourceTree.Root, path);
        string folder = Path.GetDirectoryName(whole)!, name = Path.GetFileName(whole);
        return name.Length == 0 ? Directory.Exists(folder) : Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder, name).Any();
    }
}
