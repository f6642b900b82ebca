using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using FtAkka.GuestKit;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Tests.Run;

/// <summary>A person at the guest's shell, by way of a console on a unix socket.</summary>
public sealed partial class InteractiveRunTests : IDisposable
{
    private const string Prompt = "ftakka:/# ";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly TemporaryFolder folder = new(Path.GetTempPath());
    private readonly StringWriter errors = new();

    public void Dispose()
    {
        errors.Dispose();
        folder.Dispose();
    }

    [LinuxGuestFact]
    public async Task Shell_answers_the_guests_clock_runs_with_the_hosts_and_power_off_ends_the_run()
    {
        GuestFolder guest = LinuxGuest.Fetched();
        string path = Path.Combine(folder.Path, "console");
        CommandLineApplication application = new(CommandLineApplication.FindModules(), TextWriter.Null, errors);
        Task<int> run = application.RunAsync(
            ["run", "--kernel", guest.PreferredKernel!, "--initrd", guest.Initramfs(), "--memory", "256M", "--console", $"unix:{path}", "--append", "quiet"]);
        using Socket console = await ConnectAsync(path, run);

        await ReadUntilAsync(console, Prompt);
        await TypeAsync(console, "echo $((6 * 7))\r");
        Assert.Contains("\n42\r", await ReadUntilAsync(console, Prompt), StringComparison.Ordinal);

        Reading before = await ReadClocksAsync(console);
        await Task.Delay(2000); // the guest is idle
        await TypeAsync(console, "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done\r"); // and busy
        await ReadUntilAsync(console, Prompt);
        Reading after = await ReadClocksAsync(console);
        // The guest looked at its clock at some time between question and answer, which a busy host draws out.
        double passed = after.Guest - before.Guest;
        double least = (after.Asked - before.Answered) / 1000.0, most = (after.Answered - before.Asked) / 1000.0;
        // A clock that lost its idle or its busy time would be off by far more.
        Assert.True(passed > (least * 0.9) - 0.1 && passed < (most * 1.1) + 0.1, $"{passed} s passed in the guest, between {least} and {most} s on the host");

        await TypeAsync(console, "poweroff -f\r");
        Assert.Equal(ExitCode.Ok, await run.WaitAsync(Patience));
        Assert.Equal("", errors.ToString());
        Assert.False(File.Exists(path));
    }

    private static async Task<Reading> ReadClocksAsync(Socket console)
    {
        long asked = Environment.TickCount64;
        await TypeAsync(console, "cat /proc/uptime\r");
        string answer = await ReadUntilAsync(console, Prompt);
        return new Reading(asked, double.Parse(Uptime().Match(answer).Groups[1].Value, CultureInfo.InvariantCulture), Environment.TickCount64);
    }

    private async Task<Socket> ConnectAsync(string path, Task<int> run)
    {
        while (!File.Exists(path))
        {
            Assert.False(run.IsCompleted, $"the run ended: {errors}");
            await Task.Delay(10);
        }
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path));
        return socket;
    }

    private static async Task TypeAsync(Socket console, string text) => await console.SendAsync(Encoding.ASCII.GetBytes(text).AsMemory());

    private static async Task<string> ReadUntilAsync(Socket console, string end)
    {
        var text = new StringBuilder();
        byte[] buffer = new byte[4096];
        using var patience = new CancellationTokenSource(Patience);
        // The shell asks the terminal for the cursor's position behind its prompt; nobody answers here.
        while (!text.ToString().Contains(end, StringComparison.Ordinal))
        {
            int read = await console.ReceiveAsync(buffer.AsMemory(), patience.Token);
            Assert.True(read > 0, $"the console closed after: {text}");
            text.Append(Encoding.ASCII.GetString(buffer, 0, read));
        }
        return text.ToString();
    }

    /// <summary>The guest's clock in seconds, and the host's in milliseconds before and after the look at it.</summary>
    private readonly record struct Reading(long Asked, double Guest, long Answered);

    [GeneratedRegex(@"\n(\d+\.\d+) \d+\.\d+")]
    private static partial Regex Uptime();
}
