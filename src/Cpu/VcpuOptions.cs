using FtAkka.Cpu.Translation;

namespace FtAkka.Cpu;

/// <summary>Limits and test knobs of a vCPU. Only <see cref="Semantics"/> changes what the guest computes.</summary>
public sealed record VcpuOptions
{
    /// <summary>
    /// Size of the translated-code cache in bytes, 1 MiB to 512 MiB; when full it is emptied. It and 6 MiB of tables lie between 1 and 2 GiB of the
    /// host's address space, where Linux puts such mappings: one process holds some 14 vCPUs of the default size, 100 of 4 MiB.
    /// </summary>
    public int CodeCacheBytes { get; init; } = 64 << 20;

    /// <summary>Longest translated block in instructions, 1 to 64.</summary>
    public int MaxBlockInstructions { get; init; } = BlockTranslator.MaxInstructions;

    /// <summary>Number of the definitions that hold, 0 to <see cref="CpuSemantics.Current"/>; only the replay of an old recording asks for another than the last.</summary>
    public int Semantics { get; init; } = CpuSemantics.Current;

    /// <summary>
    /// Not 0: a seed. Behind each instruction whose undefined flags are ours to define, the host's flags get random values there, as if the host's CPU were another
    /// at each instruction. Costs time; for tests that no host's choice reaches the guest.
    /// </summary>
    public ulong FlagNoiseSeed { get; init; }
}
