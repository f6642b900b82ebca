using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Memory;

/// <summary>Kind of a linear access, for permission and error-code purposes.</summary>
internal enum AccessKind : byte { Read, Write, Execute }

/// <summary>What a soft-TLB fill came to.</summary>
internal enum FillOutcome : byte
{
    /// <summary>The tag for the asked access is now valid (for a write: read tag, write tag and addend).</summary>
    Filled,
    /// <summary>The access faults; see <see cref="Mmu.Fault"/>.</summary>
    Fault,
    /// <summary>The page is not RAM: go through <see cref="ICpuBus"/>.</summary>
    Mmio,
    /// <summary>RAM, permitted, but stores to the page are tracked (translated code or page table): read tag and addend are valid, write tag withheld.</summary>
    Tracked,
}

/// <summary>Told by <see cref="Mmu"/> when something derived from a translation or from code bytes is no longer true.</summary>
internal interface ITranslationObserver
{
    /// <summary>The mapping of one linear page changed or went; drop jump-cache entries into it (both privilege sets).</summary>
    void InvalidateLinearPage(ulong linearPage);
    /// <summary>All mappings went; with <paramref name="keepGlobal"/> those of global pages stay.</summary>
    void InvalidateLinear(bool keepGlobal);
    /// <summary>RAM bytes that lie in a page marked by <see cref="Mmu.MarkCodePage"/> are about to change; drop translations of them.</summary>
    void InvalidateCode(ulong physicalAddress, int lengthBytes);
}

/// <summary>
/// Linear address space of one vCPU: 4-level page walk with exact faults and accessed/dirty bits, the soft TLB that emitted code
/// reads, write tracking, and virtual memory access for instruction semantics written in C#.
/// </summary>
/// <remarks>
/// Coherent: a guest store into a page-table page that a TLB entry derives from drops the entry first, so TLB presence is invisible.
/// All access methods take <c>user</c>: true = the access is checked with CPL 3 rights, false = supervisor (also implicit
/// supervisor accesses such as descriptor tables, whatever the CPL). On false they set <see cref="Fault"/>.
/// </remarks>
internal sealed unsafe class Mmu
{
    /// <summary>The fault of the last access that failed.</summary>
    public GuestFault Fault { get; private set; }

    /// <summary>Called by the engine after a soft-TLB miss of emitted code; the access [va, va+size) lies in one page.</summary>
    public FillOutcome Fill(ulong va, bool write, bool user, out ulong physicalAddress) => throw new NotImplementedException();

    /// <summary>Instruction fetch: translates one linear address, setting accessed bits. False: <see cref="Fault"/> (error code has I/D as the SDM asks).</summary>
    public bool TryTranslateFetch(ulong va, bool user, out ulong physicalAddress, out bool global) => throw new NotImplementedException();

    /// <summary>The same without side effects (no A bits, no fault): for decode-ahead and debuggers.</summary>
    public bool TryPeek(ulong va, out ulong physicalAddress) => throw new NotImplementedException();

    /// <summary>Reads 1, 2, 4 or 8 bytes; may cross a page, may be MMIO.</summary>
    public bool Read(ulong va, int size, bool user, out ulong value) => throw new NotImplementedException();

    /// <summary>Writes 1, 2, 4 or 8 bytes; all pages are checked before the first byte changes.</summary>
    public bool Write(ulong va, int size, bool user, ulong value) => throw new NotImplementedException();

    /// <summary>Reads a run of bytes (FXSAVE image, descriptor, XMM operand); at most two pages.</summary>
    public bool ReadBytes(ulong va, Span<byte> destination, bool user) => throw new NotImplementedException();

    /// <summary>Writes a run of bytes; all pages are checked before the first byte changes.</summary>
    public bool WriteBytes(ulong va, ReadOnlySpan<byte> source, bool user) => throw new NotImplementedException();

    /// <summary>Checks that [va, va+size) could be written (faults, A/D bits as for a write) without writing.</summary>
    public bool ProbeWrite(ulong va, int size, bool user) => throw new NotImplementedException();

    /// <summary>
    /// Host pointer for a run inside one RAM page, for bulk string operations: [va, va+length) must not cross a page. Null with
    /// <see cref="Fault"/> unset when the page is MMIO (use Read/Write), null with <c>false</c> result on a fault. For writes, tracking
    /// has been honoured for the whole run (dirty set, code and derived translations dropped) when it returns.
    /// </summary>
    public bool TryGetPointer(ulong va, int length, bool write, bool user, out byte* pointer) => throw new NotImplementedException();

    /// <summary>INVLPG.</summary>
    public void InvalidatePage(ulong va) => throw new NotImplementedException();

    /// <summary>CR3 load: drops non-global translations (all if CR4.PGE is clear).</summary>
    public void FlushNonGlobal() => throw new NotImplementedException();

    /// <summary>Change of CR0.PG/WP, CR4.PGE/PAE/SMEP, EFER.NXE, snapshot restore: drops everything.</summary>
    public void FlushAll() => throw new NotImplementedException();

    /// <summary>Marks the RAM page of <paramref name="physicalAddress"/> as holding translated code: stores to it are tracked from now on.</summary>
    public void MarkCodePage(ulong physicalAddress) => throw new NotImplementedException();

    /// <summary>The page holds no translated code any more.</summary>
    public void UnmarkCodePage(ulong physicalAddress) => throw new NotImplementedException();

    /// <summary>A store of <paramref name="size"/> bytes to a tracked page is about to happen: drops derived translations and code, so that the store may then go straight to RAM.</summary>
    public void PrepareTrackedWrite(ulong physicalAddress, int size) => throw new NotImplementedException();
}
