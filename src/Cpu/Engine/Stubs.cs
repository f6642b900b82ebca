using FtAkka.Cpu.Translation;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.Cpu.Engine;

/// <summary>
/// The fixed pieces of host code at the start of the code cache: entry into emitted code, one exit per <see cref="ExitKind"/>,
/// and the x87 bank switch.
/// </summary>
internal sealed unsafe class Stubs
{
    private const int FirstExit = 4;
    private const int StatusFlags = 0xCD5; // CF PF AF ZF SF DF OF
    private static readonly AssemblerRegister64[] Gpr = [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];

    /// <summary>Offsets into <see cref="EngineState"/>.</summary>
    internal static class Offset
    {
        public static readonly int Fx, Vector, Gpr, Rflags, Mxcsr, FsBase, GsBase, HostFlags, ExitReturn, ExitKind, Budget, ScratchR14, ScratchR15, TempA, TempB, Bounce;

        static Offset()
        {
            EngineState probe = default;
            EngineState* p = &probe;
            Fx = (int)((byte*)(&p->Cpu.Fx[0]) - (byte*)p);
            Vector = (int)((byte*)(&p->Cpu.Vector[0]) - (byte*)p);
            Gpr = (int)((byte*)(&p->Cpu.Gpr[0]) - (byte*)p);
            Rflags = (int)((byte*)(&p->Cpu.Rflags) - (byte*)p);
            Mxcsr = (int)((byte*)(&p->Cpu.MxcsrHost) - (byte*)p);
            FsBase = (int)((byte*)(&p->Cpu.Fs.Base) - (byte*)p);
            GsBase = (int)((byte*)(&p->Cpu.Gs.Base) - (byte*)p);
            HostFlags = (int)((byte*)(&p->HostFlags) - (byte*)p);
            ExitReturn = (int)((byte*)(&p->ExitReturnAddress) - (byte*)p);
            ExitKind = (int)((byte*)(&p->ExitKind) - (byte*)p);
            Budget = (int)((byte*)(&p->Budget) - (byte*)p);
            ScratchR14 = (int)((byte*)(&p->ScratchR14) - (byte*)p);
            ScratchR15 = (int)((byte*)(&p->ScratchR15) - (byte*)p);
            TempA = (int)((byte*)(&p->TempA) - (byte*)p);
            TempB = (int)((byte*)(&p->TempB) - (byte*)p);
            Bounce = (int)((byte*)(&p->Bounce[0]) - (byte*)p);
        }
    }

    /// <summary>The stubs one behind the other. They refer to nothing but their frame and each other, so every engine has the same.</summary>
    private static readonly (byte[] Code, int[] Starts) Image = Assemble(address: 0);

    private readonly delegate* unmanaged<EngineState*, nint, void> _enter;
    private readonly delegate* unmanaged<EngineState*, nint, void> _enterSerialized;
    private readonly delegate* unmanaged<EngineState*, void> _loadX87;
    private readonly delegate* unmanaged<EngineState*, void> _saveX87;
    private readonly nint _base;

    /// <summary>Puts the stubs at the start of <paramref name="code"/>.</summary>
    public Stubs(HostCodeMemory code)
    {
        _base = code.Base;
        Image.Code.CopyTo(new Span<byte>(code.Writable(_base), Image.Code.Length));
        _enter = (delegate* unmanaged<EngineState*, nint, void>)(_base + Image.Starts[0]);
        _enterSerialized = (delegate* unmanaged<EngineState*, nint, void>)(_base + Image.Starts[1]);
        _loadX87 = (delegate* unmanaged<EngineState*, void>)(_base + Image.Starts[2]);
        _saveX87 = (delegate* unmanaged<EngineState*, void>)(_base + Image.Starts[3]);
        End = _base + Image.Code.Length;
    }

    /// <summary>First byte behind the stubs.</summary>
    public nint End { get; }

    /// <summary>Address that emitted code calls to leave.</summary>
    public long ExitAddress(ExitKind kind) => _base + Image.Starts[FirstExit + (int)kind];

    /// <summary>Loads the guest state, runs emitted code at <paramref name="target"/> until it leaves, stores the guest state.</summary>
    public void Run(EngineState* state, nint target) => _enter(state, target);

    /// <summary>The same behind a serializing instruction: needed once after code was written through the other view (Intel SDM vol. 3A, 8.1.3).</summary>
    public void RunSerialized(EngineState* state, nint target) => _enterSerialized(state, target);

    /// <summary>Puts the guest's x87/MMX registers into the host FPU.</summary>
    public void LoadX87(EngineState* state) => _loadX87(state);

