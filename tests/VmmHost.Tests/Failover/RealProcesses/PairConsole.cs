using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace FtAkka.VmmHost.Tests.Failover.RealProcesses;

/// <summary>
/// <c>ftakka vm console</c> in a process of its own, which finds the live node and attaches again after each failover. Reads the numbers that the
/// guest prints, and notes the first gap, repetition or torn line.
/// </summary>
internal sealed class PairConsole : IDisposable
{
    private const string Mark = "COUNT ";

    private readonly Process process;
    private readonly Lock sync = new();
    private readonly List<(double At, int Number)> numbers = [];
    private readonly List<string> lines = [];
    private readonly StringBuilder complaints = new();
    private string? fault;

    /// <summary>Attaches to the VM, looking for nodes in a folder of control sockets.</summary>
    public PairConsole(string vm, string sockets)
    {
        var start = new ProcessStartInfo(HostProcess.Program[0], [.. HostProcess.Program.Skip(1), "vm", "console", vm])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        start.Environment["FTAKKA_RUN_DIR"] = sockets;
        process = Process.Start(start)!;
        _ = Task.Run(ReadLines);
        _ = Task.Run(ReadComplaints);
    }

    /// <summary>Monotonic clock of the host, in milliseconds: what the nodes report their failovers by.</summary>
    public static double Clock => Stopwatch.GetElapsedTime(0).TotalMilliseconds;

    /// <summary>The newest number.</summary>
    public int Last
    {
        get
        {
            lock (sync)
            {
                return numbers.Count == 0 ? 0 : numbers[^1].Number;
            }
        }
    }

    /// <summary>What was wrong first; null if nothing was.</summary>
    public string? Fault
    {
        get
        {
            lock (sync)
            {
                return fault ?? (process.HasExited ? $"the console client ended: {complaints}" : null);
            }
        }
    }

    /// <summary>Whether such a line has come.</summary>
    public bool Has(string line)
    {
        lock (sync)
        {
            return lines.Contains(line);
        }
    }

    /// <summary>The first line that begins so; null if none has come.</summary>
    public string? Find(string beginning)
    {
        lock (sync)
        {
            return lines.Find(line => line.StartsWith(beginning, StringComparison.Ordinal));
        }
    }

    /// <summary>The last lines that are no numbers, for a failing test.</summary>
    public string Tail()
    {
        lock (sync)
        {
            return string.Join('\n', [$"numbers up to {(numbers.Count == 0 ? 0 : numbers[^1].Number)}", .. lines.TakeLast(30), complaints.ToString()]);
        }
    }

    /// <summary>The longest time without a number after a moment, looking at some seconds behind it; all in milliseconds.</summary>
    public double LongestGapAfter(double moment, double within = 10_000)
    {
        lock (sync)
        {
            double longest = 0;
            double before = moment;
            foreach ((double at, _) in numbers.Where(number => number.At > moment).TakeWhile(number => number.At < moment + within))
            {
                longest = Math.Max(longest, at - before);
                before = at;
            }
            return longest;
        }
    }

    /// <summary>Types a line. What is typed while the VM is live nowhere is lost.</summary>
    public void Type(string line)
    {
        process.StandardInput.Write(line + "\n");
        process.StandardInput.Flush();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!process.HasExited)
        {
            process.Kill();
        }
        process.WaitForExit();
        process.Dispose();
    }

    private void ReadLines()
    {
        while (process.StandardOutput.ReadLine() is { } line)
        {
            double now = Clock;
            lock (sync)
            {
                Take(line.TrimEnd('\r'), now);
            }
        }
    }

    private void Take(string line, double now)
    {
        if (!line.Contains("COUNT", StringComparison.Ordinal))
        {
            lines.Add(line);
            if (line.Contains("FTPAIR-FAILED", StringComparison.Ordinal))
            {
                fault ??= line;
            }
            return;
        }
        int last = numbers.Count == 0 ? 0 : numbers[^1].Number;
        if (!line.StartsWith(Mark, StringComparison.Ordinal) || !int.TryParse(line.AsSpan(Mark.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int number))
        {
            fault ??= $"'{line}' stands on the console after {last}";
            return;
        }
        if (number != last + 1)
        {
            fault ??= $"the console shows {number} after {last}";
        }
        numbers.Add((now, number));
    }

    private void ReadComplaints()
    {
        while (process.StandardError.ReadLine() is { } line)
        {
            lock (sync)
            {
                complaints.AppendLine(line);
            }
        }
    }
}
