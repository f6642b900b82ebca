namespace FtAkka.Cpu;

/// <summary>
/// One deterministic x86-64 vCPU. State at icount N is a function of the initial state and of what the bus answered and which lines
/// changed before N; where <see cref="Run"/> was stopped and resumed in between leaves no trace. Not thread-safe: one thread at a time.
/// </summary>
public sealed partial class Vcpu : IDisposable
{
    /// <summary>Retired guest instructions since power-on. One tick per instruction, one per iteration of a REP string instruction; a faulting instruction is not counted.</summary>
    public ulong Icount => throw new NotImplementedException();

    /// <summary>External interrupt request (INTR). When asserted and RFLAGS.IF allows, the vector is fetched through <see cref="ICpuBus.AcknowledgeInterrupt"/>.</summary>
    public bool InterruptLine { get; set; }

    /// <summary>Runs until <paramref name="instructionBudget"/> instructions have retired, or an earlier exit.</summary>
    public VcpuExitReason Run(ulong instructionBudget) => throw new NotImplementedException();

    /// <summary>Makes a non-maskable interrupt pending.</summary>
    public void RaiseNmi() => throw new NotImplementedException();

    /// <summary>From inside a bus call: makes <see cref="Run"/> return after the current instruction.</summary>
    public void RequestStop() => throw new NotImplementedException();

    /// <inheritdoc/>
    public void Dispose() => throw new NotImplementedException();
}
