using System.Diagnostics;
using System.Text;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Tests.Recordings;

/// <summary>The program in a process of its own, which yields to every other process: a recording must not depend on when it gets the processor.</summary>
internal sealed class MonitorProcess : IDisposable
{
    private readonly Process process;
    private readonly StringBuilder output = new();
    private readonly Task reading;
    private readonly Task<string> errors;
    private TaskCompletionSource more = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private MonitorProcess(Process process)
    {
        this.process = process;
        reading = ReadAsync();
        errors = process.StandardError.ReadToEndAsync();
    }

    /// <summary>Starts <c>ftakka</c> with these arguments.</summary>
    public static MonitorProcess Start(params IEnumerable<string> arguments) => Start([], arguments);

    private static MonitorProcess Start((string Name, string Value)[] environment, IEnumerable<string> arguments)
    {
        string program = Path.Combine(AppContext.BaseDirectory, Path.GetFileName(typeof(CommandLineApplication).Assembly.Location));
        var start = new ProcessStartInfo("nice", ["-n", "19", "dotnet", "exec", program, .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            // A character for a byte: consoles are compared.
            StandardOutputEncoding = Encoding.Latin1,
        };
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }
        return new MonitorProcess(Process.Start(start)!);
    }

    /// <summary>Runs <c>ftakka</c> with these arguments to its end, which must be a good one. Returns its standard output.</summary>
    public static Task<string> RunAsync(TimeSpan patience, params IEnumerable<string> arguments) => RunAsync(patience, [], arguments);

    /// <summary>The same with environment variables.</summary>
    public static async Task<string> RunAsync(TimeSpan patience, (string Name, string Value)[] environment, IEnumerable<string> arguments)
    {
        using MonitorProcess monitor = Start(environment, arguments);
        return await monitor.EndWellAsync(patience);
    }

    /// <summary>Waits until a text has been printed.</summary>
    public async Task WaitForAsync(string text, TimeSpan patience)
    {
        using var late = new CancellationTokenSource(patience);
        while (true)
        {
            Task change;
            string printed;
            lock (output)
            {
                (change, printed) = (more.Task, output.ToString());
            }
            if (printed.Contains(text, StringComparison.Ordinal))
            {
                return;
            }
            Assert.False(reading.IsCompleted, $"ended without '{text}'\n{Tail(printed)}");
            await Task.WhenAny(change, reading).WaitAsync(late.Token);
        }
    }

    /// <summary>Types on its standard input.</summary>
    public async Task TypeAsync(string text)
    {
        await process.StandardInput.WriteAsync(text);
        await process.StandardInput.FlushAsync();
    }

    /// <summary>Waits for its end, which must be a good one. Returns its standard output.</summary>
    public async Task<string> EndWellAsync(TimeSpan patience)
    {
        using var late = new CancellationTokenSource(patience);
        await process.WaitForExitAsync(late.Token);
        await reading;
        Assert.True(
            process.ExitCode == ExitCode.Ok, $"status {process.ExitCode} of {string.Join(' ', process.StartInfo.ArgumentList)}\n{Tail(output.ToString())}\n{Tail(await errors)}");
        return output.ToString();
    }

    /// <summary>Kills it if it still runs.</summary>
    public void Dispose()
    {
        if (!process.HasExited)
        {
            process.Kill(entireProcessTree: true);
            process.WaitForExit();
        }
        process.Dispose();
    }

    private async Task ReadAsync()
    {
        char[] buffer = new char[4096];
        while (await process.StandardOutput.ReadAsync(buffer) is > 0 and int read)
        {
            TaskCompletionSource told = more;
            lock (output)
            {
                output.Append(buffer, 0, read);
                more = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
            told.SetResult();
        }
    }

    private static string Tail(string text) => text.Length > 4000 ? text[^4000..] : text;
}
