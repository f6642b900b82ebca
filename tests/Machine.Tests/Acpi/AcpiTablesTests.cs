using System.Buffers.Binary;
using System.Text;
using FtAkka.Machine.Acpi;

namespace FtAkka.Machine.Tests.Acpi;

/// <summary>The ACPI tables (ACPI 6.5, 5.2), found the way a guest finds them.</summary>
public sealed class AcpiTablesTests
{
    private static readonly byte[] blob = AcpiTables.Build([VirtioWindow.At(0), VirtioWindow.At(1), VirtioWindow.At(2)]);

    private static byte Sum(ReadOnlySpan<byte> bytes)
    {
        byte sum = 0;
        foreach (var value in bytes)
            sum += value;
        return sum;
    }

    private static ReadOnlySpan<byte> TableAt(ulong address)
    {
        var table = blob.AsSpan((int)(address - AcpiTables.BaseAddress));
        return table[..BinaryPrimitives.ReadInt32LittleEndian(table[4..])];
    }

    private static string Signature(ReadOnlySpan<byte> table) => Encoding.ASCII.GetString(table[..4]);

    [Fact]
    public void Section_5_2_5_3_rsdp_has_both_checksums_and_leads_to_valid_tables()
    {
        Assert.Equal("RSD PTR ", Encoding.ASCII.GetString(blob[..8]));
        Assert.Equal(2, blob[15]);
        Assert.Equal(0, Sum(blob.AsSpan(0, 20)));
        Assert.Equal(0, Sum(blob.AsSpan(0, 36)));
        var xsdt = TableAt(BinaryPrimitives.ReadUInt64LittleEndian(blob.AsSpan(24)));
        Assert.Equal("XSDT", Signature(xsdt));
        Assert.Equal(0, Sum(xsdt));
        Assert.Equal(36 + 2 * 8, xsdt.Length);
        string[] names = ["FACP", "APIC"];
        for (var i = 0; i < 2; i++)
        {
            var table = TableAt(BinaryPrimitives.ReadUInt64LittleEndian(xsdt[(36 + 8 * i)..]));
            Assert.Equal(names[i], Signature(table));
            Assert.Equal(0, Sum(table));
        }
    }

    [Fact]
    public void Section_5_2_9_fadt_is_hardware_reduced_with_sleep_and_reset_registers()
    {
        var fadt = AcpiTables.Fadt(0xE_1234);
        Assert.Equal(276, fadt.Length);
        Assert.Equal((6, 5), (fadt[8], fadt[131]));
        Assert.Equal(1U << 20 | 1U << 10, BinaryPrimitives.ReadUInt32LittleEndian(fadt.AsSpan(112)) & (1U << 20 | 1U << 10));
        Assert.Equal(0xFEA0_0202UL, BinaryPrimitives.ReadUInt64LittleEndian(fadt.AsSpan(120)));
        Assert.Equal(0x42, fadt[128]);
        Assert.Equal(0xE_1234UL, BinaryPrimitives.ReadUInt64LittleEndian(fadt.AsSpan(140)));
        Assert.Equal(0xFEA0_0200UL, BinaryPrimitives.ReadUInt64LittleEndian(fadt.AsSpan(248)));
        Assert.Equal(0xFEA0_0201UL, BinaryPrimitives.ReadUInt64LittleEndian(fadt.AsSpan(260)));
        foreach (var register in (int[])[116, 244, 256])
            Assert.Equal([0, 8, 0, 1], fadt.AsSpan(register, 4).ToArray());
    }

    [Fact]
    public void Section_5_2_12_madt_names_one_local_apic_and_one_ioapic()
    {
        var madt = AcpiTables.Madt();
        Assert.Equal(0xFEE0_0000U, BinaryPrimitives.ReadUInt32LittleEndian(madt.AsSpan(36)));
        Assert.Equal([0, 8, 0, 0, 1, 0, 0, 0], madt.AsSpan(44, 8).ToArray());
        Assert.Equal([1, 12, 0, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0], madt.AsSpan(52, 12).ToArray());
        Assert.Equal([4, 6, 0xFF, 0, 0, 1], madt.AsSpan(64).ToArray());
    }

    [Fact]
    public void Tables_do_not_overlap_and_fit_their_area()
    {
        Assert.InRange(blob.Length, 600, AcpiTables.SizeBytesMax);
        Assert.True(AcpiTables.Build([.. Enumerable.Range(0, MemoryMap.VirtioWindowsMax).Select(VirtioWindow.At)]).Length < 4096);
    }
}
