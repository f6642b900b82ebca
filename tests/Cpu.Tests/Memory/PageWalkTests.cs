using FtAkka.Cpu.Memory;
using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Tests.Memory;

/// <summary>Translation, rights, error codes, accessed and dirty bits (Intel SDM vol. 3A, 4.5 to 4.8).</summary>
public sealed unsafe class PageWalkTests
{
    private const ulong Va = 0x7F12_3456_7000, Pa = 0x30_0000;

    [Theory]
    [InlineData(1, 0x30_0000UL, 0x7F12_3456_7ABCUL, 0x30_0ABCUL)]
    [InlineData(2, 0x40_0000UL, 0x7F12_3456_7ABCUL, 0x56_7ABCUL)]
    [InlineData(3, 0UL, 0x7F12_0056_7ABCUL, 0x56_7ABCUL)]
    public void Each_page_size_translates_the_offset_inside_the_page(int level, ulong page, ulong va, ulong expected)
    {
        using var rig = new MmuRig();
        rig.Map(va, page, level: level);

        Assert.Equal(FillOutcome.Filled, rig.Mmu.Fill(va, write: false, user: true, out ulong physical));

        Assert.Equal(expected, physical);
        Assert.True(rig.HasReadEntry(va, user: true));
        Assert.False(rig.HasReadEntry(va, user: false));
    }

