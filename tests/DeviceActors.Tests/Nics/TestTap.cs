using System.Diagnostics;
using System.Globalization;

namespace FtAkka.DeviceActors.Tests.Nics;

/// <summary>A TAP interface of a test, made as an operator makes one. Disposing it removes it.</summary>
internal sealed class TestTap : IDisposable
{
    private static int last;

    /// <summary>Makes it.</summary>
    /// <exception cref="InvalidOperationException">The host does not let it, or has no ip(8).</exception>
    public TestTap()
    {
        Name = string.Create(CultureInfo.InvariantCulture, $"ftt{Environment.ProcessId % 10_000_000}x{Interlocked.Increment(ref last)}");
        Ip($"tuntap add dev {Name} mode tap");
    }

    public string Name { get; }

    /// <summary>Runs ip(8).</summary>
    public static void Ip(string arguments)
    {
        var start = new ProcessStartInfo("ip", arguments) { RedirectStandardError = true };
        using Process process = Process.Start(start) ?? throw new InvalidOperationException("ip(8) does not start.");
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"ip {arguments}: {error}");
        }
    }

    public void Dispose() => Ip($"link delete dev {Name}");
}
