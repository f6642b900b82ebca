using System.Text;
using FtAkka.GuestKit;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Tests.Guests;

/// <summary>VMs beside one another do not disturb each other.</summary>
[Collection(GuestTestCollection.Name)]
public sealed class SeveralVmsTests : IDisposable
{
    private readonly TemporaryFolder folder = new(Path.GetTempPath());

    public void Dispose() => folder.Dispose();

    [GuestFact("gcc")]
    public async Task Two_VMs_in_one_process_compute_as_one_does_alone()
    {
        string[] proofs = ["numbers", "memory"];
        string[] expected = GuestImage.OnHost(proofs);
        string image = GuestImage.Write(folder.Path, GuestImage.Plain, $"ftproof {string.Join(' ', proofs)}");
        string[] consoles = ["first", "second"];

        int[] statuses = await Task.WhenAll(consoles.Select(name => Task.Run(() => RunHereAsync(image, Path.Combine(folder.Path, name)))));

        Assert.Equal([ExitCode.Ok, ExitCode.Ok], statuses);
        Assert.All(consoles, name => Assert.Equal(expected, ScriptOutput(Path.Combine(folder.Path, name))));
    }

    [GuestFact("gcc", Long = true)]
    public void Five_processes_at_once_compute_as_one_does_alone()
    {
        string[] proofs = ["numbers", "signals", "threads", "memory"];
        string[] expected = GuestImage.OnHost(proofs);
        string image = GuestImage.Write(folder.Path, GuestImage.Plain, $"ftproof {string.Join(' ', proofs)}");
        GuestProcess[] guests = [.. Enumerable.Range(0, 5).Select(_ => GuestProcess.StartFtAkka(GuestProcess.Boot(image, "256M")))];
        try
        {
            foreach (GuestProcess guest in guests)
            {
                Assert.True(guest.End(GuestProcess.Patience * 2) == ExitCode.Ok, guest.Story());
                Assert.Equal(expected, guest.Output);
            }
        }
        finally
        {
            foreach (GuestProcess guest in guests)
            {
                guest.Dispose();
            }
        }
    }

    /// <summary>A run by the command line within this process: actor system, machine and devices of its own.</summary>
    private static async Task<int> RunHereAsync(string image, string console)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var application = new CommandLineApplication(CommandLineApplication.FindModules(), output, error);
        int status = await application.RunAsync(["run", .. GuestProcess.Boot(image, "256M"), "--console", $"file:{console}"]);
        Assert.True(status == ExitCode.Ok, error.ToString());
        return status;
    }

    private static string[] ScriptOutput(string console) =>
        GuestProcess.ScriptOutput(File.ReadAllText(console, Encoding.Latin1).Split('\n').Select(line => line.TrimEnd('\r')));
}
