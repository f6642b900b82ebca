using System.Diagnostics;
using System.Globalization;
using FtAkka.VmmHost.Tests.Guests;

namespace FtAkka.VmmHost.Tests.Failover.RealProcesses;

/// <summary>A client on the guest's network that asks it for something all the time, and knows when it was answered.</summary>
internal sealed class NetworkClient : IDisposable
{
    private readonly Process process;
    private readonly Lock sync = new();
    private readonly List<double> answered = [];
    private string? complaint;

    /// <summary>Starts <c>ftpair</c> at the client's place.</summary>
    public NetworkClient(PairNetwork network, params string[] arguments)
    {
        string[] command = [.. network.AtClient, "nice", "-n", "-10", GuestImage.Program("ftpair"), .. arguments];
        process = Process.Start(new ProcessStartInfo(command[0], command.Skip(1)) { RedirectStandardOutput = true })!;
        _ = Task.Run(Read);
    }

    /// <summary>Why it ended; null while it runs.</summary>
    public string? Complaint
    {
        get
        {
            lock (sync)
            {
                return complaint ?? (process.HasExited ? "the client ended" : null);
            }
        }
    }

    /// <summary>Answers so far.</summary>
    public int Count
    {
        get
        {
            lock (sync)
            {
                return answered.Count;
            }
        }
    }

    /// <summary>The longest time without an answer around a moment: from the last before it, or from between answers behind it. Milliseconds, as the moment.</summary>
    public double LongestGapAround(double moment, double within)
    {
        lock (sync)
        {
            double longest = 0;
            for (int i = 1; i < answered.Count && answered[i - 1] < moment + within; i++)
            {
                if (answered[i] > moment)
                {
                    longest = Math.Max(longest, answered[i] - answered[i - 1]);
                }
            }
            return longest;
        }
    }

    /// <summary>When the first answer came behind a moment; infinite if none has. Milliseconds, as the moment.</summary>
    public double FirstAnswerAfter(double moment)
    {
        lock (sync)
        {
            return answered.Where(at => at > moment).DefaultIfEmpty(double.PositiveInfinity).Min();
        }
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

    private void Read()
    {
        while (process.StandardOutput.ReadLine() is { } line)
        {
            string[] words = line.Split(' ');
            lock (sync)
            {
                if (words is ["REPLY", _, var at])
                {
                    answered.Add(double.Parse(at, CultureInfo.InvariantCulture));
                }
                else
                {
                    complaint ??= line;
                }
            }
        }
    }
}
