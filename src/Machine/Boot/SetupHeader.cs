namespace FtAkka.Machine.Boot;

/// <summary>Offsets in boot_params and, from 1F1H on, in a bzImage (Documentation/arch/x86/boot.rst and zero-page.rst).</summary>
internal static class SetupHeader
{
    public const int AcpiRsdpAddress = 0x070, E820Entries = 0x1E8, Start = 0x1F1, SetupSectors = 0x1F1, SystemSize = 0x1F4, VideoMode = 0x1FA,
        BootFlag = 0x1FE, JumpLength = 0x201, Magic = 0x202, Version = 0x206, TypeOfLoader = 0x210, LoadFlags = 0x211, RamdiskImage = 0x218,
        RamdiskSize = 0x21C, CommandLinePointer = 0x228, InitrdAddressMax = 0x22C, KernelAlignment = 0x230, ExtraLoadFlags = 0x236,
        CommandLineSize = 0x238, SetupData = 0x250, PreferredAddress = 0x258, InitSize = 0x260, E820Table = 0x2D0;

    /// <summary>The header grows with the protocol, but not into the e820 table's predecessors.</summary>
    public const int EndMax = 0x290;

    public const ushort BootFlagValue = 0xAA55;

    /// <summary>"HdrS", little-endian.</summary>
    public const uint MagicValue = 0x5372_6448;

    /// <summary>First version with xloadflags.</summary>
    public const ushort VersionMin = 0x020C;

    /// <summary>XLF_KERNEL_64: there is a 64-bit entry 200H behind the load address.</summary>
    public const ushort ExtraLoadFlag64Bit = 1;

    /// <summary>LOADED_HIGH.</summary>
    public const byte LoadFlagHigh = 1;

    /// <summary>A loader without an assigned number.</summary>
    public const byte UndefinedLoader = 0xFF;
}
