namespace FtAkka.Cpu;

/// <summary>Why <see cref="Vcpu.Run"/> returned.</summary>
public enum VcpuExitReason
{
    /// <summary>Exactly the asked number of instructions has retired.</summary>
    BudgetSpent,
    /// <summary>HLT with nothing pending: the CPU waits for an interrupt. The HLT itself has retired.</summary>
    Halted,
    /// <summary>Triple fault.</summary>
    Shutdown,
    /// <summary>A debug stop asked for by the host (breakpoint or watchpoint set through the debug surface), not by the guest.</summary>
    Debug,
    /// <summary>The platform asked for a stop from inside a bus call (<see cref="Vcpu.RequestStop"/>), after the instruction that made the call.</summary>
    StopRequested,
}
