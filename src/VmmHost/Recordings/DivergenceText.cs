using FtAkka.Machine.Digest;
using FtAkka.Replication.Replay;

namespace FtAkka.VmmHost.Recordings;

/// <summary>A divergence for people.</summary>
internal static class DivergenceText
{
    public static string Of(Divergence divergence)
    {
        string text = $"Replay left the recording at icount {divergence.Icount}, entry {divergence.Lsn}: {divergence.What}";
        return divergence is { Expected: { } expected, Actual: { } actual } ? $"{text} ({Parts(expected, actual)})." : text + ".";
    }

    /// <summary>The parts of the state that differ.</summary>
    public static string Parts(MachineDigest a, MachineDigest b)
    {
        string[] parts =
        [
            .. a.Cpu != b.Cpu ? ["CPU"] : Array.Empty<string>(),
            .. a.Devices != b.Devices ? ["clock or devices"] : Array.Empty<string>(),
            .. a.Memory != b.Memory ? ["memory"] : Array.Empty<string>(),
        ];
        return parts.Length == 0 ? "nothing differs" : string.Join(", ", parts);
    }
}