    [Fact]
    public void Random_entries_and_modes_agree_with_a_walk_by_the_book()
    {
        const int Seed = 20240117, Rounds = 60_000;
        var random = new Random(Seed);
        using var rig = new MmuRig();
        var reference = new ReferenceWalker(rig.Memory) { Cr3 = 0x1000 };
        var outcomes = new SortedSet<string>();
        rig.Map(Va, Pa);
        ulong[] entries = [rig.EntryOf(Va, 4), rig.EntryOf(Va, 3), rig.EntryOf(Va, 2), rig.EntryOf(Va, 1)];
        ulong[] targets = [0x2000, 0x3000, 0x4000, Pa];
        for (int round = 0; round < Rounds; round++)
        {
            for (int depth = 0; depth < 4; depth++) rig.WriteEntry(entries[depth], RandomEntry(random, depth, targets[depth]));
            SetMode(rig, reference, random);
            var kind = (AccessKind)random.Next(3);
            bool user = random.Next(2) == 0;
            WalkResult expected = reference.Walk(Va, kind, user);
            ulong[] before = entries.Select(rig.ReadEntry).ToArray();

            (ulong Physical, uint? Fault) actual = Access(rig, kind, user);

            string context = $"seed {Seed} round {round} {kind} user {user} entries {string.Join(' ', before.Select(e => e.ToString("x")))}";
            Assert.True(actual == (expected.PhysicalAddress, expected.Fault), $"{context}: {actual}, expected {expected}");
            for (int depth = 0; depth < 4; depth++)
            {
                ulong wanted = before[depth];
                if (expected.Fault is null && depth < expected.Entries.Count)
                {
                    wanted |= MmuRig.Accessed;
                    if (kind == AccessKind.Write && depth == expected.Entries.Count - 1) wanted |= MmuRig.Dirty;
                }
                Assert.True(wanted == rig.ReadEntry(entries[depth]), $"{context}: accessed/dirty bits at depth {depth}");
            }
            outcomes.Add(expected.Fault?.ToString("x") ?? $"mapped at depth {expected.Entries.Count}");
        }
        // All page sizes, and all error codes that can be built of P, W, U, RSVD and I/D: RSVD comes only with P, W not with I/D, and
        // a supervisor read of a present page never faults (no code 1).
        string[] all =
        [
            "0", "2", "3", "4", "5", "6", "7", "9", "b", "d", "f", "10", "11", "14", "15", "19", "1d",
            "mapped at depth 2", "mapped at depth 3", "mapped at depth 4",
        ];
        Assert.Equal(all.Order(StringComparer.Ordinal), outcomes.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Write_after_read_sets_D_although_the_page_is_already_cached()
    {
        using var rig = new MmuRig();
        ulong leaf = rig.Map(Va, Pa);
        Assert.True(rig.Mmu.Read(Va, 8, user: true, out _));
        Assert.Equal(0UL, rig.ReadEntry(leaf) & MmuRig.Dirty);
        Assert.False(rig.HasWriteEntry(Va, user: true));

        Assert.True(rig.Mmu.Write(Va, 8, user: true, 1));

        Assert.NotEqual(0UL, rig.ReadEntry(leaf) & MmuRig.Dirty);
        Assert.True(rig.HasWriteEntry(Va, user: true));
    }

    [Fact]
    public void Read_of_a_page_with_D_makes_it_writable_at_once_but_only_if_its_rights_allow()
    {
        using var rig = new MmuRig();
        rig.Map(Va, Pa, MmuRig.AllRights | MmuRig.Dirty);
        rig.Map(Va + 0x1000, Pa + 0x1000, MmuRig.Present | MmuRig.User | MmuRig.Dirty);

        rig.Mmu.Fill(Va, write: false, user: true, out _);
        rig.Mmu.Fill(Va + 0x1000, write: false, user: true, out _);

        Assert.True(rig.HasWriteEntry(Va, user: true));
        Assert.False(rig.HasWriteEntry(Va + 0x1000, user: true));
    }

    [Fact]
    public void Non_canonical_address_is_a_general_protection_fault()
    {
        using var rig = new MmuRig();

        Assert.Equal(FillOutcome.Fault, rig.Mmu.Fill(0x8000_0000_0000, write: false, user: false, out _));

        Assert.Equal((Vector.GeneralProtection, true, 0U), (rig.Mmu.Fault.Vector, rig.Mmu.Fault.HasErrorCode, rig.Mmu.Fault.ErrorCode));
        Assert.False(rig.Mmu.TryPeek(0xFFFF_7FFF_FFFF_FFFF, out _));
    }

    [Fact]
    public void Page_table_outside_RAM_reads_as_all_ones_and_faults_with_the_reserved_bit()
    {
        using var rig = new MmuRig();
        rig.State->Cr3 = 0xFEE0_0000;
        rig.Mmu.FlushNonGlobal();

        Assert.False(rig.Mmu.Read(Va, 1, user: false, out _));

        Assert.Equal((9U, Va), (rig.Mmu.Fault.ErrorCode, rig.Mmu.Fault.Cr2));
    }

    [Fact]
    public void Peek_finds_the_page_and_leaves_no_trace()
    {
        using var rig = new MmuRig();
        ulong leaf = rig.Map(Va, Pa, MmuRig.Present | MmuRig.NoExecute);

        Assert.True(rig.Mmu.TryPeek(Va + 5, out ulong physical));

        Assert.Equal(Pa + 5, physical);
        Assert.Equal(0UL, rig.ReadEntry(leaf) & MmuRig.Accessed);
        Assert.Equal(PageTrack.None, rig.TrackOf(leaf));
    }

    [Fact]
    public void Control_registers_changed_drops_entries_only_when_rights_change()
    {
        using var rig = new MmuRig();
        rig.Map(Va, Pa, MmuRig.Present | MmuRig.Dirty);
        rig.State->Cr0 &= ~0x1_0000UL;
        rig.Mmu.ControlRegistersChanged();
        Assert.True(rig.Mmu.Write(Va, 1, user: false, 1));
        Assert.True(rig.HasWriteEntry(Va, user: false));

        rig.State->Cr4 ^= 0x80;
        rig.Mmu.ControlRegistersChanged();
        Assert.True(rig.HasWriteEntry(Va, user: false));

        rig.State->Cr0 |= 0x1_0000;
        rig.Mmu.ControlRegistersChanged();
        Assert.False(rig.HasWriteEntry(Va, user: false));
        Assert.False(rig.Mmu.Write(Va, 1, user: false, 1));
        Assert.Equal(3U, rig.Mmu.Fault.ErrorCode);
    }

    private static ulong RandomEntry(Random random, int depth, ulong target)
    {
        ulong entry = target;
        if (random.Next(12) != 0) entry |= MmuRig.Present;
        if (random.Next(4) != 0) entry |= MmuRig.Writable;
        if (random.Next(4) != 0) entry |= MmuRig.User;
        if (random.Next(2) == 0) entry |= MmuRig.Accessed;
        if (random.Next(2) == 0) entry |= MmuRig.Dirty;
        if (random.Next(2) == 0) entry |= MmuRig.Global;
        if (random.Next(8) == 0) entry |= MmuRig.NoExecute;
        if (random.Next(8) == 0) entry |= 1UL << random.Next(9, 12) | 1UL << random.Next(52, 63);
        if (random.Next(24) == 0) entry |= 1UL << random.Next(40, 52);
        if (random.Next(depth == 0 ? 24 : 4) == 0)
        {
            entry |= MmuRig.Large;
            // Mostly a legal large page: PAT may be set, the other offset bits must not.
            ulong offset = depth switch { 1 => 0x3FFF_E000UL, 2 => 0x1F_E000, _ => 0 };
            if (random.Next(4) != 0) entry &= ~offset;
        }
        return entry;
    }

    private static void SetMode(MmuRig rig, ReferenceWalker reference, Random random)
    {
        reference.WriteProtect = random.Next(2) == 0;
        reference.Smep = random.Next(2) == 0;
        reference.Nxe = random.Next(3) != 0;
        rig.State->Cr0 = 0x8000_0033 | (reference.WriteProtect ? 0x1_0000UL : 0);
        rig.State->Cr4 = 0xA0 | (reference.Smep ? 0x10_0000UL : 0);
        rig.State->Efer = 0x501 | (reference.Nxe ? 0x800UL : 0);
        rig.Mmu.ControlRegistersChanged();
    }

    private static (ulong Physical, uint? Fault) Access(MmuRig rig, AccessKind kind, bool user)
    {
        ulong physical;
        bool done = kind == AccessKind.Execute
            ? rig.Mmu.TryTranslateFetch(Va, user, out physical, out _)
            : rig.Mmu.Fill(Va, kind == AccessKind.Write, user, out physical) != FillOutcome.Fault;
        if (done) return (physical, null);
        Assert.Equal((Vector.PageFault, true, Va), (rig.Mmu.Fault.Vector, rig.Mmu.Fault.HasErrorCode, rig.Mmu.Fault.Cr2));
        return (0, rig.Mmu.Fault.ErrorCode);
    }
}
