using FtAkka.Cpu.Memory;

namespace FtAkka.Cpu.Tests.Memory;

/// <summary>Cached translations follow stores into the page tables they derive from; tracked pages are told of stores.</summary>
public sealed unsafe class CoherenceTests
{
    private const ulong Va = 0x40_0000, Pa = 0x30_0000, AliasVa = 0x1_0000_0000;

    [Fact]
    public void Store_into_a_page_table_drops_exactly_the_page_it_mapped()
    {
        using var rig = new MmuRig();
        ulong leaf = rig.Map(Va, Pa);
        rig.Map(Va + 0x1000, Pa + 0x1000);
        Touch(rig, Va, Va + 0x1000);

        rig.WriteEntry(leaf, Pa + 0x5000 | MmuRig.AllRights);

        Assert.False(rig.HasReadEntry(Va, user: true));
        Assert.True(rig.HasReadEntry(Va + 0x1000, user: true));
        Assert.DoesNotContain(rig.Observer.Calls, c => c != "non-global");
        rig.Mmu.Fill(Va, write: false, user: true, out ulong physical);
        Assert.Equal(Pa + 0x5000, physical);
    }

    [Fact]
    public void Store_through_an_alias_that_was_writable_before_the_page_became_a_table_is_seen()
    {
        using var rig = new MmuRig();
        ulong table = rig.Map(Va, Pa) & ~0xFFFUL;
        rig.Map(AliasVa, table);
        rig.Map(AliasVa + 0x1000, table);
        Assert.True(rig.Mmu.Write(AliasVa + 0x800, 8, user: true, 0));
        Assert.True(rig.Mmu.Write(AliasVa + 0x1800, 8, user: false, 0));
        Assert.True(rig.HasWriteEntry(AliasVa, user: true) && rig.HasWriteEntry(AliasVa + 0x1000, user: false));

        Touch(rig, Va);
        Assert.False(rig.HasWriteEntry(AliasVa, user: true) || rig.HasWriteEntry(AliasVa + 0x1000, user: false));
        Assert.Equal(FillOutcome.Tracked, rig.Mmu.Fill(AliasVa, write: true, user: true, out _));
        Assert.True(rig.Mmu.Write(AliasVa + ((Va >> 12) & 511) * 8, 8, user: true, 0));

        Assert.False(rig.HasReadEntry(Va, user: true));
        Assert.False(rig.Mmu.Read(Va, 1, user: true, out _));
    }

    [Theory]
    [InlineData(2, 0x20_0000UL)]
    [InlineData(3, 0x4000_0000UL)]
    [InlineData(4, 0x80_0000_0000UL)]
    public void Store_into_an_upper_table_drops_what_lies_below_the_entry_only(int level, ulong span)
    {
        using var rig = new MmuRig();
        ulong below = span, beside = 2 * span;
        rig.Map(below, Pa);
        rig.Map(below + span - 0x1000, Pa + 0x1000);
        rig.Map(beside, Pa + 0x2000);
        Touch(rig, below, below + span - 0x1000, beside);
        Assert.True(rig.Mmu.TryTranslateFetch(below, user: true, out _, out _));
        rig.Observer.Calls.Clear();

        rig.WriteEntry(rig.EntryOf(below, level), 0);

        Assert.False(rig.HasReadEntry(below, user: true));
        Assert.False(rig.HasReadEntry(below + span - 0x1000, user: true));
        Assert.True(rig.HasReadEntry(beside, user: true));
        Assert.Equal([$"range {below:x} {span:x}"], rig.Observer.Calls);
    }

    [Fact]
    public void Observer_is_told_of_a_page_only_if_code_was_fetched_through_its_table()
    {
        using var rig = new MmuRig();
        ulong leaf = rig.Map(Va, Pa);
        Touch(rig, Va);
        rig.WriteEntry(leaf, 0);
        Assert.DoesNotContain($"page {Va:x}", rig.Observer.Calls);

        rig.Map(Va, Pa);
        Assert.True(rig.Mmu.TryTranslateFetch(Va, user: true, out _, out _));
        rig.WriteEntry(leaf, 0);

        Assert.Contains($"page {Va:x}", rig.Observer.Calls);
    }

