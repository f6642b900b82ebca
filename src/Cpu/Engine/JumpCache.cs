namespace FtAkka.Cpu.Engine;

/// <summary>
/// Direct-mapped table from linear branch target to block entry, read by emitted code: one set for CPL 0 to 2, one for CPL 3.
/// Slot = low 16 bits of the target. An unused slot holds the negation of an address that selects another slot, so it never matches.
/// </summary>
/// <remarks>Coherent with the linear mapping: every change of it drops what derives from it.</remarks>
internal sealed unsafe class JumpCache
{
    public const int Slots = 65536;
    /// <summary>Bytes of low memory it needs.</summary>
    public const int DataBytes = 2 * 2 * Slots * sizeof(long);

    /// <summary>An instruction that begins this many bytes before a page may reach into it.</summary>
    private const ulong ReachBytes = 15;

    private readonly long* _data;
    private readonly Log[] _local = [new(), new()], _global = [new(), new()];

    /// <summary>Whether a target of a global page has been entered in the lower half of the address space, where systems have none.</summary>
    private bool _globalInLowHalf;

    /// <summary>
    /// Slots filled since the last flush, so that a flush costs what was filled; those of one page (or of pages with the same hash) are chained, so that the
    /// drop of a page costs what it holds: nothing for most, as most pages whose mapping changes hold no code.
    /// </summary>
    private sealed class Log
    {
        public const int Max = 16384;
        private const int PageHashes = 4096;

        private const int FirstLength = 1024;

        public ushort[] Slots = new ushort[FirstLength];
        public int[] Next = new int[FirstLength];
        private readonly int[] _heads = new int[PageHashes];
        private readonly uint[] _stamps = new uint[PageHashes];
        private uint _generation = 1;

        public int Count { get; private set; }

        public void Add(ushort slot, ulong target)
        {
            if (Count == Slots.Length)
            {
                Array.Resize(ref Slots, Math.Min(2 * Count, Max));
                Array.Resize(ref Next, Math.Min(2 * Count, Max));
            }
            int hash = HashOf(target);
            Next[Count] = _stamps[hash] == _generation ? _heads[hash] : -1;
            Slots[Count] = slot;
            _heads[hash] = Count++;
            _stamps[hash] = _generation;
        }

        /// <summary>Newest entry of the chain in which targets of a page are; -1: none.</summary>
        public int Head(ulong address)
        {
            int hash = HashOf(address);
            return _stamps[hash] == _generation ? _heads[hash] : -1;
        }

        public void SetHead(ulong address, int head) => _heads[HashOf(address)] = head;

        public void Clear()
        {
            Count = 0;
            _generation++;
        }

        private static int HashOf(ulong target) => (int)((target >> 12) ^ (target >> 24)) & (PageHashes - 1);
    }

    /// <summary>An empty table.</summary>
    /// <param name="lowData">Zero-filled.</param>
    public JumpCache(byte* lowData)
    {
        _data = (long*)lowData;
        // Fresh memory is zero: the target 0, which selects slot 0 and so matches in no other.
        Forget(0, 0);
        Forget(1, 0);
    }

    /// <summary>Address of the table of negated targets.</summary>
    public long NegatedTargets(int set) => (long)(_data + (set * 2 * Slots));

    /// <summary>Address of the table of block entries.</summary>
    public long Entries(int set) => (long)(_data + (((set * 2) + 1) * Slots));

    private long* Targets(int set) => _data + (set * 2 * Slots);

    private static long Unused(int slot) => -(long)(slot ^ 0x8000);

    /// <summary>Looks up from C#; 0 when absent.</summary>
    public nint Find(int set, ulong target)
    {
        int slot = (int)(target & 0xFFFF);
        return Targets(set)[slot] == -(long)target ? (nint)Targets(set)[Slots + slot] : 0;
    }

