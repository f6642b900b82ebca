namespace FtAkka.Architecture.Tests;

/// <summary>The source files keep the rules, and each rule sees a violation planted for it.</summary>
public sealed class FileRulesTests
{
    private static readonly string[] Folders = ["src", "tests"];

    [Fact]
    public void No_file_is_too_long() =>
        Violations.None(Folders.SelectMany(SourceTree.SourceFiles)
            .SelectMany(file => FileRules.Length(file, File.ReadLines(Path.Combine(SourceTree.Root, file)).Count())));

    [Fact]
    public void No_file_or_folder_has_an_empty_name() =>
        Violations.None(Folders.SelectMany(SourceTree.SourceFiles).SelectMany(FileRules.Name));

    [Fact]
    public void Planted_long_file_is_seen()
    {
        Assert.Empty(FileRules.Length("src/X/Y.cs", FileRules.LinesMax));
        Assert.Equal(["src/X/Y.cs has 601 lines, more than 600: split it by subject"], FileRules.Length("src/X/Y.cs", FileRules.LinesMax + 1));
    }

    [Theory]
    [InlineData("src/X/Common/Y.cs", "Common")]
    [InlineData("src/X/DiskHelper.cs", "Helper")]
    [InlineData("src/X/Utils.cs", "Utils")]
    public void Planted_empty_name_is_seen(string file, string name) =>
        Assert.Equal([$"{file}: '{name}' does not say what it is for"], FileRules.Name(file));

    [Fact]
    public void Telling_name_passes() => Assert.Empty(FileRules.Name("src/X/CommonMode/CommonModeRejection.cs"));
}
