namespace FtAkka.Recordings;

/// <summary>The CPU of this host, which a recording names: a few instructions give other results on another one (docs/determinism.md).</summary>
public static class HostCpu
{
    /// <summary>Its model name as Linux gives it; the same text on hosts of the same model.</summary>
    public static string Model() =>
        File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':', 2)[1].Trim()
        ?? "unknown CPU";
}
