namespace FtAkka.Cpu.Memory;

/// <summary>Write tracking: translated code, and the page tables that cached translations derive from.</summary>
internal sealed unsafe partial class Mmu
{
    /// <summary>Stores to a page-table page without a walk through it in between after which it is taken to be data.</summary>
    internal const int StoresUntilUntracked = 64;

    // Encoding of an entry of _writers: 0 = none, else bit 16 = valid, bit 17 = set, bits 0 to 15 = slot, and the flag below.
    private const int WriterValid = 1 << 16, WriterUserSet = 1 << 17, SeveralWriters = 1 << 18;

    /// <summary>Marks the RAM page of <paramref name="physicalAddress"/> as holding translated code: stores to it are tracked from now on.</summary>
    public void MarkCodePage(ulong physicalAddress)
    {
        int page = _memory.PageIndexOf(physicalAddress);
        if (page >= 0) SetTrack(page, PageTrack.Code);
    }

    /// <summary>The page holds no translated code any more.</summary>
    public void UnmarkCodePage(ulong physicalAddress)
    {
        int page = _memory.PageIndexOf(physicalAddress);
        if (page >= 0) _memory.Track[page] &= ~PageTrack.Code;
    }

    /// <summary>
    /// A store of <paramref name="size"/> bytes to RAM is about to happen: drops derived translations and code, so that the store may
    /// then go straight to RAM. Harmless for pages that are not tracked.
    /// </summary>
    public void PrepareTrackedWrite(ulong physicalAddress, int size)
    {
        while (size > 0)
        {
            int page = _memory.PageIndexOf(physicalAddress);
            if (page < 0) return;
            int offset = (int)(physicalAddress & 0xFFF);
            int length = Math.Min(size, 4096 - offset);
            _memory.MarkDirty(page);
            if ((_memory.Track[page] & PageTrack.Watched) != 0) NoteWatched(physicalAddress, length, write: true);
            if ((_memory.Track[page] & PageTrack.PageTable) != 0) StoreToTable(page, offset, length);
            if ((_memory.Track[page] & PageTrack.Code) != 0) Observer?.InvalidateCode(physicalAddress, length);
            physicalAddress += (ulong)length;
            size -= length;
        }
    }

    /// <summary>Called when the dirty logs are armed: the next store to any page must be seen.</summary>
    internal void WithdrawAllWriteTags() => _tlb.WithdrawAllWriteTags();

    private void SetTrack(int page, PageTrack reason)
    {
        if ((_memory.Track[page] & reason) != 0) return;
        _memory.Track[page] |= reason;
        WithdrawWriteTags(page);
    }

    /// <summary>Remembers who got a write tag for a page; all others are found by a search.</summary>
    private void NoteWriter(int page, int set, int slot)
    {
        int* writers = (int*)_writers.Pointer;
        int writer = WriterValid | (set == SoftTlb.UserSet ? WriterUserSet : 0) | slot;
        int known = writers[page];
        if ((known & ~SeveralWriters) == writer) return;
        bool stale = known == 0 || ((known & SeveralWriters) == 0 && !_tlb.HasWriteTag(
            (known & WriterUserSet) != 0 ? SoftTlb.UserSet : SoftTlb.SupervisorSet, (ushort)known, _memory.PagePointer(page)));
        writers[page] = stale ? writer : writer | SeveralWriters;
    }

    private void WithdrawWriteTags(int page)
    {
        int* writers = (int*)_writers.Pointer;
        int known = writers[page];
        if (known == 0) return;
        writers[page] = 0;
        byte* hostPage = _memory.PagePointer(page);
        if ((known & SeveralWriters) != 0) _tlb.WithdrawWriteTags(hostPage);
        else _tlb.WithdrawWriteTag((known & WriterUserSet) != 0 ? SoftTlb.UserSet : SoftTlb.SupervisorSet, (ushort)known, hostPage);
    }

    /// <summary>The tables of a walk are in use from now on, because its result is kept.</summary>
    private void MarkTables(ulong va, ref PageWalk walk, bool fetched)
    {
        for (int level = 4; level >= walk.LeafLevel; level--)
        {
            MarkTable(walk.TablePage[level], PageTableUse.KeyOf(va, level), fetched);
        }
    }

    private void MarkTable(int page, ulong key, bool fetched)
    {
        PageTableUse* use = _tables.Use(page);
        if (use->Key == 0)
        {
            _tables.Add(page, key);
            SetTrack(page, PageTrack.PageTable);
        }
        else if ((use->Key & ~(PageTableUse.Fetched | PageTableUse.Ambiguous)) != key)
        {
            use->Key |= PageTableUse.Ambiguous;
        }
        if (fetched) use->Key |= PageTableUse.Fetched;
        use->Stores = 0;
    }

    private void StoreToTable(int page, int offset, int length)
    {
        PageTableUse* use = _tables.Use(page);
        ulong* entries = (ulong*)_memory.PagePointer(page);
        int first = offset >> 3, last = (offset + length - 1) >> 3;
        for (int index = first; index <= last; index++)
        {
            if (IsInUse(entries[index])) DropDerived(*use, page, index, count: 1);
            // A drop of everything has untracked the page too.
            if (use->Key == 0) return;
        }
        use->Stores += last - first + 1;
        if (use->Stores >= StoresUntilUntracked) Untrack(page);
    }

    /// <summary>Every successful walk leaves A set in each entry it read, so nothing derives from an entry without it.</summary>
    private static bool IsInUse(ulong entry) =>
        (entry & (PageEntry.Present | PageEntry.Accessed)) == (PageEntry.Present | PageEntry.Accessed);

    private void Untrack(int page)
    {
        ulong* entries = (ulong*)_memory.PagePointer(page);
        for (int index = 0; index < 512; index++)
        {
            if (!IsInUse(entries[index])) continue;
            DropDerived(*_tables.Use(page), page, 0, count: 512);
            break;
        }
        if (_tables.Use(page)->Key == 0) return;
        _tables.Remove(page);
        _memory.Track[page] &= ~PageTrack.PageTable;
    }

    /// <summary>Drops what derives from entries [index, index+count) of a table.</summary>
    private void DropDerived(PageTableUse use, int page, int index, int count)
    {
        _epoch++;
        if (use.IsAmbiguous)
        {
            FlushAll();
            return;
        }
        // Nothing derives from a PML4 that CR3 does not point at: the CR3 load dropped it or found it alike in the new one.
        if (use.Level == 4 && page != _memory.PageIndexOf(_root)) return;
        int shift = PageEntry.Shift(use.Level);
        ulong length = (ulong)count << shift;
        ulong start = SignExtend(use.Base + ((ulong)index << shift));
        // A whole PML4 spans both canonical halves.
        if (use.Level == 4 && count > 1) _tlb.FlushAll();
        else _tlb.DropRange(start, length);
        if (!use.IsFetched) return;
        if (use.Level == 4 && count > 1) Observer?.InvalidateLinear(keepGlobal: false);
        else if (length == 4096) Observer?.InvalidateLinearPage(start);
        else Observer?.InvalidateLinearRange(start, length);
    }

    private static ulong SignExtend(ulong va) => (ulong)((long)(va << 16) >> 16);
}
