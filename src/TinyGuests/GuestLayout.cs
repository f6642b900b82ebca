namespace FtAkka.TinyGuests;

/// <summary>
/// Physical addresses inside the tiny guest's image (identity-mapped), and the platform's addresses that it relies on. The
/// platform's values are those of the machine's memory map and ACPI tables; the guest reads no ACPI.
/// </summary>
public static class GuestLayout
{
    /// <summary>Where the image is loaded; code and constants come first.</summary>
    public const uint ImageBase = 0x20_0000;

    /// <summary>Most bytes that code and constants may take.</summary>
    public const uint CodeBytesMax = 0x2_0000;

    /// <summary>End of the guest's memory use; only the demanding workload has its data behind it.</summary>
    public const uint ImageEnd = 0x2b_0000;

    /// <summary>The guest's own page tables map the first 4 GiB; the paging workload uses addresses from here on.</summary>
    public const ulong WorkVirtualBase = 0x80_0000_0000;

    /// <summary>Pages that the paging workload maps.</summary>
    public const int WorkPageCount = 64;

    /// <summary>First virtio-mmio window; the guest looks at eight.</summary>
    public const uint VirtioBase = 0xfeb0_0000;

    /// <summary>Distance of the windows, unless the command line says <c>stride=</c>.</summary>
    public const uint VirtioStride = 0x1000;

    /// <summary>How many windows the guest looks at.</summary>
    public const int VirtioWindows = 8;

    /// <summary>IOAPIC pin of the first window.</summary>
    public const int VirtioFirstPin = 16;

    /// <summary>Local APIC registers.</summary>
    public const uint LocalApic = 0xfee0_0000;

    /// <summary>IOAPIC registers.</summary>
    public const uint IoApic = 0xfec0_0000;

    /// <summary>First port of the serial console, on IOAPIC pin 4.</summary>
    public const ushort Uart = 0x3f8;

    /// <summary>ACPI sleep control register; 0x34 powers off.</summary>
    public const uint SleepControl = 0xfea0_0200;

    /// <summary>ACPI reset register; 0x42 resets.</summary>
    public const uint Reset = 0xfea0_0202;

    internal const uint Gdt = 0x22_0000;
    internal const uint Tss = 0x22_0100;
    internal const uint Idt = 0x22_1000;
    internal const uint Pml4 = 0x22_2000;
    internal const uint Pdpt = 0x22_3000;
    internal const uint PageDirectories = 0x22_4000;
    internal const uint WorkPdpt = 0x22_8000;
    internal const uint WorkPageDirectory = 0x22_9000;
    internal const uint WorkPageTable = 0x22_a000;
    internal const uint FaultStackTop = 0x22_c000;
    internal const uint StackTop = 0x23_0000;
    internal const uint Variables = 0x23_0000;
    internal const uint ConsoleRing = 0x23_1000;
    internal const uint BlockQueue = 0x23_2000;
    internal const uint BlockHeader = 0x23_3000;
    internal const uint BlockStatus = 0x23_3010;
    /// <summary>What the guest writes to its disk, and reads from it.</summary>
    public const uint BlockBuffer = 0x23_4000;

    internal const uint ReceiveQueue = 0x23_5000;
    internal const uint TransmitQueue = 0x23_6000;
    internal const uint FakeBootParameters = 0x23_7000;
    internal const uint DemandQueue = 0x23_8000;
    internal const uint EntropyQueue = 0x23_9000;
    internal const uint DemandRequests = 0x23_a000;
    internal const uint DemandHeaders = 0x23_a400;
    internal const uint DemandStatuses = 0x23_a800;
    internal const uint EntropyBuffer = 0x23_a900;
    internal const uint DemandTables = 0x23_b000;
    internal const uint ReceiveBuffers = 0x24_0000;
    internal const uint TransmitBuffer = 0x24_8000;
    internal const uint ReportBuffer = 0x24_9000;
    internal const uint WorkPages = 0x25_0000;
    internal const uint CopySource = 0x29_0000;
    internal const uint CopyTarget = 0x2a_0000;

    // Behind the image: nothing but the demanding workload's data, up to 0x36_0000.
    internal const uint DemandSmallBuffers = 0x2c_0000;
    internal const uint DemandWideBuffers = 0x2e_0000;
}
