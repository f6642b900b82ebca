namespace FtAkka.Machine.Boot;

/// <summary>
/// State in which the CPU enters the kernel by the 64-bit Linux boot protocol (Documentation/arch/x86/boot.rst, "64-bit boot
/// protocol"): long mode with paging, CS 10H (64-bit code), DS, ES and SS 18H, interrupts disabled.
/// </summary>
/// <param name="Rip">Physical (identity-mapped) address of the first instruction.</param>
/// <param name="Rsi">Address of boot_params.</param>
/// <param name="Rsp">A few KiB of stack; the protocol asks for none.</param>
/// <param name="Cr3">Page tables that map the first 4 GiB onto themselves.</param>
/// <param name="GdtBase">Global descriptor table.</param>
/// <param name="GdtLimit">Its limit in bytes.</param>
public readonly record struct BootEntry(ulong Rip, ulong Rsi, ulong Rsp, ulong Cr3, ulong GdtBase, ushort GdtLimit)
{
    /// <summary>Selector of the 64-bit code segment, __BOOT_CS.</summary>
    public const ushort CodeSelector = 0x10;

    /// <summary>Selector of the data segment, __BOOT_DS.</summary>
    public const ushort DataSelector = 0x18;
}
