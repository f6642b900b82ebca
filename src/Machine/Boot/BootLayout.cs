namespace FtAkka.Machine.Boot;

/// <summary>Where the loader puts what the kernel finds in low memory, clear of the first page, the EBDA and the legacy video area.</summary>
internal static class BootLayout
{
    public const ulong Gdt = 0x6000;
    public const ulong BootParams = 0x7000;
    /// <summary>Grows down towards boot_params' page end.</summary>
    public const ulong StackTop = 0xA000;
    public const ulong Pml4 = 0xA000;
    public const ulong PageDirectoryPointers = 0xB000;
    /// <summary>Four page directories of 2 MiB pages: 4 GiB.</summary>
    public const ulong PageDirectories = 0xC000;
    public const ulong CommandLine = 0x2_0000;
    /// <summary>Including the final zero.</summary>
    public const int CommandLineBytesMax = 0x1_0000;
    /// <summary>Extended BIOS data area, reserved although there is no BIOS: kernels look there.</summary>
    public const ulong ExtendedBiosDataArea = 0x9_FC00;
    public const ulong LegacyVideo = 0xA_0000;
    /// <summary>Kernels are loaded from here on.</summary>
    public const ulong KernelMin = 0x10_0000;
}
