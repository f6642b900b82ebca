using System.Diagnostics;
using System.Text.RegularExpressions;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Tests.Guests;

/// <summary>A line of a guest's console.</summary>
/// <param name="At">The host's wall clock when it came.</param>
/// <param name="Text">The line without its end.</param>
internal readonly record struct ConsoleLine(DateTimeOffset At, string Text);

/// <summary>A monitor in a process of its own, with the guest's console on its standard output. Disposing it kills it.</summary>
internal sealed partial class GuestProcess : IDisposable
{
    /// <summary>Machines that build and test are loaded; a guest that takes longer than this hangs.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly Process process;
    private readonly List<ConsoleLine> lines = [];
    private readonly List<string> complaints = [];
    private readonly Task reading;

    private GuestProcess(Process process)
    {
        this.process = process;
        reading = Task.WhenAll(Task.Run(ReadConsole), Task.Run(ReadComplaints));
    }

    /// <summary>Lines so far.</summary>
    public IReadOnlyList<ConsoleLine> Console
    {
        get
        {
            lock (lines)
            {
                return [.. lines];
            }
        }
    }

    /// <summary>What the guest's script printed so far, without the kernel's messages between.</summary>
    public string[] Output => ScriptOutput(Console.Select(line => line.Text));

    /// <summary>What of a console the guest's script printed.</summary>
    public static string[] ScriptOutput(IEnumerable<string> console) =>
    [
        .. console.SkipWhile(text => text != "FTAKKA-RUN").Skip(1)
            .TakeWhile(text => !text.StartsWith("FTAKKA-EXIT", StringComparison.Ordinal))
            .Where(text => !KernelMessage().IsMatch(text)),
    ];

    /// <summary>Starts <c>ftakka run</c> with these arguments, under another program if one is given.</summary>
    public static GuestProcess StartFtAkka(IEnumerable<string> arguments, params string[] under) => Start([.. under, .. FtAkka(arguments)]);

    /// <summary>The same on a terminal of its own, at whose keyboard is <see cref="Type"/>.</summary>
    public static GuestProcess StartOnTerminal(IEnumerable<string> arguments)
    {
        IEnumerable<string> quoted = FtAkka(arguments).Select(word => $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'");
        return Start(["script", "--quiet", "--return", "--command", string.Join(' ', quoted), "/dev/null"]);
    }

    private static string[] FtAkka(IEnumerable<string> arguments) => Program(["run", .. arguments]);

    /// <summary>The command that runs the program with these arguments.</summary>
    public static string[] Program(IEnumerable<string> arguments) =>
        ["dotnet", "exec", Path.Combine(AppContext.BaseDirectory, Path.GetFileName(typeof(CommandLineApplication).Assembly.Location)), .. arguments];

    /// <summary>Starts any monitor.</summary>
    public static GuestProcess Start(IReadOnlyList<string> command)
    {
        var start = new ProcessStartInfo(command[0], command.Skip(1))
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        return new GuestProcess(Process.Start(start)!);
    }

    /// <summary>Boots the fetched kernel, runs the script in it to its end, and gives what it printed. The run must succeed.</summary>
    public static string[] Run(string initramfs, string memory, params string[] arguments)
    {
        using GuestProcess guest = StartFtAkka([.. Boot(initramfs, memory), .. arguments]);
        Assert.True(guest.End(Patience) == ExitCode.Ok, guest.Story());
        Assert.True(guest.Console.Any(line => line.Text == "FTAKKA-EXIT 0"), guest.Story());
        return guest.Output;
    }

    /// <summary>Arguments that boot the fetched kernel into the image's script.</summary>
    public static string[] Boot(string initramfs, string memory, string moreKernelArguments = "") =>
        ["--kernel", GuestImage.Kernel, "--initrd", initramfs, "--memory", memory, "--append", $"{GuestImage.KernelArguments} {moreKernelArguments}"];

    /// <summary>Waits for a line that begins like this.</summary>
    public ConsoleLine WaitFor(params string[] beginnings)
    {
        for (long begin = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(begin) < Patience; Thread.Sleep(20))
        {
            foreach (ConsoleLine line in Console)
            {
                if (Array.Exists(beginnings, beginning => line.Text.StartsWith(beginning, StringComparison.Ordinal)))
                {
                    return line;
                }
            }
            Assert.False(process.HasExited && reading.IsCompleted, $"ended before '{beginnings[0]}' came\n{Story()}");
        }
        throw new TimeoutException($"'{beginnings[0]}' has not come\n{Story()}");
    }

    /// <summary>Types on the guest's console.</summary>
    public void Type(string text)
    {
        process.StandardInput.Write(text);
        process.StandardInput.Flush();
    }

    /// <summary>Waits for the end and gives the exit status.</summary>
    public int End(TimeSpan patience)
    {
        if (!reading.Wait(patience) || !process.WaitForExit(patience))
        {
            throw new TimeoutException($"the guest has not ended after {patience}\n{Story()}");
        }
        return process.ExitCode;
    }

    /// <summary>Console and complaints, for a failing test.</summary>
    public string Story()
    {
        lock (complaints)
        {
            return string.Join('\n', [.. Console.Select(line => line.Text).TakeLast(60), .. complaints]);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!process.HasExited)
        {
            process.Kill(entireProcessTree: true);
        }
        process.WaitForExit();
        process.Dispose();
    }

    [GeneratedRegex(@"^\[ *[0-9]+\.[0-9]{6}\] ")]
    private static partial Regex KernelMessage();

    private void ReadConsole()
    {
        while (process.StandardOutput.ReadLine() is { } line)
        {
            var read = new ConsoleLine(DateTimeOffset.UtcNow, line.TrimEnd('\r'));
            lock (lines)
            {
                lines.Add(read);
            }
        }
    }

    private void ReadComplaints()
    {
        while (process.StandardError.ReadLine() is { } line)
        {
            lock (complaints)
            {
                complaints.Add(line);
            }
        }
    }
}
