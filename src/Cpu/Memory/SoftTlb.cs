using System.Runtime.CompilerServices;

namespace FtAkka.Cpu.Memory;

/// <summary>
/// The direct-mapped translation cache that emitted code reads: two sets (supervisor and user rights), each of three arrays indexed by
/// bits 12 to 27 of the linear address. A valid tag is the negated page address, so that <c>(tag + va + size - 1) &gt;&gt; 12</c> is zero
/// exactly for an access that lies inside the page; the addend turns the linear into the host address.
/// </summary>
/// <remarks>
/// Invariants: a write tag is either invalid or equal to the read tag of its slot; every valid slot is in the fill log of its kind,
/// so that a flush costs what was filled since the last one. All arrays lie below 2 GiB.
/// </remarks>
internal sealed unsafe class SoftTlb : IDisposable
{
    public const int SlotCount = 65536;

    /// <summary>A slot no address selects; the engine sets its addend freely.</summary>
    public const int SpareSlot = SlotCount;

    public const int SupervisorSet = 0, UserSet = 1;

    /// <summary>From this many logged slots on, a linear pass over all slots is cheaper than following the log.</summary>
    private const int LinearFlushThreshold = 16384;

    /// <summary>Ranges up to this many pages are dropped by looking at their slots instead of all logged slots.</summary>
    private const ulong ProbePagesMax = 1024;

    // The odd 21 cache lines keep equal indices of the arrays out of one and the same L1 set.
    private const int ArrayStrideBytes = ((SlotCount + 1) * sizeof(long) + 4095) / 4096 * 4096 + 21 * 64;

    /// <summary>
    /// A fresh tag of zero names page 0, which selects slot 0: no address of another slot matches it, unless an access runs over the end of the address
    /// space. The longest one that is looked up, a string of 64 KiB, begins in one of the last 16 slots. All others stay untouched until they are
    /// filled: most guests use few of them, and 2 MiB less to write makes a machine sooner.
    /// </summary>
    private const int TopSlots = 64;

    /// <summary>Per slot: the slot is in the log, by kind; and the kind of the current entry.</summary>
    private const byte LoggedLocal = 1, LoggedGlobal = 2, IsGlobal = 4;

    /// <summary>Pages in a 2 MiB region.</summary>
    private const ulong RegionPages = 512;

    private const int RegionHashes = 4096;

    /// <summary>By hash of the 2 MiB region of the linear address: entries of both sets. Most tables that go had their entries dropped one by one before.</summary>
    private readonly int[] _entriesOfRegion = new int[RegionHashes];

    private readonly NativeMapping _arrays, _books;
    private readonly byte* _arrayBase, _bookBase;
    private readonly int[] _localCount = new int[2], _globalCount = new int[2];

    public SoftTlb()
    {
        _arrays = NativeMapping.CreateBelow2GiB(6 * ArrayStrideBytes);
        _books = NativeMapping.CreateSparse(2 * (SlotCount + 2 * SlotCount * sizeof(int)));
        _arrayBase = _arrays.Pointer;
        _bookBase = _books.Pointer;
        for (int set = 0; set < 2; set++)
        {
            ReadTags(set)[0] = WriteTags(set)[0] = InvalidTag(0);
            for (int slot = SlotCount - TopSlots; slot <= SlotCount; slot++) ReadTags(set)[slot] = WriteTags(set)[slot] = InvalidTag(slot);
        }
    }

    public long* ReadTags(int set) => Array(set * 3);

    public long* WriteTags(int set) => Array(set * 3 + 1);

    public long* Addends(int set) => Array(set * 3 + 2);

    /// <summary>Host address of <see cref="ReadTags"/>, for a 32-bit displacement.</summary>
    public int ReadTagAddress(int set) => checked((int)(long)ReadTags(set));

