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

    private readonly long* _data;
    private readonly Log[] _logs = [new(), new()];

    /// <summary>By hash of the target's page: the flush generation in which a target of such a page was last entered.</summary>
    private readonly uint[] _localPages = new uint[PageHashes], _globalPages = new uint[PageHashes];
    private const int PageHashes = 4096;
    private uint _localGeneration = 1, _globalGeneration = 1;

    /// <summary>Slots filled since the last flush, so that a flush costs what was filled.</summary>
    private sealed class Log
    {
        public readonly ushort[] Global = new ushort[16384];
        public readonly ushort[] Local = new ushort[16384];
        public int GlobalCount, LocalCount;
    }

    public JumpCache(byte* lowData)
    {
        _data = (long*)lowData;
        ClearAll(0);
        ClearAll(1);
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
        int slot = (int)(target & 0xFFFF);
        Targets(set)[slot] = -(long)target;
        Targets(set)[Slots + slot] = entry;
        Log log = _logs[set];
        if (log.GlobalCount == log.Global.Length || log.LocalCount == log.Local.Length)
        {
            ClearAll(set);
            Targets(set)[slot] = -(long)target;
            Targets(set)[Slots + slot] = entry;
        }
        if (global)
        {
            log.Global[log.GlobalCount++] = (ushort)slot;
            _globalPages[HashOf(target)] = _globalGeneration;
        }
        else
        {
            log.Local[log.LocalCount++] = (ushort)slot;
            _localPages[HashOf(target)] = _localGeneration;
        }
    }

    private static int HashOf(ulong target) => (int)((target >> 12) ^ (target >> 24)) & (PageHashes - 1);

    /// <summary>False: no target of the page has been entered since the last flush. True may be a mistake.</summary>
    private bool MayHoldPage(ulong address)
    {
        int hash = HashOf(address);
        return _localPages[hash] == _localGeneration || _globalPages[hash] == _globalGeneration;
    }

    /// <summary>Forgets one target if it leads to <paramref name="entry"/>.</summary>
    public void Remove(int set, ulong target, nint entry)
    {
        if (Find(set, target) == entry)
        {
            int slot = (int)(target & 0xFFFF);
            Targets(set)[slot] = Unused(slot);
        }
    }

    /// <summary>Forgets all targets in one linear page, and those on the page before whose instruction may reach into it.</summary>
    public void Drop(ulong linearPage)
    {
        // Most pages whose mapping changes hold no code; a look at 8,222 slots for each would be most of the cost of an munmap.
        bool page = MayHoldPage(linearPage), before = MayHoldPage(linearPage - 1);
        if (!page && !before)
        {
            return;
        }
        for (int set = 0; set < 2; set++)
        {
            for (ulong target = before ? linearPage - 15 : linearPage; target != (page ? linearPage + 4096 : linearPage); target++)
            {
                int slot = (int)(target & 0xFFFF);
                if (Targets(set)[slot] == -(long)target)
                {
                    Targets(set)[slot] = Unused(slot);
                }
            }
        }
    }

    /// <summary>Forgets all targets, or all but those of global pages.</summary>
    public void Clear(bool keepGlobal)
    {
        _localGeneration++;
        if (!keepGlobal)
        {
            _globalGeneration++;
        }
        for (int set = 0; set < 2; set++)
        {
            Log log = _logs[set];
            Forget(set, log.Local, log.LocalCount);
            log.LocalCount = 0;
            if (!keepGlobal)
            {
                Forget(set, log.Global, log.GlobalCount);
                log.GlobalCount = 0;
            }
        }
    }

    private void Forget(int set, ushort[] slots, int count)
    {
        for (int i = 0; i < count; i++)
        {
            Targets(set)[slots[i]] = Unused(slots[i]);
        }
    }

    /// <summary>Forgets everything in one set.</summary>
    public void ClearSet(int set) => ClearAll(set);

    private void ClearAll(int set)
    {
        for (int slot = 0; slot < Slots; slot++)
        {
            Targets(set)[slot] = Unused(slot);
        }
        _logs[set].GlobalCount = _logs[set].LocalCount = 0;
    }
}
