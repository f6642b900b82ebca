using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Memory;

/// <summary>Kind of a linear access, for permission and error-code purposes.</summary>
internal enum AccessKind : byte { Read, Write, Execute }

/// <summary>What a soft-TLB fill came to.</summary>
internal enum FillOutcome : byte
{
    /// <summary>The tag for the asked access is now valid (for a write: read tag, write tag and addend).</summary>
    Filled,
    /// <summary>The access faults; see <see cref="Mmu.Fault"/>.</summary>
    Fault,
    /// <summary>The page is not RAM: go through <see cref="ICpuBus"/>.</summary>
    Mmio,
    /// <summary>RAM, permitted, but stores to the page are tracked (translated code or page table): read tag and addend are valid, write tag withheld.</summary>
    Tracked,
}

/// <summary>Told by <see cref="Mmu"/> when something derived from a translation or from code bytes is no longer true.</summary>
internal interface ITranslationObserver
{
    /// <summary>The mapping of one linear page changed or went; drop jump-cache entries into it (both privilege sets).</summary>
    void InvalidateLinearPage(ulong linearPage);
    /// <summary>All mappings went; with <paramref name="keepGlobal"/> those of global pages stay.</summary>
    void InvalidateLinear(bool keepGlobal);
    /// <summary>RAM bytes that lie in a page marked by <see cref="Mmu.MarkCodePage"/> are about to change; drop translations of them.</summary>
    void InvalidateCode(ulong physicalAddress, int lengthBytes);
}
