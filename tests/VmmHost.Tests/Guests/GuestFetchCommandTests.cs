using FtAkka.GuestKit;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Guests;

namespace FtAkka.VmmHost.Tests.Guests;

public sealed class GuestFetchCommandTests : IDisposable
{
    private readonly TemporaryFolder folder = new(Path.GetTempPath());

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("--name", "../etc")]
    [InlineData("--name", "")]
    [InlineData("--file", "/does/not/exist")]
    [InlineData("--file", "/etc/passwd:../x")]
    [InlineData("--file", "/etc/passwd:/")]
    public async Task Bad_options_are_refused_before_anything_is_done(string option, string value)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var application = new CommandLineApplication([new GuestFetchCommand()], output, error);

        int code = await application.RunAsync(["guest", "fetch", "--folder", Path.Combine(folder.Path, "new"), option, value]);

        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains(option, error.ToString(), StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(folder.Path, "new")));
    }
}
