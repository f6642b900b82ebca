using System.ComponentModel;
using System.Diagnostics;
using FtAkka.GuestKit;

namespace FtAkka.LinuxBench;

/// <summary>Runs a VM monitor as a child process with the guest's console on its standard output, and times the console's lines.</summary>
/// <param name="Timings">Boot and workloads.</param>
/// <param name="ExitCode">The monitor's exit status; null when it was stopped for taking too long.</param>
/// <param name="ConsoleTail">The last lines, for telling what went wrong.</param>
public sealed record MonitorRun(ConsoleTimings Timings, int? ExitCode, IReadOnlyList<string> ConsoleTail)
{
    private const int TailLines = 20;

    /// <summary>Runs the monitor until it ends, or until the limit has passed; then it is killed.</summary>
    /// <exception cref="GuestKitException">The program does not exist.</exception>
    public static MonitorRun Run(string program, IEnumerable<string> arguments, TimeSpan limit)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardInput = true, RedirectStandardOutput = true };
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        var clock = Stopwatch.StartNew();
        try
        {
            using Process process = Process.Start(start)!;
            return Follow(process, clock, limit);
        }
        catch (Win32Exception notFound)
        {
            throw new GuestKitException($"this host has no program {program}", notFound);
        }
    }

    private static MonitorRun Follow(Process process, Stopwatch clock, TimeSpan limit)
    {
        var timings = new ConsoleTimings();
        var tail = new Queue<string>();
        bool late = false;
        using var timer = new Timer(_ => { late = true; process.Kill(entireProcessTree: true); }, null, limit, Timeout.InfiniteTimeSpan);
        while (process.StandardOutput.ReadLine() is { } line)
        {
            timings.Line(line, clock.Elapsed, CpuTime(process));
            tail.Enqueue(line);
            if (tail.Count > TailLines)
            {
                tail.Dequeue();
            }
        }

        process.WaitForExit();
        return new MonitorRun(timings, late ? null : process.ExitCode, [.. tail]);
    }

    private static TimeSpan CpuTime(Process process)
    {
        try
        {
            process.Refresh();
            return process.TotalProcessorTime;
        }
        catch (InvalidOperationException)
        {
            return TimeSpan.Zero; // ended between its last line and this look; only lines after the last workload can meet this
        }
    }
}
