
namespace FtAkka.GuestKit.Tests;

/// <summary>The first process's script, as far as the host's own shell can run it.</summary>
public sealed class InitScriptTests
{
    [Theory]
    [InlineData("init")]
    [InlineData("etc/udhcpc/default.script")]
    public void Script_is_syntactically_sound(string place)
    {
        Assert.Equal(string.Empty, Shell(InitramfsBuilder.OwnFiles[place], "-n"));
    }

    [Fact]
    public void Userland_line_comes_before_any_work()
    {
        string first = InitramfsBuilder.OwnFiles["init"].Split('\n').First(line => line.Length > 0 && !line.StartsWith('#'));

        Assert.Equal("echo " + InitramfsBuilder.UserlandLine, first);
    }

    [Theory]
    [InlineData("quiet ftakka.run=ls console=ttyS0", "ls")]
    [InlineData("ftakka.run=\"echo a b; uname\" quiet", "echo a b; uname")]
    [InlineData("quiet ftakka.run=\"x=1\"", "x=1")]
    [InlineData("xftakka.run=ls", "none")]
    [InlineData("ftakka.run64=bHM=", "none")]
    [InlineData("", "none")]
    public void Parameter_is_found_as_a_whole_word_with_or_without_quotes(string commandLine, string expected)
    {
        string script = Function("param") + $"\ncmdline='{commandLine}'\nif param ftakka.run; then echo \"$value\"; else echo none; fi\n";

        Assert.Equal(expected, Shell(script).Trim());
    }

    [Theory]
    [InlineData("quiet ftakka.dhcp", "yes")]
    [InlineData("ftakka.dhcp quiet", "yes")]
    [InlineData("ftakka.dhcpx", "no")]
    public void Flag_is_a_whole_word(string commandLine, string expected)
    {
        string script = Function("flag") + $"\ncmdline='{commandLine}'\nif flag ftakka.dhcp; then echo yes; else echo no; fi\n";

        Assert.Equal(expected, Shell(script).Trim());
    }

    private static string Function(string name)
    {
        string init = InitramfsBuilder.OwnFiles["init"];
        int start = init.IndexOf(name + "() {", StringComparison.Ordinal);
        return init[start..(init.IndexOf("\n}", start, StringComparison.Ordinal) + 2)];
    }

    private static string Shell(string script, params string[] options)
    {
        using var folder = new TemporaryFolder(Path.GetTempPath());
        string file = Path.Combine(folder.Path, "script");
        File.WriteAllText(file, script);
        return HostCommand.RunChecked("sh", [.. options, file]);
    }
}
