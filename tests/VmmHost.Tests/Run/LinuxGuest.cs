using System.Text;
using FtAkka.GuestKit;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Tests.Run;

/// <summary>What a run of the program came to.</summary>
internal sealed record GuestRun(int ExitCode, string Console, string Errors)
{
    /// <summary>The console without carriage returns.</summary>
    public string Text => Console.Replace("\r", "", StringComparison.Ordinal);

    /// <summary>Lines between those that say <c>BEGIN name</c> and <c>END name</c>.</summary>
    public string[] Section(string name)
    {
        string[] lines = Text.Split('\n');
        int begin = Array.IndexOf(lines, $"BEGIN {name}"), end = Array.IndexOf(lines, $"END {name}");
        Assert.True(begin >= 0 && end > begin, $"no section {name} on the console:\n{Text}\n{Errors}");
        return lines[(begin + 1)..end];
    }
}

/// <summary>The stock Debian guest, run by the program's own command line inside this process.</summary>
internal static class LinuxGuest
{
    private static readonly object Fetching = new();

    /// <summary>The kernel files; fetched when they are not there.</summary>
    public static GuestFolder Fetched()
    {
        GuestFolder folder = GuestFolder.Default;
        lock (Fetching)
        {
            if (folder.PreferredKernel is null || !File.Exists(folder.Initramfs()))
            {
                new GuestFetch(new GuestFetchOptions { Folder = folder }, Console.WriteLine).Run();
            }
        }
        return folder;
    }

    /// <summary>Runs <c>ftakka run</c> with the guest's initramfs, a shell script as its first process's command, and its console in a file.</summary>
    public static async Task<GuestRun> RunAsync(TemporaryFolder folder, string script, string? kernel = null, params string[] flags)
    {
        GuestFolder guest = Fetched();
        string console = Path.Combine(folder.Path, $"console-{Guid.NewGuid():N}");
        string command = Convert.ToBase64String(Encoding.UTF8.GetBytes(script));
        using var errors = new StringWriter();
        CommandLineApplication application = new(CommandLineApplication.FindModules(), TextWriter.Null, errors);
        int exitCode = await application.RunAsync(
        [
            "run", "--kernel", kernel ?? guest.PreferredKernel!, "--initrd", guest.Initramfs(), "--memory", "384M", "--console", $"file:{console}",
            "--append", $"ftakka.run64={command}", .. flags,
        ]);
        return new GuestRun(exitCode, File.Exists(console) ? await File.ReadAllTextAsync(console) : "", errors.ToString());
    }
}

/// <summary>A test that boots Linux. Where neither the kernel nor apt is, it is skipped and says so; with FTAKKA_CI=1 it runs in any case.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class LinuxGuestFactAttribute : FactAttribute
{
    public LinuxGuestFactAttribute(bool isLong = false)
    {
        bool isThere = GuestFolder.Default.PreferredKernel is not null && File.Exists(GuestFolder.Default.Initramfs());
        bool hasApt = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(path => File.Exists(System.IO.Path.Combine(path, "apt-get")));
        if (!isThere && !hasApt && Environment.GetEnvironmentVariable("FTAKKA_CI") != "1")
        {
            Skip = $"needs the Debian kernel in {GuestFolder.Default.Path} (./ftakka guest fetch), or apt to fetch it";
        }
        else if (isLong && Environment.GetEnvironmentVariable("FTAKKA_LONG_TESTS") != "1")
        {
            Skip = "takes minutes: set FTAKKA_LONG_TESTS=1";
        }
    }
}