    [Fact]
    public void Page_table_reused_as_data_becomes_untracked_after_many_stores()
    {
        using var rig = new MmuRig();
        ulong table = rig.Map(Va, Pa) & ~0xFFFUL;
        rig.Map(Va + 0x1F_F000, Pa + 0x1000);
        rig.Map(AliasVa, table);
        Touch(rig, Va, Va + 0x1F_F000);
        for (int i = 0; i < Mmu.StoresUntilUntracked - 1; i++) Assert.True(rig.Mmu.Write(AliasVa + 0x800, 8, user: false, 0));
        Assert.Equal(PageTrack.PageTable, rig.TrackOf(table));
        Assert.True(rig.HasReadEntry(Va, user: true));

        Assert.True(rig.Mmu.Write(AliasVa + 0x800, 8, user: false, 0));

        Assert.Equal(PageTrack.None, rig.TrackOf(table));
        Assert.False(rig.HasReadEntry(Va, user: true));
        Assert.False(rig.HasReadEntry(Va + 0x1F_F000, user: true));
        Assert.True(rig.Mmu.Write(AliasVa + 0x800, 8, user: false, 0));
        Assert.True(rig.HasWriteEntry(AliasVa, user: false));
        Touch(rig, Va);
        Assert.Equal(PageTrack.PageTable, rig.TrackOf(table));
        Assert.False(rig.HasWriteEntry(AliasVa, user: false));
    }

    [Fact]
    public void Stores_to_a_table_that_is_walked_in_between_keep_it_tracked()
    {
        using var rig = new MmuRig();
        ulong table = rig.Map(Va, Pa) & ~0xFFFUL;
        for (int i = 0; i < 4 * Mmu.StoresUntilUntracked; i++)
        {
            rig.WriteEntry(table + 0x800, 0);
            if (i % 32 == 0) rig.Mmu.Fill(Va, write: false, user: true, out _);
        }

        Assert.Equal(PageTrack.PageTable, rig.TrackOf(table));
    }

    [Fact]
    public void Stores_to_translated_code_are_reported_from_every_side_until_it_is_unmarked()
    {
        using var rig = new MmuRig();
        rig.Map(Va, Pa);
        Assert.True(rig.Mmu.Write(Va, 8, user: true, 0));
        rig.Mmu.MarkCodePage(Pa + 0x123);

        Assert.True(rig.Mmu.Write(Va + 0x10, 4, user: true, 0));
        Assert.True(rig.Memory.TryWrite(Pa - 4, new byte[12]));
        rig.Mmu.UnmarkCodePage(Pa);
        Assert.True(rig.Mmu.Write(Va + 0x10, 4, user: true, 0));

        Assert.Equal([$"code {Pa + 0x10:x} 4", $"code {Pa:x} 8"], rig.Observer.Calls.Where(c => c.StartsWith("code", StringComparison.Ordinal)));
        Assert.True(rig.HasWriteEntry(Va, user: true));
    }

    [Fact]
    public void Accessed_bit_set_by_a_walk_is_reported_where_the_table_holds_translated_code()
    {
        using var rig = new MmuRig();
        ulong leaf = rig.Map(Va, Pa);
        rig.Mmu.MarkCodePage(leaf);

        Touch(rig, Va);

        Assert.Equal([$"code {leaf:x} 8"], rig.Observer.Calls.Where(c => c.StartsWith("code", StringComparison.Ordinal)));
    }

