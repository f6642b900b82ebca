namespace FtAkka.Architecture.Tests;

/// <summary>The documents say what is so, and each rule sees a violation planted for it.</summary>
public sealed class DocumentRulesTests
{
    private static readonly HashSet<string> Tests =
        [.. SourceTree.SourceFiles("tests").SelectMany(file => DocumentRules.TestsOf(File.ReadAllText(Path.Combine(SourceTree.Root, file))))];

    public static TheoryData<string> Documents =>
        [.. Directory.GetFiles(Path.Combine(SourceTree.Root, "docs"), "*.md").Select(file => Path.GetFileName(file)!).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Documents))]
    public void Document_names_only_tests_that_are_there(string document) =>
        Violations.None(DocumentRules.Tests($"docs/{document}", File.ReadAllText(Path.Combine(SourceTree.Root, "docs", document)), Tests));

    [Fact]
    public void Planted_test_that_is_not_there_is_seen()
    {
        HashSet<string> tests = [.. DocumentRules.TestsOf("public sealed class GateTests\n{\n    public async Task Gate_opens()\n    public void Gate_shuts() =>\n}")];
        Assert.Equal(
            ["docs/x.md names the test GateTests.Gate_sticks, which is not there"],
            DocumentRules.Tests("docs/x.md", "`GateTests.Gate_opens`, `GateTests.Gate_shuts`, `GateTests.Gate_sticks`, `Gate.Open`", tests));
    }
}