    /// <summary>Takes the guest's x87/MMX registers out of the host FPU and leaves it initialised.</summary>
    public void SaveX87(EngineState* state) => _saveX87(state);

    /// <summary>The code as it must be at an address, padded, and where each stub starts.</summary>
    internal static (byte[] Code, int[] Starts) Assemble(nint address)
    {
        const int alignment = 64;
        var pieces = new List<Action<Assembler>> { a => Enter(a, serialize: false), a => Enter(a, serialize: true), LoadX87, SaveX87 };
        foreach (ExitKind kind in Enum.GetValues<ExitKind>())
        {
            pieces.Add(a => Exit(a, (int)kind));
        }
        var code = new HostAssembler();
        int[] starts = new int[pieces.Count];
        for (int i = 0; i < starts.Length; i++)
        {
            starts[i] = code.Position;
            var assembler = new Assembler(64);
            pieces[i](assembler);
            assembler.Assemble(code, (ulong)(address + code.Position));
            while (code.Position % alignment != 0)
            {
                code.WriteByte(0xCC); // INT3
            }
        }
        return (code.Bytes.ToArray(), starts);
    }

    private static void Enter(Assembler a, bool serialize)
    {
        a.push(rbx);
        a.push(rbp);
        a.push(r12);
        a.push(r13);
        a.push(r14);
        a.push(r15);
        a.mov(rax, rsp);
        a.sub(rsp, FrameLayout.Size + 128);
        a.and(rsp, -64);
        a.add(rsp, FrameLayout.RspResidue);
        a.mov(__[rsp + FrameLayout.SavedRsp], rax);
        a.mov(__[rsp + FrameLayout.State], rdi);
        if (serialize)
        {
            Serialize(a);
        }
        a.stmxcsr(__dword_ptr[rsp + FrameLayout.SavedMxcsr]);
        CopyToFrame(a, Offset.Budget, FrameLayout.Budget);
        CopyToFrame(a, Offset.Gpr + (12 * 8), FrameLayout.R12);
        CopyToFrame(a, Offset.Gpr + (13 * 8), FrameLayout.R13);
        CopyToFrame(a, Offset.Gpr + (14 * 8), FrameLayout.R14);
        CopyToFrame(a, Offset.Gpr + (15 * 8), FrameLayout.R15);
        CopyToFrame(a, Offset.TempA, FrameLayout.TempA);
        CopyToFrame(a, Offset.TempB, FrameLayout.TempB);
        CopyToFrame(a, Offset.FsBase, FrameLayout.FsBase);
        CopyToFrame(a, Offset.GsBase, FrameLayout.GsBase);
        StoreMask(a, FrameLayout.AlignMask16, 15);
        StoreMask(a, FrameLayout.AlignMask8, 7);
        StoreMask(a, FrameLayout.AlignMask4, 3);
        StoreMask(a, FrameLayout.AlignMask2, 1);
        a.ldmxcsr(__dword_ptr[rdi + Offset.Mxcsr]);
        for (int i = 0; i < 16; i++)
        {
            a.movups(Xmm(i), __[rdi + (Offset.Vector + (32 * i))]);
        }
        a.mov(rax, __qword_ptr[rdi + Offset.Rflags]);
        a.mov(ecx, eax);
        a.and(ecx, ~StatusFlags);
        a.mov(__qword_ptr[rsp + FrameLayout.SystemFlags], rcx);
        a.and(eax, StatusFlags);
        a.or(eax, 0x202);
        a.push(rax);
        a.popfq();
        a.mov(rcx, rsi);
        a.mov(r14, __qword_ptr[rdi + Offset.ScratchR14]);
        a.mov(r15, __qword_ptr[rdi + Offset.ScratchR15]);
        foreach (int i in (ReadOnlySpan<int>)[0, 2, 3, 5, 6, 8, 9, 10, 11])
        {
            a.mov(Gpr[i], __qword_ptr[rdi + (Offset.Gpr + (8 * i))]);
        }
        a.mov(r12, __qword_ptr[rdi + (Offset.Gpr + (8 * 1))]);
        a.mov(r13, __qword_ptr[rdi + (Offset.Gpr + (8 * 4))]);
        a.mov(rdi, __qword_ptr[rdi + (Offset.Gpr + (8 * 7))]);
        a.jmp(rcx);
    }

    /// <summary>IRETQ to the next instruction: the only cheap serializing instruction of user mode.</summary>
    private static void Serialize(Assembler a)
    {
        Label next = a.CreateLabel();
        a.mov(rax, rsp);
        a.mov(ecx, ss);
        a.push(rcx);
        a.push(rax);
        a.pushfq();
        a.mov(ecx, cs);
        a.push(rcx);
        a.lea(rcx, __[next]);
        a.push(rcx);
        a.iretq();
        a.Label(ref next);
    }

