using System.Runtime.CompilerServices;
using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Memory;

/// <summary>
/// Linear address space of one vCPU: 4-level page walk with exact faults and accessed/dirty bits, the soft TLB that emitted code
/// reads, write tracking, and virtual memory access for instruction semantics written in C#.
/// </summary>
/// <remarks>
/// Coherent: a guest store into a page-table page that a TLB entry derives from drops the entry first, and a CR3 load keeps only what the new
/// tables map alike. So every entry always equals a fresh walk, and TLB presence is invisible.
/// All access methods take <c>user</c>: true = the access is checked with CPL 3 rights, false = supervisor (also implicit
/// supervisor accesses such as descriptor tables, whatever the CPL). On false they set <see cref="Fault"/>: #PF, or #GP(0) for a
/// non-canonical address, which the caller turns into #SS(0) where the access is a stack access.
/// </remarks>
internal sealed unsafe partial class Mmu : IDisposable
{
    private readonly CpuState* _state;
    private readonly GuestMemory _memory;
    private readonly ICpuBus _bus;
    private readonly SoftTlb _tlb;
    private readonly PageTableIndex _tables;

    /// <summary>By RAM page: the slot that got a write tag for it; see Mmu.Tracking.cs.</summary>
    private readonly NativeMapping _writers;

    /// <summary>PML4 entries under which global pages are cached, with a bit set per entry in use.</summary>
    private readonly ulong[] _globalRoots = new ulong[512], _globalRootsUsed = new ulong[512 / 64];

    private readonly SavedTranslations _saved = new();

    /// <summary>Counts the changes to anything a translation of whatever address space was derived from.</summary>
    private ulong _epoch;

    /// <summary>The PML4 address all cached translations hold under.</summary>
    private ulong _root = ulong.MaxValue;

    /// <summary>The control bits all cached translations hold under.</summary>
    private ulong _mode;

    /// <param name="state">Read at each walk; must outlive this object.</param>
    /// <param name="memory">RAM, not attached to another Mmu.</param>
    /// <param name="bus">Where accesses outside RAM go.</param>
    /// <exception cref="InvalidOperationException">RAM already belongs to a vCPU, or the host has no memory below 2 GiB.</exception>
    public Mmu(CpuState* state, GuestMemory memory, ICpuBus bus)
    {
        _state = state;
        _memory = memory;
        _bus = bus;
        memory.Attach(this);
        _tlb = new SoftTlb();
        _tables = new PageTableIndex(memory.PageCount);
        _writers = NativeMapping.CreateSparse((ulong)memory.PageCount * sizeof(int));
        _mode = Mode();
    }

    /// <summary>The fault of the last access that failed.</summary>
    public GuestFault Fault { get; private set; }

    /// <summary>Who caches fetch translations and translated code.</summary>
    public ITranslationObserver? Observer { get; set; }

    /// <summary>The arrays emitted code reads.</summary>
    public SoftTlb Tlb => _tlb;

    public GuestMemory Memory => _memory;

    /// <summary>Host address of a RAM byte, null if the address is not RAM. A caller that stores there has called <see cref="PrepareTrackedWrite"/>.</summary>
    public byte* HostPointer(ulong physicalAddress)
    {
        int page = _memory.PageIndexOf(physicalAddress);
        return page < 0 ? null : _memory.PagePointer(page) + (physicalAddress & 0xFFF);
    }

    /// <summary>Called by the engine after a soft-TLB miss of emitted code; the access [va, va+size) lies in one page.</summary>
    public FillOutcome Fill(ulong va, bool write, bool user, out ulong physicalAddress)
    {
        Unsafe.SkipInit(out PageWalk walk);
        if (!Translate(va, write ? AccessKind.Write : AccessKind.Read, user, ref walk))
        {
            physicalAddress = 0;
            return FillOutcome.Fault;
        }
        physicalAddress = walk.PhysicalAddress;
        int page = _memory.PageIndexOf(physicalAddress);
        if (page < 0) return FillOutcome.Mmio;
        if (write) _memory.MarkDirty(page);
        // A watched page is never entered: each access goes the long way, where it is seen.
        if ((_memory.Track[page] & PageTrack.Watched) != 0) return FillOutcome.Mmio;
        MarkTables(va, ref walk, fetched: false);
        bool writable = _memory.Track[page] == PageTrack.None
            && (walk.Leaf & PageEntry.Dirty) != 0 && MayWrite(user, walk.AllOf);
        int set = user ? SoftTlb.UserSet : SoftTlb.SupervisorSet;
        _tlb.Enter(set, va, _memory.PagePointer(page), writable, NoteGlobal(va, ref walk));
        if (writable) NoteWriter(page, set, SoftTlb.SlotOf(va));
        return write && !writable ? FillOutcome.Tracked : FillOutcome.Filled;
    }

