using System.Buffers.Binary;
using System.Text;
using FtAkka.Machine.Devices;

namespace FtAkka.Machine.Acpi;

/// <summary>
/// The ACPI tables of the platform (ACPI 6.5, 5.2): RSDP, XSDT, FADT (hardware-reduced), MADT and DSDT, laid out one after the
/// other from <see cref="BaseAddress"/> on, the RSDP first.
/// </summary>
public static class AcpiTables
{
    /// <summary>Guest physical address of the RSDP; in the area where a BIOS would have it.</summary>
    public const ulong BaseAddress = 0xE_0000;

    /// <summary>Room for the tables.</summary>
    public const int SizeBytesMax = 0x2_0000;

    private const int HeaderBytes = 36;
    private const int RsdpBytes = 36;
    private const int FadtBytes = 276;
    private const string OemId = "FTAKKA";
    private const string OemTableId = "FTAKKAVM";

    /// <summary>All tables as one run of bytes for <see cref="BaseAddress"/>.</summary>
    /// <param name="windows">The virtio-mmio windows that have a device.</param>
    public static byte[] Build(IReadOnlyList<VirtioWindow> windows)
    {
        var dsdt = Dsdt(windows);
        var madt = Madt();
        var dsdtAddress = Align(BaseAddress + RsdpBytes);
        var madtAddress = Align(dsdtAddress + (uint)dsdt.Length);
        var fadtAddress = Align(madtAddress + (uint)madt.Length);
        var xsdtAddress = Align(fadtAddress + FadtBytes);
        var xsdt = Xsdt(fadtAddress, madtAddress);

        var blob = new byte[xsdtAddress - BaseAddress + (uint)xsdt.Length];
        Rsdp(xsdtAddress).CopyTo(blob, 0);
        dsdt.CopyTo(blob, (int)(dsdtAddress - BaseAddress));
        madt.CopyTo(blob, (int)(madtAddress - BaseAddress));
        Fadt(dsdtAddress).CopyTo(blob, (int)(fadtAddress - BaseAddress));
        xsdt.CopyTo(blob, (int)(xsdtAddress - BaseAddress));
        return blob;
    }

    /// <summary>DSDT: header and AML.</summary>
    internal static byte[] Dsdt(IReadOnlyList<VirtioWindow> windows)
    {
        var aml = new AmlWriter()
            .Scope("\\_SB", sb =>
            {
                sb.Device("COM1", d => d
                    .Name("_HID", AmlWriter.EisaId("PNP0501"))
                    .Name("_UID", 1)
                    .Name("_CRS", new ResourceTemplate().Ports(MemoryMap.UartPort, 8).Irq(MemoryMap.UartGsi)));
                sb.Device("RTC0", d => d
                    .Name("_HID", AmlWriter.EisaId("PNP0B00"))
                    .Name("_CRS", new ResourceTemplate().Ports(MemoryMap.RtcPort, 2)));
                for (var i = 0; i < windows.Count; i++)
                {
                    var (uid, window) = ((ulong)i, windows[i]);
                    sb.Device($"VR{i:X2}", d => d
                        .Name("_HID", "LNRO0005")
                        .Name("_UID", uid)
                        .Name("_CRS", new ResourceTemplate()
                            .Memory32Fixed(checked((uint)window.BaseAddress), checked((uint)window.SizeBytes))
                            .InterruptLevelHigh((uint)window.Gsi)));
                }
            })
            .Name("\\_S5", [PowerController.SleepTypeS5, 0, 0, 0])
            .ToArray();
        return Table("DSDT", 2, aml);
    }

    /// <summary>MADT (5.2.12): one enabled local APIC, one IOAPIC, LINT1 wired as NMI. No PIC, so no flags.</summary>
    internal static byte[] Madt()
    {
        var body = new byte[8 + 8 + 12 + 6];
        var span = body.AsSpan();
        BinaryPrimitives.WriteUInt32LittleEndian(span, (uint)MemoryMap.LocalApicBase);
        // Processor local APIC (5.2.12.2): UID 0, APIC ID 0, enabled.
        ((ReadOnlySpan<byte>)[0, 8, 0, 0, 1, 0, 0, 0]).CopyTo(span[8..]);
        // I/O APIC (5.2.12.3): ID 0, GSIs from 0 on. ISA interrupts are identity-mapped with ISA polarity: no overrides.
        ((ReadOnlySpan<byte>)[1, 12, 0, 0]).CopyTo(span[16..]);
        BinaryPrimitives.WriteUInt32LittleEndian(span[20..], (uint)MemoryMap.IoApicBase);
        // Local APIC NMI (5.2.12.7): all processors, polarity and trigger as the bus has it, LINT1.
        ((ReadOnlySpan<byte>)[4, 6, 0xFF, 0, 0, 1]).CopyTo(span[28..]);
        return Table("APIC", 5, body);
    }

