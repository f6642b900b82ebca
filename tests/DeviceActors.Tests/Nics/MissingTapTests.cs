using System.Runtime.InteropServices;
using FtAkka.DeviceActors.Nics;

namespace FtAkka.DeviceActors.Tests.Nics;

/// <summary>A network card on a TAP interface that nobody has made.</summary>
public sealed class MissingTapTests
{
    private const int NewNetwork = 0x4000_0000;   // CLONE_NEWNET

    [Fact]
    public void Interface_that_does_not_exist_is_refused_with_the_commands_that_make_it()
    {
        Exception? refusal = null;
        // Where the process may make interfaces, they are made in a network of this thread's own, which ends with it.
        var thread = new Thread(() =>
        {
            _ = Unshare(NewNetwork);
            refusal = Record.Exception(() => TapLink.Open("ftpmissing").Dispose());
        });
        thread.Start();
        thread.Join();
        Assert.True(refusal is not null, "the TAP interface ftpmissing was made, on no bridge");
        Assert.True(refusal.Message.Contains("ip tuntap add", StringComparison.Ordinal), $"the TAP interface ftpmissing was refused, and not how to make it: {refusal.Message}");
    }

    [DllImport("libc", EntryPoint = "unshare", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Unshare(int what);
}
