using System.Diagnostics;
using System.Runtime.InteropServices;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Failover.RealProcesses;

/// <summary>A process of <c>ftakka host</c>, with its log in a file. Disposing it kills it.</summary>
internal sealed class HostProcess : IDisposable
{
    private const int SignalTerminate = 15, SignalContinue = 18, SignalStop = 19; // asm-generic/signal.h, as on x86

    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(60);

    private readonly Process process;
    private readonly Task logging;

    private HostProcess(string name, string socket, Process process, string log)
    {
        (Name, Socket, this.process) = (name, socket, process);
        logging = Task.Run(() => KeepLog(log));
    }

    /// <summary>The program under test, as a process of its own.</summary>
    public static string[] Program => ["dotnet", "exec", Path.Combine(AppContext.BaseDirectory, Path.GetFileName(typeof(CommandLineApplication).Assembly.Location))];

    /// <summary>Name of the node.</summary>
    public string Name { get; }

    /// <summary>Its control socket.</summary>
    public string Socket { get; }

    /// <summary>Its process.</summary>
    public int Id => process.Id;

    /// <summary>It runs no more.</summary>
    public bool HasExited => process.HasExited;

    /// <summary>It was stopped and not told to go on.</summary>
    public bool IsStopped { get; private set; }

    /// <summary>Starts a node, under other programs if some are given, and waits until it can be controlled.</summary>
    public static async Task<HostProcess> StartAsync(string name, string config, string socket, string log, IEnumerable<string> under, params string[] more)
    {
        string[] command = [.. under, .. Program, "host", "--name", name, "--config", config, .. more];
        var start = new ProcessStartInfo(command[0], command.Skip(1)) { RedirectStandardError = true, RedirectStandardOutput = true, RedirectStandardInput = true };
        var node = new HostProcess(name, socket, Process.Start(start)!, log);
        node.process.StandardInput.Close();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(90));
        while (true)
        {
            if (node.HasExited || patience.IsCancellationRequested)
            {
                node.Dispose();
                throw new InvalidOperationException($"The node {name} did not come up: {await File.ReadAllTextAsync(log, CancellationToken.None)}");
            }
            try
            {
                await ControlClient.AskAsync(socket, new ControlRequest("list"), patience.Token);
                return node;
            }
            catch (Exception early) when (early is CommandFailedException or OperationCanceledException)
            {
                await Task.Delay(50, CancellationToken.None);
            }
        }
    }

    /// <summary>The host dies: SIGKILL.</summary>
    public void Kill()
    {
        process.Kill();
        process.WaitForExit();
        IsStopped = false;
    }

    /// <summary>The host stops in the middle of what it does: SIGSTOP. Returns when the last of its threads stands.</summary>
    public void Stop()
    {
        IsStopped = true;
        Send(SignalStop);
        Assert.True(SpinWait.SpinUntil(StandsStill, StopPatience), $"the node {Name} does not stop");
    }

    /// <summary>It goes on as if nothing had happened: SIGCONT.</summary>
    public void Continue()
    {
        Send(SignalContinue);
        IsStopped = false;
    }

    /// <summary>It is told to end (SIGTERM), and does.</summary>
    /// <returns>Its exit code.</returns>
    public async Task<int> EndAsync()
    {
        Send(SignalTerminate);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(90));
        await process.WaitForExitAsync(patience.Token);
        return process.ExitCode;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!process.HasExited)
        {
            Kill();
        }
        logging.Wait(TimeSpan.FromSeconds(5));
        process.Dispose();
    }

    /// <summary>A thread that another processor of a busy host runs at the moment of the signal may still end its system call.</summary>
    private bool StandsStill() => process.HasExited || Directory.GetDirectories($"/proc/{process.Id}/task").All(thread =>
    {
        try
        {
            // The state stands behind the name, which is in parentheses (proc_pid_stat(5)).
            string status = File.ReadAllText(Path.Combine(thread, "stat"));
            return status[status.LastIndexOf(')') + 2] is 'T' or 't' or 'Z' or 'X';
        }
        catch (IOException)
        {
            return true; // it has ended
        }
    });

    private void Send(int signal) => Assert.Equal(0, SendSignal(process.Id, signal));

    private void KeepLog(string path)
    {
        using var file = new StreamWriter(path, append: true) { AutoFlush = true };
        file.WriteLine($"--- process {process.Id}");
        while (process.StandardError.ReadLine() is { } line)
        {
            file.WriteLine($"{DateTime.UtcNow:HH:mm:ss.fff} {line}");
        }
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SendSignal(int process, int signal);
}
