namespace FtAkka.Machine;

/// <summary>
/// Where things are: guest physical addresses, I/O ports and interrupt numbers of the platform. RAM occupies
/// [0, min(size, 3 GiB)) and continues at 4 GiB; everything between 3 and 4 GiB is device space.
/// </summary>
public static class MemoryMap
{
    /// <summary>End of RAM below 4 GiB.</summary>
    public const ulong LowRamLimit = 0xC000_0000;

    /// <summary>Start of RAM above 4 GiB.</summary>
    public const ulong HighRamBase = 0x1_0000_0000;

    /// <summary>ACPI sleep-control, sleep-status and reset registers: three bytes (ACPI 6.5, 4.8.3.7).</summary>
    public const ulong PowerBase = 0xFEA0_0200;

    /// <summary>Size of the power register window.</summary>
    public const ulong PowerSizeBytes = 3;

    /// <summary>First virtio-mmio window.</summary>
    public const ulong VirtioBase = 0xFEB0_0000;

    /// <summary>Distance of virtio-mmio windows, and size of each.</summary>
    public const ulong VirtioWindowBytes = 0x1000;

    /// <summary>IOAPIC pin of the first virtio-mmio window; the following windows have the following pins. Level-triggered, active high.</summary>
    public const int VirtioFirstGsi = 16;

    /// <summary>How many virtio-mmio windows there can be: as many as IOAPIC pins from <see cref="VirtioFirstGsi"/> on.</summary>
    public const int VirtioWindowsMax = 8;

    /// <summary>IOAPIC registers.</summary>
    public const ulong IoApicBase = 0xFEC0_0000;

    /// <summary>Size of the IOAPIC window.</summary>
    public const ulong IoApicSizeBytes = 0x1000;

    /// <summary>Local APIC registers after reset (Intel SDM vol. 3A, 11.4.1).</summary>
    public const ulong LocalApicBase = 0xFEE0_0000;

    /// <summary>Size of the local APIC page.</summary>
    public const ulong LocalApicSizeBytes = 0x1000;

    /// <summary>First of the eight ports of the serial console.</summary>
    public const ushort UartPort = 0x3F8;

    /// <summary>IOAPIC pin of the serial console, edge-triggered, active high.</summary>
    public const int UartGsi = 4;

    /// <summary>Index port of the real-time clock; the data port follows.</summary>
    public const ushort RtcPort = 0x70;
}
