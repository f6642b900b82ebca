using FtAkka.Cpu.Memory;
using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Tests.Memory;

/// <summary>Virtual accesses from C#: page crossing, MMIO, bulk pointers.</summary>
public sealed unsafe class MmuAccessTests
{
    private const ulong Va = 0x40_0000, LowPage = 0x30_0000, HighPage = 0x50_0000, Device = 0xFEE0_0000;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(8)]
    public void Value_written_at_any_offset_across_a_page_boundary_is_read_back(int size)
    {
        using var rig = new MmuRig();
        rig.Map(Va, LowPage);
        rig.Map(Va + 0x1000, HighPage);
        for (ulong offset = 0xFF8; offset <= 0x1000; offset++)
        {
            ulong value = 0x8877_6655_4433_2211 & (ulong.MaxValue >> (64 - 8 * size));
            Assert.True(rig.Mmu.Write(Va + offset, size, user: true, 0x8877_6655_4433_2211));
            Assert.True(rig.Mmu.Read(Va + offset, size, user: true, out ulong read));
            Assert.Equal(value, read);
            Assert.Equal(0x11, ByteAt(rig, offset));
            Assert.Equal((byte)(value >> (8 * (size - 1))), ByteAt(rig, offset + (ulong)size - 1));
        }
    }

    [Fact]
    public void Crossing_write_that_faults_on_the_second_page_changes_nothing_and_names_the_second_page()
    {
        using var rig = new MmuRig();
        rig.Map(Va, LowPage);
        rig.Map(Va + 0x1000, HighPage, MmuRig.Present | MmuRig.User);
        rig.WriteEntry(LowPage + 0xFF8, 0x1234_5678_9ABC_DEF0);

        Assert.False(rig.Mmu.Write(Va + 0xFFC, 8, user: true, ulong.MaxValue));

        Assert.Equal((7U, Va + 0x1000), (rig.Mmu.Fault.ErrorCode, rig.Mmu.Fault.Cr2));
        Assert.Equal(0x1234_5678_9ABC_DEF0UL, rig.ReadEntry(LowPage + 0xFF8));
    }

    [Fact]
    public void Crossing_access_that_faults_on_both_pages_reports_the_lower()
    {
        using var rig = new MmuRig();
        rig.Map(Va - 0x1000, LowPage);

        Assert.False(rig.Mmu.Read(Va + 0xFFC, 8, user: true, out _));

        Assert.Equal((4U, Va + 0xFFC), (rig.Mmu.Fault.ErrorCode, rig.Mmu.Fault.Cr2));
    }

    [Fact]
    public void Access_across_the_end_of_the_lower_canonical_half_is_a_general_protection_fault()
    {
        using var rig = new MmuRig();
        rig.Map(0x7FFF_FFFF_F000, LowPage);

        Assert.False(rig.Mmu.Read(0x7FFF_FFFF_FFFC, 8, user: true, out _));

        Assert.Equal((Vector.GeneralProtection, 0U), (rig.Mmu.Fault.Vector, rig.Mmu.Fault.ErrorCode));
    }

    [Fact]
    public void Device_access_is_split_into_naturally_aligned_parts_in_ascending_order()
    {
        using var rig = new MmuRig();
        rig.Map(Va, Device);

        Assert.True(rig.Mmu.Read(Va + 3, 8, user: false, out ulong value));
        Assert.True(rig.Mmu.Write(Va + 6, 4, user: false, 0xDDCC_BBAA));
        Assert.True(rig.Mmu.WriteBytes(Va + 0x18, new byte[16], user: false));

        Assert.Equal(0x0A09_0807_0605_0403UL, value);
        Assert.Equal(
            [
                "read fee00003 1", "read fee00004 4", "read fee00008 2", "read fee0000a 1",
                "write fee00006 2 bbaa", "write fee00008 2 ddcc",
                "write fee00018 8 0", "write fee00020 8 0",
            ],
            rig.Bus.Calls);
        Assert.Equal(FillOutcome.Mmio, rig.Mmu.Fill(Va, write: true, user: false, out ulong physical));
        Assert.Equal(Device, physical);
        Assert.False(rig.HasReadEntry(Va, user: false));
    }

    [Fact]
    public void Access_that_faults_behind_a_device_page_does_not_touch_the_device()
    {
        using var rig = new MmuRig();
        rig.Map(Va, Device);

        Assert.False(rig.Mmu.Read(Va + 0xFFC, 8, user: false, out _));
        Assert.False(rig.Mmu.Write(Va + 0xFFC, 8, user: false, 1));

        Assert.Empty(rig.Bus.Calls);
    }

    [Fact]
    public void Access_from_RAM_into_a_device_page_does_each_part_where_it_belongs()
    {
        using var rig = new MmuRig();
        rig.Map(Va, LowPage);
        rig.Map(Va + 0x1000, Device);

        Assert.True(rig.Mmu.Write(Va + 0xFFC, 8, user: false, 0x8877_6655_4433_2211));

        Assert.Equal(["write fee00000 4 88776655"], rig.Bus.Calls);
        Assert.Equal(0x4433_2211UL, rig.ReadEntry(LowPage + 0xFF8) >> 32);
    }

    [Fact]
    public void Bulk_pointer_reaches_RAM_refuses_devices_and_reports_faults()
    {
        using var rig = new MmuRig();
        rig.Map(Va, LowPage);
        rig.Map(Va + 0x1000, Device);

        Assert.True(rig.Mmu.TryGetPointer(Va + 8, 0xFF8, write: true, user: true, out byte* pointer));
        Assert.True(rig.Mmu.HostPointer(LowPage + 8) == pointer);
        Assert.True(rig.Mmu.TryGetPointer(Va + 0x1000, 16, write: true, user: true, out pointer));
        Assert.True(pointer == null);
        Assert.False(rig.Mmu.TryGetPointer(Va + 0x2000, 16, write: false, user: true, out pointer));
        Assert.Equal((4U, Va + 0x2000), (rig.Mmu.Fault.ErrorCode, rig.Mmu.Fault.Cr2));
    }

    [Fact]
    public void Bulk_store_to_translated_code_reports_the_run_and_to_a_page_table_in_use_is_left_to_single_stores()
    {
        using var rig = new MmuRig();
        ulong leaf = rig.Map(Va, LowPage);
        rig.Map(Va + 0x1000, leaf & ~0xFFFUL);
        rig.Mmu.MarkCodePage(LowPage);

        Assert.True(rig.Mmu.TryGetPointer(Va + 16, 32, write: true, user: true, out byte* code));
        Assert.True(rig.Mmu.TryGetPointer(Va + 0x1000, 32, write: true, user: true, out byte* table));

        Assert.True(code != null);
        Assert.True(table == null);
        Assert.Equal([$"code {LowPage + 16:x} 32"], rig.Observer.Calls.Where(c => c.StartsWith("code", StringComparison.Ordinal)));
    }

    [Fact]
    public void Probe_write_sets_D_and_writes_nothing()
    {
        using var rig = new MmuRig();
        ulong leaf = rig.Map(Va, LowPage);
        rig.WriteEntry(LowPage, 42);

        Assert.True(rig.Mmu.ProbeWrite(Va, 8, user: true));

        Assert.Equal(42UL, rig.ReadEntry(LowPage));
        Assert.Equal(MmuRig.Dirty | MmuRig.Accessed, rig.ReadEntry(leaf) & (MmuRig.Dirty | MmuRig.Accessed));
    }

    private static byte ByteAt(MmuRig rig, ulong offset)
    {
        Span<byte> one = stackalloc byte[1];
        Assert.True(rig.Memory.TryRead(offset < 0x1000 ? LowPage + offset : HighPage + offset - 0x1000, one));
        return one[0];
    }
}
