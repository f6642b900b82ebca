using FtAkka.Cpu.Translation;

namespace FtAkka.Cpu;

/// <summary>Limits and test knobs of a vCPU. None of them changes what the guest computes.</summary>
public sealed record VcpuOptions
{
    /// <summary>Size of the translated-code cache in bytes, 1 MiB to 512 MiB; when full it is emptied.</summary>
    public int CodeCacheBytes { get; init; } = 64 << 20;

    /// <summary>Longest translated block in instructions, 1 to 64.</summary>
    public int MaxBlockInstructions { get; init; } = BlockTranslator.MaxInstructions;
}