    /// <summary>Host address of <see cref="WriteTags"/>, for a 32-bit displacement.</summary>
    public int WriteTagAddress(int set) => checked((int)(long)WriteTags(set));

    /// <summary>Host address of <see cref="Addends"/>, for a 32-bit displacement.</summary>
    public int AddendAddress(int set) => checked((int)(long)Addends(set));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int SlotOf(ulong va) => (ushort)(va >> 12);

    /// <summary>A tag no address that selects the slot can match: the page it names differs in the slot bits, by half of their range.</summary>
    public static long InvalidTag(int slot) => -((long)(slot ^ 0x8000) << 12);

    /// <summary>Whether the tag lets an access to the page of <paramref name="va"/> pass.</summary>
    public static bool Matches(long tag, ulong va) => tag == -(long)(va & ~0xFFFUL);

    /// <summary>Whether the slot holds an entry; if so, <paramref name="page"/> is its linear page.</summary>
    public bool IsValid(int set, int slot, out ulong page)
    {
        page = (ulong)-ReadTags(set)[slot];
        return SlotOf(page) == slot;
    }

    /// <summary>Enters a translation, in place of whatever the slot held.</summary>
    public void Enter(int set, ulong va, byte* hostPage, bool writable, bool global)
    {
        int slot = SlotOf(va);
        long page = (long)(va & ~0xFFFUL);
        if (IsValid(set, slot, out ulong former)) _entriesOfRegion[RegionOf(former)]--;
        _entriesOfRegion[RegionOf(va)]++;
        ReadTags(set)[slot] = -page;
        WriteTags(set)[slot] = writable ? -page : InvalidTag(slot);
        Addends(set)[slot] = (long)hostPage - page;
        byte* books = Books(set);
        byte logged = global ? LoggedGlobal : LoggedLocal;
        if ((books[slot] & logged) == 0)
        {
            if (global) GlobalLog(set)[_globalCount[set]++] = slot;
            else LocalLog(set)[_localCount[set]++] = slot;
        }
        books[slot] = (byte)(books[slot] & ~IsGlobal | logged | (global ? IsGlobal : 0));
    }

    /// <summary>Drops the entries of one linear page from both sets.</summary>
    public void DropPage(ulong va)
    {
        int slot = SlotOf(va);
        for (int set = 0; set < 2; set++)
        {
            if (Matches(ReadTags(set)[slot], va)) Drop(set, slot);
        }
    }

    /// <summary>Drops all entries with page address in [<paramref name="start"/>, start + length) from both sets.</summary>
    public void DropRange(ulong start, ulong lengthBytes)
    {
        if (lengthBytes >> 12 <= ProbePagesMax)
        {
            for (ulong offset = 0; offset < lengthBytes; offset += 4096)
            {
                if (((start + offset) >> 12) % RegionPages == 0 && _entriesOfRegion[RegionOf(start + offset)] == 0)
                {
                    offset += (RegionPages - 1) * 4096;
                    continue;
                }
                DropPage(start + offset);
            }
            return;
        }
        for (int set = 0; set < 2; set++)
        {
            foreach (int slot in Local(set)) DropInRange(set, slot, start, lengthBytes);
            foreach (int slot in Global(set)) DropInRange(set, slot, start, lengthBytes);
        }
    }

    /// <summary>Lists non-global entries, those filled last first, up to a maximum.</summary>
    public void CollectLocal(List<SavedTranslation> entries, byte* ramBase, int maximum)
    {
        for (int set = 0; set < 2; set++)
        {
            ReadOnlySpan<int> log = Local(set);
            for (int i = log.Length - 1; i >= 0 && entries.Count < maximum; i--)
            {
                int slot = log[i];
                if ((Books(set)[slot] & IsGlobal) != 0 || !IsValid(set, slot, out ulong page)) continue;
                int ramPage = (int)((Addends(set)[slot] + (long)page - (long)ramBase) >> 12);
                entries.Add(new SavedTranslation(page, ramPage, set, Matches(WriteTags(set)[slot], page)));
            }
        }
    }