    /// <summary>FADT revision 6 (5.2.9) of a hardware-reduced platform: no fixed registers but sleep and reset.</summary>
    internal static byte[] Fadt(ulong dsdtAddress)
    {
        const byte enterprise = 4;
        const ushort vgaNotPresent = 1 << 2;
        const uint wbinvd = 1 << 0, c1Supported = 1 << 2, noFixedPowerButton = 1 << 4, noFixedSleepButton = 1 << 5, noFixedRtc = 1 << 6,
            resetSupported = 1 << 10, hardwareReduced = 1 << 20;
        var body = new byte[FadtBytes - HeaderBytes];
        var table = body.AsSpan();
        Span<byte> Field(int offset) => body.AsSpan(offset - HeaderBytes);

        Field(45)[0] = enterprise;
        Field(108)[0] = CmosRtc.CenturyIndex;
        BinaryPrimitives.WriteUInt16LittleEndian(Field(109), vgaNotPresent);
        BinaryPrimitives.WriteUInt32LittleEndian(Field(112), wbinvd | c1Supported | noFixedPowerButton | noFixedSleepButton
            | noFixedRtc | resetSupported | hardwareReduced);
        ByteRegister(Field(116), MemoryMap.PowerBase + PowerController.ResetOffset);
        Field(128)[0] = PowerController.ResetValue;
        Field(131)[0] = 5;
        BinaryPrimitives.WriteUInt64LittleEndian(Field(140), dsdtAddress);
        ByteRegister(Field(244), MemoryMap.PowerBase + PowerController.SleepControlOffset);
        ByteRegister(Field(256), MemoryMap.PowerBase + PowerController.SleepStatusOffset);
        Encoding.ASCII.GetBytes(OemTableId).CopyTo(Field(268));
        return Table("FACP", 6, table);
    }

    /// <summary>Generic address structure of one byte in system memory (5.2.3.2).</summary>
    private static void ByteRegister(Span<byte> field, ulong address)
    {
        ((ReadOnlySpan<byte>)[0, 8, 0, 1]).CopyTo(field);
        BinaryPrimitives.WriteUInt64LittleEndian(field[4..], address);
    }

    private static byte[] Xsdt(params ReadOnlySpan<ulong> tableAddresses)
    {
        var body = new byte[8 * tableAddresses.Length];
        for (var i = 0; i < tableAddresses.Length; i++)
            BinaryPrimitives.WriteUInt64LittleEndian(body.AsSpan(8 * i), tableAddresses[i]);
        return Table("XSDT", 1, body);
    }

    /// <summary>RSDP revision 2 (5.2.5.3).</summary>
    private static byte[] Rsdp(ulong xsdtAddress)
    {
        var rsdp = new byte[RsdpBytes];
        Encoding.ASCII.GetBytes("RSD PTR ").CopyTo(rsdp, 0);
        Encoding.ASCII.GetBytes(OemId).CopyTo(rsdp, 9);
        rsdp[15] = 2;
        BinaryPrimitives.WriteUInt32LittleEndian(rsdp.AsSpan(20), RsdpBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(rsdp.AsSpan(24), xsdtAddress);
        rsdp[8] = Checksum(rsdp.AsSpan(0, 20));
        rsdp[32] = Checksum(rsdp);
        return rsdp;
    }

    /// <summary>A table with the common header (5.2.6) and its checksum.</summary>
    private static byte[] Table(string signature, byte revision, ReadOnlySpan<byte> body)
    {
        var table = new byte[HeaderBytes + body.Length];
        Encoding.ASCII.GetBytes(signature).CopyTo(table, 0);
        BinaryPrimitives.WriteUInt32LittleEndian(table.AsSpan(4), (uint)table.Length);
        table[8] = revision;
        Encoding.ASCII.GetBytes(OemId).CopyTo(table, 10);
        Encoding.ASCII.GetBytes(OemTableId).CopyTo(table, 16);
        BinaryPrimitives.WriteUInt32LittleEndian(table.AsSpan(24), 1);
        Encoding.ASCII.GetBytes("FTAK").CopyTo(table, 28);
        BinaryPrimitives.WriteUInt32LittleEndian(table.AsSpan(32), 1);
        body.CopyTo(table.AsSpan(HeaderBytes));
        table[9] = Checksum(table);
        return table;
    }

    /// <summary>The byte that makes the sum of all bytes zero, the checksum byte itself being zero so far.</summary>
    private static byte Checksum(ReadOnlySpan<byte> bytes)
    {
        var sum = 0;
        foreach (var b in bytes)
            sum += b;
        return (byte)-sum;
    }

    private static ulong Align(ulong address) => (address + 15) & ~15UL;
}
