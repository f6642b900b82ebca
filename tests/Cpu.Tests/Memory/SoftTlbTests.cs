using FtAkka.Cpu.Memory;

namespace FtAkka.Cpu.Tests.Memory;

public sealed unsafe class SoftTlbTests
{
    [Fact]
    public void Arrays_lie_below_2_GiB_and_do_not_overlap()
    {
        using var tlb = new SoftTlb();
        long bytes = (SoftTlb.SlotCount + 1) * sizeof(long);
        long[] starts =
        [
            .. Enumerable.Range(0, 2)
                .SelectMany(set => new[] { (long)tlb.ReadTagAddress(set), tlb.WriteTagAddress(set), tlb.AddendAddress(set) })
                .Order(),
        ];

        Assert.All(starts, start => Assert.InRange(start, 1, int.MaxValue - bytes));
        Assert.All(starts.Zip(starts.Skip(1)), pair => Assert.True(pair.Second - pair.First >= bytes));
    }

    [Fact]
    public void Invalid_tag_matches_no_address_that_selects_the_slot()
    {
        var random = new Random(7);
        for (int slot = 0; slot < SoftTlb.SlotCount; slot++)
        {
            for (int round = 0; round < 16; round++)
            {
                // The upper bits take extremes as well: a difference of exactly one page, or a carry, must not turn into a match.
                ulong upper = round switch { 0 => 0, 1 => 0xFFFF_FFFF, 2 => 1, _ => (ulong)random.NextInt64() };
                ulong va = upper << 28 | (ulong)slot << 12 | (uint)(round % 2 == 0 ? 0xFFF : random.Next(4096));
                int size = round % 3 == 0 ? 64 : 1;
                ulong difference = (ulong)(SoftTlb.InvalidTag(slot) + (long)va + size - 1);
                Assert.True(difference >> 12 != 0, $"slot {slot:x} va {va:x} size {size}");
            }
        }
    }

    [Fact]
    public void Fresh_one_matches_no_address_not_even_over_the_end_of_the_address_space()
    {
        const int LongestString = 64 * 1024;
        using var tlb = new SoftTlb();
        var random = new Random(11);
        for (int slot = 0; slot < SoftTlb.SlotCount; slot++)
        {
            foreach (ulong upper in (ulong[])[0, 1, 0xF_FFFF_FFFF, (ulong)random.NextInt64() >> 28])
            {
                foreach (int size in (int[])[1, 64, 4096, LongestString])
                {
                    ulong va = upper << 28 | (ulong)slot << 12 | (uint)random.Next(4096);
                    for (int set = 0; set < 2; set++)
                    {
                        Assert.True((ulong)(tlb.ReadTags(set)[slot] + (long)va + size - 1) >> 12 != 0, $"slot {slot:x} va {va:x} size {size}");
                        Assert.True((ulong)(tlb.WriteTags(set)[slot] + (long)va + size - 1) >> 12 != 0, $"slot {slot:x} va {va:x} size {size}");
                    }
                }
            }
            Assert.False(tlb.IsValid(0, slot, out _));
            Assert.False(tlb.HasWriteTag(1, slot, (byte*)0x10000));
        }
    }

    [Fact]
    public void Local_flush_keeps_global_entries_and_the_ones_that_replaced_local_ones()
    {
        using var tlb = new SoftTlb();
        byte* page = (byte*)0x10000;
        tlb.Enter(0, 0x1000, page, writable: true, global: false);
        tlb.Enter(0, 0x2000, page, writable: true, global: true);
        tlb.Enter(0, 0x3000, page, writable: true, global: false);
        tlb.Enter(0, 0x1000_3000, page, writable: true, global: true);
        tlb.Enter(0, 0x4000, page, writable: true, global: true);
        tlb.Enter(0, 0x1000_4000, page, writable: true, global: false);

        tlb.FlushLocal();

        Assert.Equal([false, true, true, false], Enumerable.Range(1, 4).Select(slot => tlb.IsValid(0, slot, out _)));
        Assert.False(SoftTlb.Matches(tlb.WriteTags(0)[1], 0x1000));
        tlb.FlushAll();
        Assert.DoesNotContain(true, Enumerable.Range(1, 4).Select(slot => tlb.IsValid(0, slot, out _)));
    }

    [Theory]
    [InlineData(100)]
    [InlineData(30_000)]
    [InlineData(65_536)]
    public void Flush_of_few_or_many_entries_leaves_none(int count)
    {
        using var tlb = new SoftTlb();
        for (int i = 0; i < count; i++) tlb.Enter(i & 1, (ulong)i << 12, (byte*)0x10000, writable: true, global: (i & 2) != 0);

        tlb.FlushAll();

        for (int slot = 0; slot < SoftTlb.SlotCount; slot++)
        {
            Assert.False(tlb.IsValid(slot & 1, slot, out _));
            Assert.True(IsNone(tlb.ReadTags(slot & 1)[slot], slot));
            Assert.True(IsNone(tlb.WriteTags(slot & 1)[slot], slot));
        }
        tlb.Enter(0, 0x5000, (byte*)0x10000, writable: false, global: false);
        tlb.FlushLocal();
        Assert.False(tlb.IsValid(0, 5, out _));
    }

    /// <summary>Dropped, or never filled.</summary>
    private static bool IsNone(long tag, int slot) => tag == SoftTlb.InvalidTag(slot) || (tag == 0 && slot != 0);
}
