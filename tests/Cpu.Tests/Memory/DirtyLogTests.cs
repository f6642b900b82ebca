using FtAkka.Cpu.Memory;

namespace FtAkka.Cpu.Tests.Memory;

public sealed unsafe class DirtyLogTests
{
    [Fact]
    public void Without_a_log_no_page_is_tracked()
    {
        using var rig = new MmuRig();
        rig.Map(0x40_0000, 0x30_0000);
        Assert.True(rig.Mmu.Write(0x40_0000, 8, user: true, 1));
        DirtyPages log = rig.Memory.CreateDirtyLog();
        Assert.Equal(PageTrack.DirtyLogClean, rig.TrackOf(0x30_0000));

        log.Dispose();

        for (int page = 0; page < rig.Memory.PageCount; page++)
        {
            Assert.Equal(PageTrack.None, rig.Memory.Track[page] & PageTrack.DirtyLogClean);
        }
        Assert.Throws<ObjectDisposedException>(() => log.Drain([]));
    }

    [Fact]
    public void A_new_log_sees_the_next_store_through_an_entry_that_was_writable_before()
    {
        using var rig = new MmuRig();
        rig.Map(0x40_0000, 0x30_0000);
        Assert.True(rig.Mmu.Write(0x40_0000, 8, user: true, 1));
        Assert.True(rig.HasWriteEntry(0x40_0000, user: true));

        using DirtyPages log = rig.Memory.CreateDirtyLog();
        Assert.False(rig.HasWriteEntry(0x40_0000, user: true));
        Assert.True(rig.HasReadEntry(0x40_0000, user: true));
        Assert.True(rig.Mmu.Read(0x40_0000, 8, user: true, out _));
        Assert.Equal(0, log.Count);
        Assert.True(rig.Mmu.Write(0x40_0000, 8, user: true, 1));

        Assert.True(rig.HasWriteEntry(0x40_0000, user: true));
        Assert.Equal([0x300], Drain(log));
        Assert.False(rig.HasWriteEntry(0x40_0000, user: true));
    }

    [Fact]
    public void Accessed_and_dirty_bits_set_by_a_walk_dirty_the_page_table()
    {
        using var rig = new MmuRig();
        ulong leaf = rig.Map(0x40_0000, 0x30_0000);
        using DirtyPages log = rig.Memory.CreateDirtyLog();

        Assert.True(rig.Mmu.Read(0x40_0000, 8, user: true, out _));
        int[] tables = [.. Enumerable.Range(1, 4).Select(level => (int)(rig.EntryOf(0x40_0000, level) >> 12)).Order()];
        Assert.Equal(tables, Drain(log));

        Assert.True(rig.Mmu.Write(0x40_0000, 8, user: true, 1));
        Assert.Equal([(int)(leaf >> 12), 0x300], Drain(log));
    }

    [Fact]
    public void AddAll_puts_every_page_into_one_log_only()
    {
        using var memory = new GuestMemory(1 << 20);
        using DirtyPages clone = memory.CreateDirtyLog(), digest = memory.CreateDirtyLog();
        Assert.True(memory.TryWrite(0x5000, [1]));

        clone.AddAll();

        Assert.Equal(256, clone.Count);
        Assert.Equal(Enumerable.Range(0, 256), Drain(clone));
        Assert.Equal([5], Drain(digest));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Two_logs_drained_at_random_each_get_every_page_written_since_their_last_drain(int seed)
    {
        const int Pages = 24;
        var random = new Random(seed);
        using var rig = new MmuRig();
        for (int page = 0; page < Pages; page++)
        {
            // D and A are set already, so that only the page itself is written.
            ulong flags = MmuRig.AllRights | MmuRig.Accessed | MmuRig.Dirty;
            rig.Map(0x40_0000 + ((ulong)page << 12), 0x30_0000 + ((ulong)page << 12), flags);
            rig.Map(0x4000_0000 + ((ulong)page << 12), 0x30_0000 + ((ulong)page << 12), flags);
            Assert.True(rig.Mmu.Read(0x40_0000, 1, user: true, out _) && rig.Mmu.Read(0x4000_0000, 1, user: true, out _));
        }
        DirtyPages?[] logs = [null, null];
        SortedSet<int>[] models = [[], []];
        for (int step = 0; step < 4000; step++)
        {
            int consumer = random.Next(2), page = random.Next(Pages);
            switch (random.Next(12))
            {
                case 0 when logs[consumer] is null:
                    logs[consumer] = rig.Memory.CreateDirtyLog();
                    break;
                case 0 when random.Next(8) == 0:
                    logs[consumer]!.Dispose();
                    logs[consumer] = null;
                    models[consumer].Clear();
                    break;
                case 1 when logs[consumer] is { } log:
                    Assert.Equal(models[consumer].Count, log.Count);
                    Assert.True(models[consumer].SequenceEqual(Drain(log)), $"seed {seed} step {step} consumer {consumer}");
                    models[consumer].Clear();
                    break;
                case 2:
                    Assert.True(rig.Memory.TryWrite(0x30_0000 + ((ulong)page << 12), [1, 2]));
                    Written(page);
                    break;
                case 3:
                    Assert.True(rig.Mmu.TryGetPointer(0x40_0000 + ((ulong)page << 12), 64, write: true, user: true, out _));
                    Written(page);
                    break;
                case 4:
                    Assert.True(rig.Mmu.Read(0x40_0000 + ((ulong)page << 12), 4, user: true, out _));
                    break;
                case 5:
                    rig.Mmu.MarkCodePage(0x30_0000 + ((ulong)page << 12));
                    break;
                case 6:
                    rig.Mmu.UnmarkCodePage(0x30_0000 + ((ulong)page << 12));
                    break;
                default:
                    ulong alias = random.Next(2) == 0 ? 0x40_0000UL : 0x4000_0000UL;
                    Assert.True(rig.Mmu.Write(alias + ((ulong)page << 12), 4, random.Next(2) == 0, 7));
                    Written(page);
                    break;
            }
        }

        void Written(int page)
        {
            for (int i = 0; i < 2; i++)
            {
                if (logs[i] is not null) models[i].Add(0x300 + page);
            }
        }
    }

    private static List<int> Drain(DirtyPages log)
    {
        var pages = new List<int>();
        int count = log.Drain(pages);
        Assert.Equal(pages.Count, count);
        return pages;
    }
}
