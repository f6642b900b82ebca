using System.Buffers.Binary;
using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Memory;
using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Verification;

/// <summary>Rights of a 4 KiB mapping, in page-table bits (Intel SDM vol. 3A, table 4-19).</summary>
[Flags]
internal enum PageRights : ulong
{
    None = 0,
    Write = 1 << 1,
    User = 1 << 2,
    NoExecute = 1ul << 63,
}

/// <summary>
/// A guest without software: RAM, a vCPU in 64-bit mode, 4 KiB page tables filled by the caller, and an IDT whose handlers halt. What conformance
/// tests and benchmarks run their instructions in.
/// </summary>
/// <remarks>
/// Physical layout: GDT, IDT, TSS, handlers and interrupt stack in the first 64 KiB, mapped at <see cref="SystemBase"/> for the supervisor; page tables and the caller's
/// pages behind them, handed out in order.
/// </remarks>
internal sealed unsafe class VerificationGuest : IDisposable
{
    /// <summary>Linear address of physical address 0 (first 64 KiB only).</summary>
    public const ulong SystemBase = 0xFFFF_8000_0000_0000;

    private const ulong Gdt = 0x1000, Idt = 0x2000, Tss = 0x3000, Handlers = 0x4000, SyscallHandler = 0x5000, StackTop = 0xF000,
        SystemBytes = 0x10000;
    private const int HandlerBytes = 16;
    private const ushort KernelCode = 0x08, KernelData = 0x10, UserData = 0x1B, UserCode = 0x23, TaskSelector = 0x28;
    private const ulong Present = 1;

    private readonly GuestMemory _memory;
    private ulong _nextPage = 0x10_0000;

    /// <summary>Makes a guest with <paramref name="memoryBytes"/> of RAM; nothing but the system area is mapped.</summary>
    public VerificationGuest(ulong memoryBytes, ICpuBus bus, VcpuOptions? options = null)
    {
        _memory = new GuestMemory(memoryBytes);
        Vcpu = new Vcpu(_memory, CpuModel.Default, bus, options);
        Root = AllocatePage();
        for (ulong page = 0; page < SystemBytes; page += 4096) { Map(SystemBase + page, page, PageRights.Write); }
        WriteDescriptors();
        InitializeState(Vcpu.State);
        EnterRing(0);
    }

    public Vcpu Vcpu { get; }

    /// <summary>Physical address of the PML4.</summary>
    public ulong Root { get; }

    /// <summary>The next free physical page; its contents are zero.</summary>
    public ulong AllocatePage()
    {
        ulong page = _nextPage;
        _nextPage += 4096;
        return _nextPage <= _memory.SizeBytes ? page : throw new InvalidOperationException("The verification guest has no page left.");
    }

    /// <summary>Maps one page, present. Replaces what was there; the caller invalidates if the page was in use.</summary>
    public void Map(ulong linear, ulong physical, PageRights rights)
    {
        ulong table = Root;
        for (int shift = 39; shift > 12; shift -= 9)
        {
            ulong entryAddress = table + (((linear >> shift) & 511) * 8);
            ulong entry = ReadPhysical64(entryAddress);
            if ((entry & Present) == 0)
            {
                entry = AllocatePage() | Present | (ulong)(PageRights.Write | PageRights.User);
                WritePhysical64(entryAddress, entry);
            }
            table = entry & 0x000F_FFFF_FFFF_F000;
        }
        WritePhysical64(table + (((linear >> 12) & 511) * 8), physical | Present | (ulong)rights);
    }

    public void WritePhysical(ulong physical, ReadOnlySpan<byte> bytes)
    {
        if (!_memory.TryWrite(physical, bytes)) { throw new ArgumentOutOfRangeException(nameof(physical)); }
    }

    public void ReadPhysical(ulong physical, Span<byte> bytes)
    {
        if (!_memory.TryRead(physical, bytes)) { throw new ArgumentOutOfRangeException(nameof(physical)); }
    }

    /// <summary>Loads flat 64-bit segments of privilege level 0 or 3.</summary>
    public void EnterRing(int ring)
    {
        CpuState* state = Vcpu.State;
        ushort dpl = (ushort)(ring << 5);
        state->Cpl = (uint)ring;
        state->Cs = new SegmentRegister { Selector = ring == 0 ? KernelCode : UserCode, Limit = ~0u, Attributes = (ushort)(0xA09B | dpl) };
        state->Ss = new SegmentRegister { Selector = ring == 0 ? KernelData : UserData, Limit = ~0u, Attributes = (ushort)(0xC093 | dpl) };
        ulong fs = state->Fs.Base, gs = state->Gs.Base;
        state->Ds = state->Es = state->Fs = state->Gs = state->Ss;
        state->Fs.Base = fs;
        state->Gs.Base = gs;
        state->Halted = 0;
    }

    /// <summary>Puts <paramref name="source"/> into the vCPU; FS and GS both get its segment base.</summary>
    public void Load(MachineState source)
    {
        CpuState* state = Vcpu.State;
        source.Gpr.CopyTo(new Span<ulong>(state->Gpr, 16));
        source.Fx.AsSpan(0, 160).CopyTo(new Span<byte>(state->Fx, 160));
        state->FcwGuest = source.Fcw;
        state->Mxcsr = source.Mxcsr;
        for (int i = 0; i < 16; i++) { source.Xmm(i).CopyTo(new Span<byte>(state->Vector + (i * 32), 16)); }
        state->Rip = source.Rip;
        state->Rflags = (source.Rflags & MachineState.FlagMask) | 2;
        state->Fs.Base = state->Gs.Base = source.SegmentBase;
        state->Halted = 0;
        state->InterruptShadow = 0;
    }