    /// <summary>Drops the entries of non-global pages.</summary>
    public void FlushLocal()
    {
        for (int set = 0; set < 2; set++)
        {
            byte* books = Books(set);
            foreach (int slot in Local(set))
            {
                if ((books[slot] & IsGlobal) == 0) Drop(set, slot);
                books[slot] &= unchecked((byte)~LoggedLocal);
            }
            _localCount[set] = 0;
        }
    }

    /// <summary>Drops every entry.</summary>
    public void FlushAll()
    {
        for (int set = 0; set < 2; set++)
        {
            byte* books = Books(set);
            if (_localCount[set] + _globalCount[set] > LinearFlushThreshold)
            {
                for (int slot = 0; slot < SlotCount; slot++) ReadTags(set)[slot] = WriteTags(set)[slot] = InvalidTag(slot);
                new Span<byte>(books, SlotCount).Clear();
            }
            else
            {
                foreach (int slot in Local(set)) { Drop(set, slot); books[slot] = 0; }
                foreach (int slot in Global(set)) { Drop(set, slot); books[slot] = 0; }
            }
            _localCount[set] = _globalCount[set] = 0;
        }
        System.Array.Clear(_entriesOfRegion);
    }

    /// <summary>Whether the slot has a write tag for the given host page.</summary>
    public bool HasWriteTag(int set, int slot, byte* hostPage)
    {
        long tag = WriteTags(set)[slot];
        return tag != InvalidTag(slot) && Addends(set)[slot] - tag == (long)hostPage;
    }

    /// <summary>Withdraws the write tag of one slot if it maps the given host page.</summary>
    public void WithdrawWriteTag(int set, int slot, byte* hostPage)
    {
        if (HasWriteTag(set, slot, hostPage)) WriteTags(set)[slot] = InvalidTag(slot);
    }

    /// <summary>Withdraws every write tag that maps the given host page.</summary>
    public void WithdrawWriteTags(byte* hostPage)
    {
        for (int set = 0; set < 2; set++)
        {
            foreach (int slot in Local(set)) WithdrawWriteTag(set, slot, hostPage);
            foreach (int slot in Global(set)) WithdrawWriteTag(set, slot, hostPage);
        }
    }

    /// <summary>Withdraws all write tags.</summary>
    public void WithdrawAllWriteTags()
    {
        for (int set = 0; set < 2; set++)
        {
            long* tags = WriteTags(set);
            foreach (int slot in Local(set)) tags[slot] = InvalidTag(slot);
            foreach (int slot in Global(set)) tags[slot] = InvalidTag(slot);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _arrays.Dispose();
        _books.Dispose();
    }

    private long* Array(int index) => (long*)(_arrayBase + index * ArrayStrideBytes);

    private byte* Books(int set) => _bookBase + set * SlotCount;

    private int* LocalLog(int set) => (int*)(_bookBase + 2 * SlotCount) + set * 2 * SlotCount;

    private int* GlobalLog(int set) => LocalLog(set) + SlotCount;

    private ReadOnlySpan<int> Local(int set) => new(LocalLog(set), _localCount[set]);

    private ReadOnlySpan<int> Global(int set) => new(GlobalLog(set), _globalCount[set]);

    private static int RegionOf(ulong va) => (int)((va >> 21) ^ (va >> 33)) & (RegionHashes - 1);

    private void Drop(int set, int slot)
    {
        if (IsValid(set, slot, out ulong page)) _entriesOfRegion[RegionOf(page)]--;
        ReadTags(set)[slot] = WriteTags(set)[slot] = InvalidTag(slot);
    }

    private void DropInRange(int set, int slot, ulong start, ulong lengthBytes)
    {
        if (IsValid(set, slot, out ulong page) && page - start < lengthBytes) Drop(set, slot);
    }
}
