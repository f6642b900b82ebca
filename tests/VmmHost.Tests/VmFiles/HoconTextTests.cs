using System.Text;
using FtAkka.VmmHost.VmFiles;

namespace FtAkka.VmmHost.Tests.VmFiles;

/// <summary>No text that is short enough to be read ends the process by its stack: the parser's, or that of whoever walks what it has made.</summary>
public sealed class HoconTextTests
{
    private const string File = "/vms/web.hocon";

    [Theory]
    [InlineData("a = ", "[", "")]
    [InlineData("", "a{", "")]
    [InlineData("", "a.", "b = 1")]
    [InlineData("", "a.\n", "b = 1")]
    [InlineData("a = ", "[", "]")]
    [InlineData("a = ", "{b=", "1")]
    public void Text_that_is_nested_as_deep_as_it_can_be_is_refused(string before, string level, string after)
    {
        string text = Nested(HoconText.OpenersMax), deeper = Nested(HoconText.OpenersMax + 1);
        Assert.Contains("nested deeper than", Assert.Throws<FormatException>(() => HoconText.Parse(text)).Message, StringComparison.Ordinal);
        Assert.Contains("nested too deep", Assert.Throws<FormatException>(() => HoconText.Parse(deeper)).Message, StringComparison.Ordinal);
        Assert.Contains(File, Assert.Throws<SpecException>(() => VmSpecFile.Parse(text, File)).Message, StringComparison.Ordinal);

        string Nested(int levels) => before + new StringBuilder().Insert(0, level, levels) + after;
    }

    [Theory]
    [InlineData("kernel = ${kernel}")]
    [InlineData("a = ${b}\nb = ${a.c}")]
    [InlineData("a { b = ${a} }")]
    public void Substitution_is_refused_since_it_may_lead_to_itself(string text)
    {
        Assert.Contains("substitution", Assert.Throws<FormatException>(() => HoconText.Parse(text)).Message, StringComparison.Ordinal);
        Assert.Contains(File, Assert.Throws<SpecException>(() => VmSpecFile.Parse(text, File)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Text_that_is_too_long_is_refused() =>
        Assert.Contains("at most", Assert.Throws<FormatException>(() => HoconText.Parse(new string(' ', HoconText.LengthMax + 1))).Message, StringComparison.Ordinal);

    [Fact]
    public void Brackets_and_dots_in_words_and_comments_are_no_levels()
    {
        string many = string.Concat(Enumerable.Repeat("[{.", 600));
        Assert.Equal(many, HoconText.Parse($"a = \"{many}\" # {many}").GetString("a"));
        Assert.Equal(1, HoconText.Parse(string.Concat(Enumerable.Repeat("a { ", HoconText.NestingMax - 2)) + "b = 1").GetInt(string.Concat(Enumerable.Repeat("a.", HoconText.NestingMax - 2)) + "b"));
    }
}
