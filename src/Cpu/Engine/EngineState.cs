using System.Runtime.InteropServices;
using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Engine;

/// <summary>Which stub emitted code left through.</summary>
internal enum ExitKind
{
    /// <summary>Soft-TLB miss (or misaligned, or crossing): <see cref="EngineState.ExitReturnAddress"/> names the site.</summary>
    MemorySite = 0,
    /// <summary>The countdown at a block head went below zero.</summary>
    BudgetExpired = 1,
    /// <summary>The next instruction is executed in C#.</summary>
    Special = 2,
    /// <summary>Indirect branch whose target is not in the jump cache; the target is in <see cref="EngineState.ScratchR14"/>.</summary>
    IndirectMiss = 3,
    /// <summary>Direct branch that is not linked yet.</summary>
    Link = 4,
    /// <summary>One instruction in the middle of a block is executed in C#; a site names it.</summary>
    MidBlock = 5,
    /// <summary>SYSCALL or SYSRET has retired, and its target, in <see cref="EngineState.ScratchR14"/>, is not in the jump cache.</summary>
    ModeSwitch = 6,
}

/// <summary>
/// Native memory of one engine: the architectural state first, then what stubs and emitted code exchange with C#.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 8)]
internal unsafe struct EngineState
{
    public CpuState Cpu;

    /// <summary>RFLAGS as the host held them when emitted code left; only CF PF AF ZF SF OF DF mean anything.</summary>
    public ulong HostFlags;
    /// <summary>Return address pushed by the exiting call: followed (or, for an expired budget, preceded) by the site's number.</summary>
    public ulong ExitReturnAddress;
    public ulong ExitKind;
    /// <summary>The countdown slot: 2^32 + instructions left.</summary>
    public ulong Budget;
    public ulong ScratchR14, ScratchR15;
    /// <summary>The frame's temporaries: an instruction with two accesses keeps the first's result there while the second misses.</summary>
    public ulong TempA, TempB;
    public fixed byte Bounce[2 * 64];

    /// <summary>CS and SS behind SYSCALL and SYSRET, as IA32_STAR has them: limit, selector and attributes of <see cref="SegmentRegister"/>.</summary>
    public ulong SyscallCs, SyscallSs, SysretCs, SysretSs;
    /// <summary>Not 0: SYSCALL and SYSRET run in C#, because EFER.SCE is clear or the target's blocks are not those of a plain mode.</summary>
    public byte FastSyscallOff;

    /// <summary>State of the generator behind <see cref="VcpuOptions.FlagNoiseSeed"/>.</summary>
    public ulong FlagNoise;
    /// <summary>The host's flags before a multiplication, under <see cref="CpuSemantics.MultiplyKeepsFlags"/>.</summary>
    public ulong KeptFlags;
}

/// <summary>
/// Displacements from RSP of the frame that emitted code lives on. RSP is 12 modulo 64, so that it doubles as a shift count of 12;
/// eight-byte fields therefore sit at 4 modulo 8. The first sixteen fields are reached with an 8-bit displacement.
/// </summary>
internal static class FrameLayout
{
    public const int Budget = 4, R12 = 12, R13 = 20, R14 = 28, R15 = 36, FsBase = 44, GsBase = 52, State = 60,
        TempA = 68, TempB = 76, AlignMask16 = 84, AlignMask8 = 92, AlignMask4 = 100,
        // RFLAGS without CF PF AF ZF SF DF OF, which are zero here.
        SystemFlags = 108,
        // Beyond disp8: touched at entry and exit only.
        SavedRsp = 132, ExitKind = 140, ExitReturn = 148, AlignMask2 = 156, SavedMxcsr = 164, Size = 192;

    /// <summary>RSP modulo 64 inside emitted code.</summary>
    public const int RspResidue = 12;
}
