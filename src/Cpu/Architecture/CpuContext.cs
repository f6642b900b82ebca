using FtAkka.Cpu.Memory;
using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Architecture;

/// <summary>What instruction semantics in C# work on: state, memory, platform. One per vCPU.</summary>
internal sealed unsafe class CpuContext
{
    public required CpuState* State { get; init; }
    public required ICpuBus Bus { get; init; }

    public required Mmu Mmu { get; init; }

    /// <summary>The model CPUID describes.</summary>
    public CpuModel Model { get; init; } = CpuModel.Default;

    /// <summary>Optional listener for events a developer wants to see and the guest does not (unknown MSRs). Not called on hot paths.</summary>
    public Action<string>? Trace { get; set; }

    /// <summary>Whether memory and port accesses are compared with the debug registers; only while the engine steps.</summary>
    public bool Watching { get; set; }

    /// <summary>DR6 bits of the breakpoints that accesses hit while <see cref="Watching"/>.</summary>
    public ulong WatchHits { get; set; }

    /// <summary>Set by a handler that answers <see cref="InstructionOutcome.Fault"/>.</summary>
    public GuestFault Fault { get; set; }
}

/// <summary>How the C# execution of one instruction ended.</summary>
internal enum InstructionOutcome : byte
{
    /// <summary>Retired. The handler has set RIP (next instruction or branch target) and all results. The engine counts one tick.</summary>
    Retired,
    /// <summary>Nothing was committed (beyond what the architecture commits before the fault); <see cref="CpuContext.Fault"/> says what. Not counted.</summary>
    Fault,
    /// <summary>A REP string instruction did some iterations (counted by the handler itself) and is not finished: RIP stays on it.</summary>
    Partial,
    /// <summary>HLT retired; RIP is behind it.</summary>
    Halt,
    /// <summary>The instruction itself was an exception or interrupt delivery that is already done (INT n, INT3, INTO, ICEBP): retired, RIP is the handler's.</summary>
    Delivered,
}
