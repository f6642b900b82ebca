using FtAkka.Cpu.Translation;

namespace FtAkka.Cpu;

/// <summary>Limits and test knobs of a vCPU. None of them changes what the guest computes.</summary>
public sealed record VcpuOptions
{
    /// <summary>
    /// Size of the translated-code cache in bytes, 1 MiB to 512 MiB; when full it is emptied. It and 6 MiB of tables lie between 1 and 2 GiB of the
    /// host's address space, where Linux puts such mappings: one process holds some 14 vCPUs of the default size, 100 of 4 MiB.
    /// </summary>
    public int CodeCacheBytes { get; init; } = 64 << 20;

    /// <summary>Longest translated block in instructions, 1 to 64.</summary>
    public int MaxBlockInstructions { get; init; } = BlockTranslator.MaxInstructions;
}