    /// <summary>Fetches the vCPU's registers into <paramref name="target"/>.</summary>
    public void Store(MachineState target)
    {
        CpuState* state = Vcpu.State;
        new Span<ulong>(state->Gpr, 16).CopyTo(target.Gpr);
        new Span<byte>(state->Fx, 160).CopyTo(target.Fx);
        target.Mxcsr = state->Mxcsr;
        for (int i = 0; i < 16; i++) { new Span<byte>(state->Vector + (i * 32), 16).CopyTo(target.Xmm(i)); }
        target.Rip = state->Rip;
        target.Rflags = state->Rflags;
    }

    /// <summary>If the vCPU stopped in an exception handler: which, with what, and the state that was interrupted.</summary>
    public DeliveredException? Exception()
    {
        CpuState* state = Vcpu.State;
        ulong offset = state->Rip - SystemBase - Handlers;
        if (offset >= 256 * HandlerBytes) { return null; }
        byte vector = (byte)(offset / HandlerBytes);
        ulong rsp = state->Gpr[4] - SystemBase;
        bool hasCode = vector is 8 or (>= 10 and <= 14) or 17;
        uint code = hasCode ? (uint)ReadPhysical64(rsp) : 0;
        ulong frame = rsp + (hasCode ? 8u : 0u);
        return new DeliveredException(
            vector, code, state->Cr2, ReadPhysical64(frame), ReadPhysical64(frame + 16), ReadPhysical64(frame + 24));
    }

    /// <summary>Physical address of the handler that SYSCALL enters: a HLT.</summary>
    public static ulong SyscallEntry => SystemBase + SyscallHandler;

    public void Dispose()
    {
        Vcpu.Dispose();
        _memory.Dispose();
    }

    private void WriteDescriptors()
    {
        ReadOnlySpan<ulong> gdt =
        [
            0, 0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, 0x00CF_F300_0000_FFFF, 0x00AF_FB00_0000_FFFF,
            // The 64-bit TSS descriptor takes two entries: base, limit 0x67, type 11 (busy).
            0x0000_8B00_0000_0067 | ((SystemBase + Tss) & 0xFF_FFFF) << 16 | ((SystemBase + Tss) >> 24 & 0xFF) << 56, (SystemBase + Tss) >> 32,
        ];
        for (int i = 0; i < gdt.Length; i++) { WritePhysical64(Gdt + ((ulong)i * 8), gdt[i]); }
        for (int vector = 0; vector < 256; vector++)
        {
            ulong handler = SystemBase + Handlers + (ulong)(vector * HandlerBytes);
            ulong gate = Idt + ((ulong)vector * 16);
            // Interrupt gate, present, DPL 3, IST 1: one stack whatever was interrupted.
            WritePhysical64(gate, (handler & 0xFFFF) | (ulong)KernelCode << 16 | 1ul << 32 | 0xEE00ul << 32 | (handler >> 16 & 0xFFFF) << 48);
            WritePhysical64(gate + 8, handler >> 32);
            WritePhysical(Handlers + (ulong)(vector * HandlerBytes), [0xF4]);
        }
        WritePhysical(SyscallHandler, [0xF4]);
        WritePhysical64(Tss + 4, SystemBase + StackTop); // RSP0
        WritePhysical64(Tss + 36, SystemBase + StackTop); // IST1
    }

    private void InitializeState(CpuState* state)
    {
        *state = default;
        state->Cr0 = 0x8001_0033; // PG, WP, NE, ET, MP, PE
        state->Cr3 = Root;
        state->Cr4 = 0x1_06A0; // FSGSBASE, OSXMMEXCPT, OSFXSR, PGE, PAE
        state->Efer = 0xD01; // NXE, LMA, LME, SCE
        state->Star = (ulong)KernelCode << 32 | (ulong)KernelData << 48 | 3ul << 48;
        state->Lstar = SyscallEntry;
        state->Fmask = 0x700;
        state->GdtrBase = SystemBase + Gdt;
        state->GdtrLimit = (7 * 8) - 1;
        state->IdtrBase = SystemBase + Idt;
        state->IdtrLimit = 4095;
        state->Tr = new SegmentRegister { Selector = TaskSelector, Base = SystemBase + Tss, Limit = 0x67, Attributes = 0x8B };
        state->Ldtr = new SegmentRegister { Attributes = 0x82 };
        state->Rflags = 2;
        state->Xcr0 = 1;
        state->Pat = 0x0007_0406_0007_0406;
        state->Dr6 = 0xFFFF_0FF0;
        state->Dr7 = 0x400;
        state->Mxcsr = 0x1F80;
        *(ushort*)state->Fx = state->FcwGuest = 0x37F;
        Vcpu.Mmu.FlushAll();
    }

    private ulong ReadPhysical64(ulong physical)
    {
        Span<byte> bytes = stackalloc byte[8];
        ReadPhysical(physical, bytes);
        return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    }

    private void WritePhysical64(ulong physical, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        WritePhysical(physical, bytes);
    }
}

/// <summary>An exception as its handler found it.</summary>
/// <param name="Vector">0 to 255.</param>
/// <param name="ErrorCode">0 if the vector has none.</param>
/// <param name="Cr2">CR2; means something for vector 14 only.</param>
/// <param name="Rip">Saved RIP.</param>
/// <param name="Rflags">Saved RFLAGS.</param>
/// <param name="Rsp">Saved RSP.</param>
internal readonly record struct DeliveredException(byte Vector, uint ErrorCode, ulong Cr2, ulong Rip, ulong Rflags, ulong Rsp);