    private static void CopyToFrame(Assembler a, int from, int to)
    {
        a.mov(rax, __qword_ptr[rdi + from]);
        a.mov(__qword_ptr[rsp + to], rax);
    }

    /// <summary>Mask for pext: keeps the bits below the alignment and the page number, so that misalignment makes the check miss.</summary>
    private static void StoreMask(Assembler a, int disp, int alignmentBits)
    {
        a.mov(rax, (long)(0xFFFF_FFFF_FFFF_F000UL | (uint)alignmentBits));
        a.mov(__qword_ptr[rsp + disp], rax);
    }

    private static void Exit(Assembler a, int kind)
    {
        a.pop(__qword_ptr[rsp + FrameLayout.ExitReturn]);
        a.mov(rcx, __qword_ptr[rsp + FrameLayout.State]);
        foreach (int i in (ReadOnlySpan<int>)[0, 2, 3, 5, 6, 7, 8, 9, 10, 11])
        {
            a.mov(__qword_ptr[rcx + (Offset.Gpr + (8 * i))], Gpr[i]);
        }
        a.mov(__qword_ptr[rcx + (Offset.Gpr + (8 * 1))], r12);
        a.mov(__qword_ptr[rcx + (Offset.Gpr + (8 * 4))], r13);
        a.mov(__qword_ptr[rcx + Offset.ScratchR14], r14);
        a.mov(__qword_ptr[rcx + Offset.ScratchR15], r15);
        a.pushfq();
        a.pop(rax);
        a.cld();
        a.mov(__qword_ptr[rcx + Offset.HostFlags], rax);
        a.mov(__dword_ptr[rcx + Offset.ExitKind], kind);
        CopyFromFrame(a, FrameLayout.ExitReturn, Offset.ExitReturn);
        CopyFromFrame(a, FrameLayout.Budget, Offset.Budget);
        CopyFromFrame(a, FrameLayout.R12, Offset.Gpr + (12 * 8));
        CopyFromFrame(a, FrameLayout.R13, Offset.Gpr + (13 * 8));
        CopyFromFrame(a, FrameLayout.R14, Offset.Gpr + (14 * 8));
        CopyFromFrame(a, FrameLayout.R15, Offset.Gpr + (15 * 8));
        CopyFromFrame(a, FrameLayout.TempA, Offset.TempA);
        CopyFromFrame(a, FrameLayout.TempB, Offset.TempB);
        CopyFromFrame(a, FrameLayout.FsBase, Offset.FsBase);
        CopyFromFrame(a, FrameLayout.GsBase, Offset.GsBase);
        CopyFromFrame(a, FrameLayout.SystemFlags, Offset.Rflags);
        for (int i = 0; i < 16; i++)
        {
            a.movups(__[rcx + (Offset.Vector + (32 * i))], Xmm(i));
        }
        a.stmxcsr(__dword_ptr[rcx + Offset.Mxcsr]);
        a.ldmxcsr(__dword_ptr[rsp + FrameLayout.SavedMxcsr]);
        a.mov(rsp, __qword_ptr[rsp + FrameLayout.SavedRsp]);
        a.pop(r15);
        a.pop(r14);
        a.pop(r13);
        a.pop(r12);
        a.pop(rbp);
        a.pop(rbx);
        a.ret();
    }

    private static void CopyFromFrame(Assembler a, int from, int to)
    {
        a.mov(rax, __qword_ptr[rsp + from]);
        a.mov(__qword_ptr[rcx + to], rax);
    }

    private static void LoadX87(Assembler a)
    {
        // FXRSTOR also loads MXCSR: the image's field is kept at the host's default, so .NET sees no change.
        a.fxrstor64(__[rdi + Offset.Fx]);
        a.ret();
    }

    private static void SaveX87(Assembler a)
    {
        a.fxsave64(__[rdi + Offset.Fx]);
        a.fninit();
        a.ret();
    }

    private static AssemblerRegisterXMM Xmm(int i) => i switch
    {
        0 => xmm0, 1 => xmm1, 2 => xmm2, 3 => xmm3, 4 => xmm4, 5 => xmm5, 6 => xmm6, 7 => xmm7, 8 => xmm8, 9 => xmm9,
        10 => xmm10, 11 => xmm11, 12 => xmm12, 13 => xmm13, 14 => xmm14, _ => xmm15,
    };
}