    /// <summary>
    /// Instruction fetch: translates one linear address, setting accessed bits. False: <see cref="Fault"/> (error code has I/D as the SDM
    /// asks). The answer may be kept until <see cref="Observer"/> is told otherwise. It may lie outside RAM.
    /// </summary>
    public bool TryTranslateFetch(ulong va, bool user, out ulong physicalAddress, out bool global)
    {
        Unsafe.SkipInit(out PageWalk walk);
        physicalAddress = 0;
        global = false;
        if (!Translate(va, AccessKind.Execute, user, ref walk)) return false;
        MarkTables(va, ref walk, fetched: true);
        physicalAddress = walk.PhysicalAddress;
        global = NoteGlobal(va, ref walk);
        return true;
    }

    /// <summary>
    /// Whether and where an address is mapped, whatever the rights and without side effects (no A bits, no fault): for decode-ahead
    /// and debuggers. The answer holds until the guest runs on and must not be kept.
    /// </summary>
    public bool TryPeek(ulong va, out ulong physicalAddress)
    {
        Unsafe.SkipInit(out PageWalk walk);
        bool mapped = IsCanonical(va) && walk.Run(_memory, _state, va) == WalkStatus.Mapped;
        physicalAddress = mapped ? walk.PhysicalAddress : 0;
        return mapped;
    }

    /// <summary>INVLPG. Cached translations are coherent already, so nothing depends on it; the page's entries are dropped all the same.</summary>
    public void InvalidatePage(ulong va) => _tlb.DropPage(va);

    /// <summary>
    /// CR3 load; the new value must be in the state already. Drops non-global translations, and the global ones as well if the new tables
    /// may map them differently (a stale global page would make TLB presence visible). A reload of the same address drops nothing, since
    /// the entries are coherent.
    /// </summary>
    public void FlushNonGlobal()
    {
        ulong root = _state->Cr3 & PageEntry.Address;
        if (root == _root) return;
        _tlb.CollectLocal(_saved.Open(_root, _epoch), _memory.Base, SavedTranslations.EntriesMax);
        _root = root;
        if (GlobalsHoldUnderRoot())
        {
            _tlb.FlushLocal();
            Observer?.InvalidateLinear(keepGlobal: true);
        }
        else
        {
            _tlb.FlushAll();
            Array.Clear(_globalRootsUsed);
            Observer?.InvalidateLinear(keepGlobal: false);
        }
        if (_saved.Find(root, _epoch) is { } entries) Reinstate(entries);
    }

    /// <summary>
    /// Snapshot restore, or any change of paging controls: drops everything, also the tracking of page-table pages. For writes to control
    /// registers <see cref="ControlRegistersChanged"/> is cheaper.
    /// </summary>
    public void FlushAll()
    {
        _epoch++;
        _tlb.FlushAll();
        Array.Clear(_globalRootsUsed);
        foreach (int page in _tables.Pages) _memory.Track[page] &= ~PageTrack.PageTable;
        _tables.Clear();
        _root = _state->Cr3 & PageEntry.Address;
        _mode = Mode();
        Observer?.InvalidateLinear(keepGlobal: false);
    }

    /// <summary>
    /// CR0, CR4 or EFER was written and is in the state: drops everything if rights or reserved bits now mean something else (CR0.WP, CR4.SMEP,
    /// EFER.NXE). A toggle of CR4.PGE needs nothing: entries are coherent, and global is only a hint.
    /// </summary>
    public void ControlRegistersChanged()
    {
        if (Mode() != _mode) FlushAll();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _memory.Detach(this);
        _tlb.Dispose();
        _tables.Dispose();
        _writers.Dispose();
    }

    private static bool IsCanonical(ulong va) => (ulong)((long)(va << 16) >> 16) == va;

    private ulong Mode() =>
        (_state->Cr0 & PagingControl.Cr0Wp) | (_state->Cr4 & PagingControl.Cr4Smep) | (_state->Efer & PagingControl.EferNxe);

    private bool MayWrite(bool user, ulong allOf) =>
        (allOf & PageEntry.Writable) != 0 || (!user && (_state->Cr0 & PagingControl.Cr0Wp) == 0);

    /// <summary>Walk, rights, and on success accessed and dirty bits: an architecturally executed access.</summary>
    private bool Translate(ulong va, AccessKind kind, bool user, ref PageWalk walk)
    {
        if (!IsCanonical(va))
        {
            Fault = GuestFault.Gp();
            return false;
        }
        // The engine announces CR3 loads; this keeps a forgotten one from mixing address spaces.
        if ((_state->Cr3 & PageEntry.Address) != _root) FlushNonGlobal();
        WalkStatus status = walk.Run(_memory, _state, va);
        if (status != WalkStatus.Mapped || !IsPermitted(kind, user, ref walk))
        {
            Fault = GuestFault.Page(va, ErrorCode(status, kind, user));
            return false;
        }
        if ((walk.AllOf & PageEntry.Accessed) == 0 || (kind == AccessKind.Write && (walk.Leaf & PageEntry.Dirty) == 0))
        {
            SetAccessedAndDirty(va, kind == AccessKind.Write, ref walk);
        }
        return true;
    }