    [Fact]
    public void Address_space_switch_keeps_global_pages_only_if_the_new_tables_map_them_alike()
    {
        using var rig = new MmuRig();
        const ulong Kernel = 0xFFFF_8000_0000_0000;
        rig.Map(Va, Pa);
        rig.Map(Kernel, Pa + 0x1000, MmuRig.AllRights | MmuRig.Global);
        Touch(rig, Va, Kernel);
        ulong sameKernel = 0x80_0000, otherKernel = 0x80_1000;
        rig.WriteEntry(sameKernel + 256 * 8, rig.ReadEntry(0x1000 + 256 * 8));
        rig.WriteEntry(otherKernel + 256 * 8, rig.ReadEntry(0x1000 + 256 * 8) & ~MmuRig.Writable);

        Switch(sameKernel);
        Assert.False(rig.HasReadEntry(Va, user: true));
        Assert.True(rig.HasReadEntry(Kernel, user: true));
        Assert.Equal("non-global", rig.Observer.Calls[^1]);

        // The entry now derives from the new PML4, although no walk has read it.
        rig.WriteEntry(sameKernel + 256 * 8, rig.ReadEntry(0x1000 + 256 * 8) & ~MmuRig.Writable);
        Assert.False(rig.HasReadEntry(Kernel, user: true));

        Switch(0x1000);
        Touch(rig, Kernel);
        Switch(otherKernel);
        Assert.False(rig.HasReadEntry(Kernel, user: true));
        Assert.Equal("all", rig.Observer.Calls[^1]);

        void Switch(ulong root)
        {
            rig.State->Cr3 = root;
            rig.Mmu.FlushNonGlobal();
        }
    }

    [Fact]
    public void Return_to_an_address_space_finds_its_translations_again_unless_a_table_has_changed()
    {
        using var rig = new MmuRig();
        ulong leaf = rig.Map(Va, Pa);
        Assert.True(rig.Mmu.Write(Va, 8, user: true, 1));
        rig.WriteEntry(0x80_0000, rig.ReadEntry(0x1000));

        ThereAndBack();
        Assert.True(rig.HasWriteEntry(Va, user: true));

        rig.Mmu.MarkCodePage(Pa);
        ThereAndBack();
        Assert.True(rig.HasReadEntry(Va, user: true));
        Assert.False(rig.HasWriteEntry(Va, user: true));

        ThereAndBack(() => rig.WriteEntry(leaf, 0));
        Assert.False(rig.HasReadEntry(Va, user: true));

        void ThereAndBack(Action? meanwhile = null)
        {
            rig.State->Cr3 = 0x80_0000;
            rig.Mmu.FlushNonGlobal();
            Assert.False(rig.HasReadEntry(Va, user: true));
            meanwhile?.Invoke();
            rig.State->Cr3 = 0x1000;
            rig.Mmu.FlushNonGlobal();
        }
    }

    [Fact]
    public void Write_tag_that_came_back_with_its_address_space_is_withdrawn_when_the_page_becomes_code()
    {
        using var rig = new MmuRig();
        rig.Map(Va, Pa);
        rig.Map(Va + 0x1000, Pa);
        Assert.True(rig.Mmu.Write(Va, 8, user: true, 1));
        rig.WriteEntry(0x80_0000, rig.ReadEntry(0x1000));
        rig.State->Cr3 = 0x80_0000;
        rig.Mmu.FlushNonGlobal();
        // The alias is now the only known writer of the page.
        Assert.True(rig.Mmu.Write(Va + 0x1000, 8, user: true, 1));
        rig.State->Cr3 = 0x1000;
        rig.Mmu.FlushNonGlobal();
        Assert.True(rig.HasWriteEntry(Va, user: true));

        rig.Mmu.MarkCodePage(Pa);

        Assert.False(rig.HasWriteEntry(Va, user: true));
    }

    [Fact]
    public void Flush_of_everything_ends_the_tracking_of_page_tables_as_a_snapshot_restore_needs()
    {
        using var rig = new MmuRig();
        ulong leaf = rig.Map(Va, Pa);
        Touch(rig, Va);

        rig.Mmu.FlushAll();

        Assert.False(rig.HasReadEntry(Va, user: true));
        for (int level = 1; level <= 4; level++) Assert.Equal(PageTrack.None, rig.TrackOf(rig.EntryOf(Va, level)));
        Assert.Equal("all", rig.Observer.Calls[^1]);
        Touch(rig, Va);
        Assert.Equal(PageTrack.PageTable, rig.TrackOf(leaf));
    }

    [Fact]
    public void Second_vCPU_on_the_same_memory_is_refused()
    {
        using var rig = new MmuRig();

        Assert.Throws<InvalidOperationException>(() => new Mmu(rig.State, rig.Memory, rig.Bus));
    }

    private static void Touch(MmuRig rig, params ulong[] pages)
    {
        foreach (ulong va in pages) Assert.True(rig.Mmu.Read(va, 1, user: true, out _));
    }
}
