using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Memory;

/// <summary>Bits of a paging-structure entry (Intel SDM vol. 3A, tables 4-15 to 4-20).</summary>
internal static class PageEntry
{
    public const ulong Present = 1, Writable = 2, User = 4, Accessed = 0x20, Dirty = 0x40, Large = 0x80, Global = 0x100;
    public const ulong NoExecute = 1UL << 63;
    /// <summary>Bits 12 to 39: the CPU model has MAXPHYADDR = 40.</summary>
    public const ulong Address = 0xFF_FFFF_F000;
    /// <summary>Bits 40 to 51 are reserved.</summary>
    public const ulong ReservedHigh = 0xF_FF00_0000_0000;

    /// <summary>Bytes of linear address space that one entry of a table at this level (4 = PML4, 1 = page table) covers, as a power of two.</summary>
    public static int Shift(int level) => 3 + 9 * level;
}

/// <summary>How a walk of the paging structures ended.</summary>
internal enum WalkStatus : byte { Mapped, NotPresent, ReservedBit }

/// <summary>One walk of the 4-level paging structures (Intel SDM vol. 3A, 4.5), without side effects.</summary>
internal unsafe struct PageWalk
{
    /// <summary>Guest physical address of the linear address asked for.</summary>
    public ulong PhysicalAddress;
    /// <summary>AND of all entries: R/W, U/S and A hold only if they hold at each level.</summary>
    public ulong AllOf;
    /// <summary>OR of all entries: XD holds if it holds at any level (reserved, hence 0, while EFER.NXE is clear).</summary>
    public ulong AnyOf;
    /// <summary>The entry that maps the page.</summary>
    public ulong Leaf;
    /// <summary>The PML4 entry.</summary>
    public ulong Root;
    /// <summary>Level of the entry that maps the page: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB.</summary>
    public int LeafLevel;
    /// <summary>By level: RAM page index of the table that was read.</summary>
    public fixed int TablePage[5];

    /// <summary>Translates a canonical linear address under the current CR3 and EFER.NXE.</summary>
    public WalkStatus Run(GuestMemory memory, CpuState* state, ulong va)
    {
        ulong reserved = PageEntry.ReservedHigh | ((state->Efer & PagingControl.EferNxe) != 0 ? 0 : PageEntry.NoExecute);
        ulong table = state->Cr3 & PageEntry.Address;
        AllOf = ulong.MaxValue;
        AnyOf = 0;
        for (int level = 4; ; level--)
        {
            int page = memory.PageIndexOf(table);
            // A table outside RAM reads as all-ones, in which reserved bits are set.
            if (page < 0) return WalkStatus.ReservedBit;
            TablePage[level] = page;
            int shift = PageEntry.Shift(level);
            ulong entry = *EntryPointer(memory, va, level);
            if ((entry & PageEntry.Present) == 0) return WalkStatus.NotPresent;
            bool leaf = level == 1 || (level < 4 && (entry & PageEntry.Large) != 0);
            ulong forbidden = reserved;
            if (level == 4) forbidden |= PageEntry.Large;
            // Bit 12 of a large-page entry is PAT; the address bits above it that lie inside the page must be zero.
            else if (leaf && level > 1) forbidden |= (1UL << shift) - 0x2000;
            if ((entry & forbidden) != 0) return WalkStatus.ReservedBit;
            AllOf &= entry;
            AnyOf |= entry;
            if (level == 4) Root = entry;
            if (leaf)
            {
                ulong inside = (1UL << shift) - 1;
                Leaf = entry;
                LeafLevel = level;
                PhysicalAddress = (entry & PageEntry.Address & ~inside) | (va & inside);
                return WalkStatus.Mapped;
            }
            table = entry & PageEntry.Address;
        }
    }

    /// <summary>Host address of the entry that the walk of <paramref name="va"/> read at a level.</summary>
    public readonly ulong* EntryPointer(GuestMemory memory, ulong va, int level) =>
        (ulong*)memory.PagePointer(TablePage[level]) + ((va >> PageEntry.Shift(level)) & 511);
}
