using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace FtAkka.Cpu.State;

/// <summary>Index of a segment register in <see cref="CpuState"/>; values 0 to 5 are the Sreg encoding (Intel SDM vol. 2, B.1.4.3).</summary>
internal enum SegmentIndex : byte { Es, Cs, Ss, Ds, Fs, Gs, Ldtr, Tr }

/// <summary>Visible and cached parts of a segment register (Intel SDM vol. 3A, 3.4.3).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SegmentRegister
{
    /// <summary>Base, linear address.</summary>
    public ulong Base;
    /// <summary>Limit in bytes (granularity already applied).</summary>
    public uint Limit;
    public ushort Selector;
    /// <summary>Descriptor bits 40 to 55: type (0-3), S (4), DPL (5-6), P (7), limit 19:16 (8-11, zeroed), AVL (12), L (13), D/B (14), G (15).</summary>
    public ushort Attributes;
}

/// <summary>
/// Complete architectural state of one vCPU, in native memory (64-byte aligned) so that emitted code reaches it.
/// Valid only while the engine is outside emitted code; everything guest-visible is here except RAM, and nothing here is
/// host-dependent. GPR order is the encoding order: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 .. r15.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 8)]
internal unsafe struct CpuState
{
    /// <summary>FXSAVE64 image; only its x87/MMX part (bytes 0-23 and 32-159) is used. Masks in FCW are forced to 1 here; the guest's are in <see cref="FcwGuest"/>.</summary>
    public fixed byte Fx[512];
    /// <summary>ymm0 .. ymm15, 32 bytes each; model v1 uses the low 16 of each.</summary>
    public fixed byte Vector[16 * 32];
    public fixed ulong Gpr[16];
    /// <summary>Instruction pointer of the next instruction to execute.</summary>
    public ulong Rip;
    /// <summary>Full architectural RFLAGS (bit 1 always set); emitted code takes only CF PF AF ZF SF OF DF from it.</summary>
    public ulong Rflags;
    /// <summary>MXCSR as the host holds it while the guest runs: all exceptions masked. Sticky flags are up to date here.</summary>
    public uint MxcsrHost;
    /// <summary>The guest's MXCSR mask bits (7 to 12), the rest zero.</summary>
    public uint MxcsrGuestMasks;
    /// <summary>The guest's FCW with its real mask bits.</summary>
    public ushort FcwGuest;
    public ushort Padding0;
    /// <summary>Current privilege level, 0 to 3.</summary>
    public uint Cpl;

    public SegmentRegister Es, Cs, Ss, Ds, Fs, Gs, Ldtr, Tr;
    public ulong GdtrBase, IdtrBase;
    public uint GdtrLimit, IdtrLimit;

    public ulong Cr0, Cr2, Cr3, Cr4, Cr8;
    public ulong Dr0, Dr1, Dr2, Dr3, Dr6, Dr7;
    public ulong Efer, Star, Lstar, Cstar, Fmask, KernelGsBase;
    public ulong SysenterCs, SysenterEsp, SysenterEip;
    public ulong Pat, TscAux, TscAdjust, MiscEnable, SpecCtrl, ApicBase;
    public ulong Xcr0;

    /// <summary>Retired guest instructions since power-on; exact whenever the engine is outside emitted code.</summary>
    public ulong Icount;

    /// <summary>1 after STI or MOV SS until the next instruction has retired: external interrupts (and for MOV SS also debug traps) are held.</summary>
    public byte InterruptShadow;
    /// <summary>1 while halted by HLT.</summary>
    public byte Halted;
    /// <summary>1 while an NMI handler runs (until IRET): further NMIs are held.</summary>
    public byte NmiBlocked;
    /// <summary>1 while an NMI is waiting.</summary>
    public byte NmiPending;
    /// <summary>1 while the external interrupt line (INTR) is asserted.</summary>
    public byte InterruptLine;
    /// <summary>1 after a triple fault: the CPU is in shutdown and Run refuses to continue.</summary>
    public byte Shutdown;
    /// <summary>DR6 bits of data breakpoints hit by a MOV SS: reported after the next instruction (Intel SDM vol. 3A, 6.8.3).</summary>
    public byte HeldBreakpoints;
    public byte Padding2;

    /// <summary>The guest-visible MXCSR.</summary>
    public uint Mxcsr
    {
        readonly get => (MxcsrHost & ~0x1F80u) | MxcsrGuestMasks;
        set { MxcsrHost = value | 0x1F80u; MxcsrGuestMasks = value & 0x1F80u; }
    }

    /// <summary>Access to a segment register by index.</summary>
    public static ref SegmentRegister Segment(CpuState* state, SegmentIndex index) =>
        ref Unsafe.Add(ref state->Es, (int)index);
}
