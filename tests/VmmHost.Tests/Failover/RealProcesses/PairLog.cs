using System.Globalization;
using Xunit.Abstractions;

namespace FtAkka.VmmHost.Tests.Failover.RealProcesses;

/// <summary>What a long test says: to the test's log, and at once to a file where FTAKKA_PAIR_LOG names one.</summary>
internal sealed class PairLog(ITestOutputHelper output)
{
    private static readonly string? File = Environment.GetEnvironmentVariable("FTAKKA_PAIR_LOG");

    /// <summary>A number from the environment.</summary>
    public static int Setting(string name, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? value : otherwise;

    /// <summary>Says a line.</summary>
    public void Say(string line)
    {
        output.WriteLine(line);
        if (File is { Length: > 0 })
        {
            System.IO.File.AppendAllText(File, line + "\n");
        }
    }
}
