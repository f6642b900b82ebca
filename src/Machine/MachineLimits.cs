namespace FtAkka.Machine;

/// <summary>Limits of a machine. Part of its configuration: equal on both replicas.</summary>
public sealed record MachineLimits
{
    /// <summary>Console input bytes that may wait until the guest reads them; more are dropped.</summary>
    public int ConsoleInputBytesMax { get; init; } = 64 * 1024;

    /// <summary>A run returns early once it has produced so many effects.</summary>
    public int EffectsPerRunMax { get; init; } = 4096;

    /// <summary>
    /// A run returns early once its effects take so many bytes, behind the instruction that reached it: that one may bring a few mebibytes from a network card or console,
    /// and from a disk what it may have in flight.
    /// </summary>
    public long EffectBytesPerRunMax { get; init; } = 1 << 20;
}