    /// <summary>Access rights (Intel SDM vol. 3A, 4.6.1). SMAP and protection keys are not offered.</summary>
    private bool IsPermitted(AccessKind kind, bool user, ref PageWalk walk)
    {
        bool userPage = (walk.AllOf & PageEntry.User) != 0;
        if (user && !userPage) return false;
        return kind switch
        {
            AccessKind.Write => MayWrite(user, walk.AllOf),
            AccessKind.Execute => (walk.AnyOf & PageEntry.NoExecute) == 0
                && (user || !userPage || (_state->Cr4 & PagingControl.Cr4Smep) == 0),
            _ => true,
        };
    }

    /// <summary>Page-fault error code (Intel SDM vol. 3A, 4.7).</summary>
    private uint ErrorCode(WalkStatus status, AccessKind kind, bool user)
    {
        const uint Protection = 1, Write = 2, User = 4, ReservedBit = 8, InstructionFetch = 16;
        uint code = status == WalkStatus.NotPresent ? 0 : Protection;
        if (status == WalkStatus.ReservedBit) code |= ReservedBit;
        if (user) code |= User;
        if (kind == AccessKind.Write) code |= Write;
        bool fetchShown = (_state->Cr4 & PagingControl.Cr4Smep) != 0 || (_state->Efer & PagingControl.EferNxe) != 0;
        if (kind == AccessKind.Execute && fetchShown) code |= InstructionFetch;
        return code;
    }

    private void SetAccessedAndDirty(ulong va, bool write, ref PageWalk walk)
    {
        for (int level = 4; level >= walk.LeafLevel; level--)
        {
            ulong* entry = walk.EntryPointer(_memory, va, level);
            ulong bits = PageEntry.Accessed | (write && level == walk.LeafLevel ? PageEntry.Dirty : 0);
            if ((*entry & bits) == bits) continue;
            int page = walk.TablePage[level];
            _memory.MarkDirty(page);
            if ((_memory.Track[page] & PageTrack.Code) != 0)
            {
                ulong offset = (ulong)((byte*)entry - _memory.PagePointer(page));
                Observer?.InvalidateCode(_memory.PhysicalAddressOf(page) + offset, sizeof(ulong));
            }
            // Setting A or D never makes a cached translation wrong, so nothing derived is dropped.
            *entry |= bits;
        }
        walk.Root |= PageEntry.Accessed;
        if (write) walk.Leaf |= PageEntry.Dirty;
    }

    /// <summary>Whether the page is global; if so, remembers the PML4 entry it hangs from.</summary>
    private bool NoteGlobal(ulong va, ref PageWalk walk)
    {
        if ((walk.Leaf & PageEntry.Global) == 0 || (_state->Cr4 & PagingControl.Cr4Pge) == 0) return false;
        int index = (int)(va >> 39) & 511;
        _globalRoots[index] = walk.Root;
        _globalRootsUsed[index >> 6] |= 1UL << (index & 63);
        return true;
    }

    /// <summary>Enters translations again whose tables have been tracked, and not changed, since they were dropped.</summary>
    private void Reinstate(List<SavedTranslation> entries)
    {
        foreach (SavedTranslation entry in entries)
        {
            bool writable = entry.Writable && _memory.Track[entry.RamPage] == PageTrack.None;
            _tlb.Enter(entry.Set, entry.LinearPage, _memory.PagePointer(entry.RamPage), writable, global: false);
            if (writable) NoteWriter(entry.RamPage, entry.Set, SoftTlb.SlotOf(entry.LinearPage));
        }
    }

    /// <summary>Whether the PML4 at the current root has, accessed bit included, the entries that cached global pages hang from.</summary>
    private bool GlobalsHoldUnderRoot()
    {
        int page = _memory.PageIndexOf(_root);
        if (page < 0) return false;
        ulong* entries = (ulong*)_memory.PagePointer(page);
        for (int index = 0; index < _globalRoots.Length; index++)
        {
            ulong used = _globalRootsUsed[index >> 6] >> (index & 63);
            if (used == 0) { index |= 63; continue; }
            if ((used & 1) != 0 && entries[index] != _globalRoots[index]) return false;
        }
        // From now on they derive from this table; code may be among them.
        MarkTable(page, PageTableUse.KeyOf(0, 4), fetched: true);
        return true;
    }
}
