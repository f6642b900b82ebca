using System.Buffers.Binary;
using System.Runtime.Intrinsics.X86;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.Cpu.Verification;

/// <summary>
/// Executes single instructions on the host CPU with all sixteen general registers, flags, x87, MMX and SSE state given, and reports
/// the state behind them. The oracle of the conformance tests.
/// </summary>
/// <remarks>
/// The caller guarantees that the instruction cannot trap: class Reemit or Emit of the instruction policy, memory operand and stack
/// pointer inside <see cref="Data"/>, alignment and divisors right. A trap ends the process. All areas lie below 2 GiB, so a guest can map the
/// same linear addresses and run the same bytes; only FS is different, it belongs to the host's threads (use GS instead).
/// Not thread-safe.
/// </remarks>
internal sealed unsafe class NativeRunner : IDisposable
{
    /// <summary>Size of the area that instructions may read and write.</summary>
    public const int DataBytes = 20 * 4096;

    /// <summary>Size of the area that instructions may be placed in.</summary>
    public const int CodeBytes = 4 * 4096;

    /// <summary>Bytes behind an instruction, and at a branch target, that the runner overwrites to get control back.</summary>
    public const int StubBytes = 20;

    // The frame: what the entry and exit code loads and stores, at fixed addresses.
    private const int InFx = 0, OutFx = 512, HostFx = 1024, Gprs = 1536, Flags = 1664, HostRsp = 1672, ExitRip = 1680,
        GsBase = 1688, HostGsBase = 1696, EntryRip = 1704, FrameBytes = 1712;

    private readonly LowMapping _frame = new(FrameBytes, executable: false);
    private readonly LowMapping _data = new(DataBytes, executable: false);
    private readonly LowMapping _code = new(CodeBytes, executable: true);
    private readonly LowMapping _trampoline = new(4096, executable: true);
    private readonly delegate* unmanaged<void*, void> _enter;
    private readonly ulong _exit;
    private readonly bool _gsBase;

    /// <summary>Maps the areas and emits entry and exit code.</summary>
    /// <param name="segmentBase">False: no instruction will be relative to GS, so that the host's kernel need not let programs load its base.</param>
    public NativeRunner(bool segmentBase = true)
    {
        // CPUID.(7,0):EBX bit 0. The bit also says that the kernel has enabled the instructions only on Linux 5.9 and later; AT_HWCAP2 would tell.
        _gsBase = segmentBase && (X86Base.CpuId(7, 0).Ebx & 1) != 0;
        _exit = _trampoline.Address + 2048;
        Assemble(EmitEntry(), 0);
        Assemble(EmitExit(), 2048);
        _enter = (delegate* unmanaged<void*, void>)_trampoline.Address;
    }

    /// <summary>True if the host lets GS-relative instructions run natively.</summary>
    public bool SupportsSegmentBase => _gsBase;

    public ulong DataAddress => _data.Address;

    public ulong CodeAddress => _code.Address;

    /// <summary>The memory instructions may touch.</summary>
    public Span<byte> Data => _data.Bytes;

    /// <summary>The memory instructions are fetched from; <see cref="Run"/> writes the instruction and the stubs into it.</summary>
    public Span<byte> Code => _code.Bytes;

    /// <summary>
    /// Runs the instruction at <c>state.Rip</c> (inside the code area). <paramref name="branchTarget"/> is where a taken branch leads, 0 if there is none.
    /// <paramref name="state"/> is replaced by the state behind the instruction.
    /// </summary>
    public void Run(MachineState state, ReadOnlySpan<byte> instruction, ulong branchTarget)
    {
        int offset = checked((int)(state.Rip - CodeAddress));
        instruction.CopyTo(Code[offset..]);
        WriteStub(offset + instruction.Length);
        if (branchTarget != 0) { WriteStub(checked((int)(branchTarget - CodeAddress))); }

        byte* frame = _frame.Pointer;
        state.Fx.CopyTo(new Span<byte>(frame + InFx, MachineState.FxBytes));
        *(ushort*)(frame + InFx) |= 0x3F; // x87 errors masked,
        *(ushort*)(frame + InFx + 2) &= 0x7F7F; // none pending,
        *(uint*)(frame + InFx + 24) = (state.Mxcsr | 0x1F80) & 0xFFFF; // SIMD errors masked: nothing can reach the process as SIGFPE.
        state.Gpr.CopyTo(new Span<ulong>(frame + Gprs, 16));
        *(ulong*)(frame + Flags) = (state.Rflags & MachineState.FlagMask) | 0x202;
        *(ulong*)(frame + GsBase) = state.SegmentBase;
        *(ulong*)(frame + EntryRip) = state.Rip;

        _enter(frame);

        new Span<byte>(frame + OutFx, MachineState.FxBytes).CopyTo(state.Fx);
        new Span<ulong>(frame + Gprs, 16).CopyTo(state.Gpr);
        state.Rflags = *(ulong*)(frame + Flags) & MachineState.FlagMask;
        state.Rip = *(uint*)(frame + ExitRip);
    }

