namespace FtAkka.Cpu.Memory;

/// <summary>Control-register bits that decide how linear addresses translate (Intel SDM vol. 3A, 2.5 and 2.2.1).</summary>
internal static class PagingControl
{
    /// <summary>CR0.WP: supervisor stores honour read-only pages.</summary>
    public const ulong Cr0Wp = 1UL << 16;
    /// <summary>CR4.PGE: the G bit of a page counts.</summary>
    public const ulong Cr4Pge = 1UL << 7;
    /// <summary>CR4.SMEP: no supervisor fetch from user pages.</summary>
    public const ulong Cr4Smep = 1UL << 20;
    /// <summary>IA32_EFER.NXE: bit 63 of a paging entry is XD.</summary>
    public const ulong EferNxe = 1UL << 11;
}
