namespace FtAkka.Cpu.Memory;

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