    public void Dispose()
    {
        _frame.Dispose();
        _data.Dispose();
        _code.Dispose();
        _trampoline.Dispose();
    }

    /// <summary>mov [rax slot], rax; mov eax, own address; jmp exit.</summary>
    private void WriteStub(int offset)
    {
        Span<byte> stub = Code.Slice(offset, StubBytes);
        stub[0] = 0x48;
        stub[1] = 0x89;
        stub[2] = 0x04;
        stub[3] = 0x25;
        BinaryPrimitives.WriteUInt32LittleEndian(stub[4..], (uint)_frame.Address + Gprs);
        stub[8] = 0xB8;
        BinaryPrimitives.WriteUInt32LittleEndian(stub[9..], (uint)CodeAddress + (uint)offset);
        stub[13] = 0xE9;
        BinaryPrimitives.WriteInt32LittleEndian(stub[14..], (int)((long)_exit - (long)(CodeAddress + (ulong)offset + 18)));
    }

    private AssemblerMemoryOperand Slot(int offset) => __qword_ptr[(long)_frame.Address + offset];

    private Assembler EmitEntry()
    {
        var a = new Assembler(64);
        foreach (AssemblerRegister64 register in s_calleeSaved) { a.push(register); }
        a.mov(Slot(HostRsp), rsp);
        a.fxsave64(__[(long)_frame.Address + HostFx]);
        a.xor(eax, eax);
        a.xor(ecx, ecx);
        a.cpuid(); // Serialises: the code was just written through another address (Intel SDM vol. 3A, 9.1.3).
        if (_gsBase)
        {
            a.rdgsbase(rax);
            a.mov(Slot(HostGsBase), rax);
            a.mov(rax, Slot(GsBase));
            a.wrgsbase(rax);
        }
        a.fxrstor64(__[(long)_frame.Address + InFx]);
        a.push(Slot(Flags));
        a.popfq();
        for (int i = 0; i < 16; i++) { a.mov(s_gpr[i], Slot(Gprs + (i * 8))); }
        a.jmp(Slot(EntryRip));
        return a;
    }

    private Assembler EmitExit()
    {
        var a = new Assembler(64);
        a.mov(Slot(ExitRip), rax);
        for (int i = 1; i < 16; i++) { a.mov(Slot(Gprs + (i * 8)), s_gpr[i]); }
        a.mov(rsp, Slot(HostRsp));
        a.pushfq();
        a.pop(Slot(Flags));
        a.cld();
        a.fxsave64(__[(long)_frame.Address + OutFx]);
        a.fxrstor64(__[(long)_frame.Address + HostFx]);
        if (_gsBase)
        {
            a.mov(rax, Slot(HostGsBase));
            a.wrgsbase(rax);
        }
        for (int i = s_calleeSaved.Length - 1; i >= 0; i--) { a.pop(s_calleeSaved[i]); }
        a.ret();
        return a;
    }

    private void Assemble(Assembler assembler, int offset)
    {
        var writer = new ByteListWriter();
        assembler.Assemble(writer, _trampoline.Address + (ulong)offset);
        writer.Bytes.CopyTo(_trampoline.Bytes[offset..]);
    }

    private static readonly AssemblerRegister64[] s_calleeSaved = [rbx, rbp, r12, r13, r14, r15];
    private static readonly AssemblerRegister64[] s_gpr = [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];
}
