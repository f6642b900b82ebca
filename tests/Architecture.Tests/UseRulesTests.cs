namespace FtAkka.Architecture.Tests;

/// <summary>Nothing in src waits for a user that does not exist, and the rule sees what was planted for it.</summary>
public sealed class UseRulesTests
{
    private static readonly string[] Unused =
    [
        .. UseRules.Unused([.. SourceTree.SourceFiles("src").SelectMany(Lines)], [.. SourceTree.SourceFiles("bench").SelectMany(Lines), .. Configuration()]),
    ];

    [Fact]
    public void Everything_declared_in_src_for_others_is_used_in_src() =>
        Violations.None(Unused.Where(name => !UseRules.Exceptions.ContainsKey(name)).Select(name => $"Nothing in src uses {name}: remove it, or say in {nameof(UseRules)} why it stays"));

    [Fact]
    public void Every_exception_is_still_one() =>
        Violations.None(UseRules.Exceptions.Keys.Except(Unused).Select(name => $"{name} is used or gone: {nameof(UseRules)} need not name it"));

    [Fact]
    public void Planted_members_and_types_without_a_user_are_seen()
    {
        string[] source =
        [
            "public sealed record Gate(int Width)", "internal static class Opener", "public class Door : Gate",
            "    public int Count => 3;", "    public void Step(int now)", "    public bool IsOpen { get; init; }", "    public List<T> All<T>(int i)", "    public const int Most = 4;",
            "    public override void Shut()", "    private int hidden;", "    // Count, Step, Opener",
            "    int sum = Width + Most;", "public sealed class OpenCommand",
        ];
        Assert.Equal(["Opener", "Count", "Step", "IsOpen", "All"], UseRules.Unused(source, ["new Door()"]));
    }

    private static IEnumerable<string> Lines(string file) => File.ReadLines(Path.Combine(SourceTree.Root, file));

    private static IEnumerable<string> Configuration() =>
        Directory.EnumerateFiles(Path.Combine(SourceTree.Root, "src"), "*.hocon", SearchOption.AllDirectories)
            .Append(Path.Combine(SourceTree.Root, "akka.hocon")).SelectMany(File.ReadLines);
}
