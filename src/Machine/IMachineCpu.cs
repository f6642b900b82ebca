using FtAkka.Cpu;
using FtAkka.Machine.Boot;
using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine;

/// <summary>What the machine needs of its CPU. The product has one implementation; tests script another.</summary>
internal interface IMachineCpu : ISnapshotable, IDisposable
{
    /// <inheritdoc cref="Vcpu.Icount"/>
    ulong Icount { get; }

    /// <inheritdoc cref="Vcpu.InterruptLine"/>
    bool InterruptLine { get; set; }

    /// <summary>IA32_TSC_ADJUST: what the guest added to its TSC.</summary>
    ulong TscAdjust { get; }

    /// <inheritdoc cref="Vcpu.Run"/>
    VcpuExitReason Run(ulong instructionBudget);

    /// <inheritdoc cref="Vcpu.RaiseNmi"/>
    void RaiseNmi();

    /// <inheritdoc cref="Vcpu.RequestStop"/>
    void RequestStop();

    /// <summary>The CPU is in shutdown, and the machine goes on: the instruction at which that happened counts as retired.</summary>
    void CountShutdown();

    /// <summary>Resets the CPU, but for its icount, and sets the state in which the kernel is entered.</summary>
    void EnterKernel(in BootEntry entry);
}
