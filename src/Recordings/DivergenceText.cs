using FtAkka.Machine.Digest;
using FtAkka.Replication.Replay;

namespace FtAkka.Recordings;

/// <summary>A divergence for people.</summary>
internal static class DivergenceText
{
    /// <summary>What it is.</summary>
    /// <param name="divergence">The divergence.</param>
    /// <param name="lastEqual">Icount of the last digest that was equal; null if there was none.</param>
    public static string Of(Divergence divergence, ulong? lastEqual)
    {
        string parts = divergence is { Expected: { } expected, Actual: { } actual } ? $" ({Parts(expected, actual)})" : "";
        string since = lastEqual is { } icount ? $" The last digest that was equal is that at icount {icount}." : " No digest was equal before.";
        return $"Replay left the recording at icount {divergence.Icount}, entry {divergence.Lsn}: {divergence.What}{parts}.{since}";
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