    /// <summary>Enters a target; <paramref name="global"/>: the mapping survives a CR3 load.</summary>
    public void Add(int set, ulong target, nint entry, bool global)
    {
        if (_global[set].Count == Log.Max || _local[set].Count == Log.Max)
        {
            ClearSet(set);
        }
        int slot = (int)(target & 0xFFFF);
        Targets(set)[slot] = -(long)target;
        Targets(set)[Slots + slot] = entry;
        (global ? _global : _local)[set].Add((ushort)slot, target);
        _globalInLowHalf |= global && (long)target >= 0;
    }

    /// <summary>Forgets one target if it leads to <paramref name="entry"/>.</summary>
    public void Remove(int set, ulong target, nint entry)
    {
        if (Find(set, target) == entry)
        {
            Forget(set, (int)(target & 0xFFFF));
        }
    }

    /// <summary>Forgets all targets in one linear page, and those on the page before whose instruction may reach into it.</summary>
    public void Drop(ulong linearPage)
    {
        for (int set = 0; set < 2; set++)
        {
            DropChain(_local[set], set, linearPage, linearPage, 4096);
            DropChain(_local[set], set, linearPage - 1, linearPage - ReachBytes, ReachBytes);
            DropChain(_global[set], set, linearPage, linearPage, 4096);
            DropChain(_global[set], set, linearPage - 1, linearPage - ReachBytes, ReachBytes);
        }
    }

    /// <summary>Forgets all targets in a range of pages, and those whose instruction may reach into it.</summary>
    public void DropRange(ulong start, ulong lengthBytes)
    {
        bool lowHalf = (long)start >= 0 && (long)(start + lengthBytes) >= 0;
        for (int set = 0; set < 2; set++)
        {
            DropLogged(_local[set], set, start - ReachBytes, lengthBytes + ReachBytes);
            if (!lowHalf || _globalInLowHalf)
            {
                DropLogged(_global[set], set, start - ReachBytes, lengthBytes + ReachBytes);
            }
        }
    }

    /// <summary>Forgets all targets, or all but those of global pages.</summary>
    public void Clear(bool keepGlobal)
    {
        for (int set = 0; set < 2; set++)
        {
            ForgetLogged(_local[set], set);
            if (!keepGlobal)
            {
                ForgetLogged(_global[set], set);
            }
        }
        _globalInLowHalf &= keepGlobal;
    }

    /// <summary>Forgets everything in one set.</summary>
    public void ClearSet(int set)
    {
        ForgetLogged(_local[set], set);
        ForgetLogged(_global[set], set);
    }

    private void Forget(int set, int slot) => Targets(set)[slot] = Unused(slot);

    /// <summary>Whether a slot holds a target in a range.</summary>
    private bool Holds(int set, int slot, ulong start, ulong lengthBytes)
    {
        ulong target = (ulong)-Targets(set)[slot];
        return (target & 0xFFFF) == (ulong)slot && target - start < lengthBytes;
    }

    /// <summary>Forgets the targets of a range in the chain of a page. Entries whose slot now holds another target leave the chain as well.</summary>
    private void DropChain(Log log, int set, ulong page, ulong start, ulong lengthBytes)
    {
        int entry = log.Head(page);
        if (entry < 0)
        {
            return;
        }
        int kept = -1;
        while (entry >= 0)
        {
            int next = log.Next[entry];
            int slot = log.Slots[entry];
            if (Holds(set, slot, start, lengthBytes))
            {
                Forget(set, slot);
            }
            else if (Targets(set)[slot] != Unused(slot))
            {
                log.Next[entry] = kept;
                kept = entry;
            }
            entry = next;
        }
        log.SetHead(page, kept);
    }

    private void DropLogged(Log log, int set, ulong start, ulong lengthBytes)
    {
        for (int i = 0; i < log.Count; i++)
        {
            int slot = log.Slots[i];
            if (Holds(set, slot, start, lengthBytes))
            {
                Forget(set, slot);
            }
        }
    }

    private void ForgetLogged(Log log, int set)
    {
        for (int i = 0; i < log.Count; i++)
        {
            Forget(set, log.Slots[i]);
        }
        log.Clear();
    }
}
