using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Engine;
using FtAkka.Cpu.Memory;
using FtAkka.Cpu.State;

namespace FtAkka.Cpu;

/// <summary>
/// One deterministic x86-64 vCPU. State at icount N is a function of the initial state and of what the bus answered and which lines
/// changed before N; where <see cref="Run"/> was stopped and resumed in between leaves no trace. Not thread-safe: one thread at a time.
/// </summary>
public sealed unsafe partial class Vcpu : IDisposable
{
    private readonly ExecutionEngine _engine;

    /// <summary>Creates a vCPU in its power-on state (see <see cref="EnterLongMode"/>).</summary>
    /// <param name="memory">Guest RAM; belongs to one vCPU at a time and must outlive it.</param>
    /// <param name="model">What CPUID reports and which instructions exist.</param>
    /// <param name="bus">The platform.</param>
    /// <param name="options">Limits; null for the defaults.</param>
    /// <exception cref="InvalidOperationException">The host refuses executable memory below 2 GiB, or RAM already belongs to a vCPU.</exception>
    public Vcpu(GuestMemory memory, CpuModel model, ICpuBus bus, VcpuOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(bus);
        options ??= new VcpuOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(options.CodeCacheBytes, 1 << 20);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.CodeCacheBytes, 512 << 20);
        ArgumentOutOfRangeException.ThrowIfNotEqual(options.MaxBlockInstructions, Math.Clamp(options.MaxBlockInstructions, 1, 64));
        Model = model;
        _engine = new ExecutionEngine(memory, model, bus, options);
    }

    /// <summary>The CPU model.</summary>
    public CpuModel Model { get; }

    /// <summary>Retired guest instructions since power-on. One tick per instruction, one per iteration of a REP string instruction; a faulting instruction is not counted.</summary>
    public ulong Icount => _engine.State->Icount;

    /// <summary>External interrupt request (INTR). When asserted and RFLAGS.IF allows, the vector is fetched through <see cref="ICpuBus.AcknowledgeInterrupt"/>.</summary>
    public bool InterruptLine
    {
        get => _engine.State->InterruptLine != 0;
        set => _engine.State->InterruptLine = value ? (byte)1 : (byte)0;
    }

    /// <summary>Halted by HLT: only an interrupt or NMI makes it go on.</summary>
    public bool Halted => _engine.State->Halted != 0;

    /// <summary>Instruction pointer of the next instruction.</summary>
    public ulong Rip => _engine.State->Rip;

    /// <summary>IA32_TSC_ADJUST: what the guest added to its TSC.</summary>
    public ulong TscAdjust => _engine.State->TscAdjust;

    /// <summary>Counters for people and benchmarks.</summary>
    public VcpuStatistics Statistics => _engine.Statistics;

    /// <summary>Receives lines about unusual guest behaviour (unknown MSRs, shutdown causes). Null: nobody listens.</summary>
    public Action<string>? Trace
    {
        get => _engine.Context.Trace;
        set => _engine.Context.Trace = value;
    }

    internal CpuState* State => _engine.State;

    internal Mmu Mmu => _engine.Mmu;

    internal ExecutionEngine Engine => _engine;

    /// <summary>Resets the CPU and enters the guest in 64-bit mode with paging on, as the 64-bit Linux boot protocol asks.</summary>
    public void EnterLongMode(in LongModeEntry entry)
    {
        CpuReset.ForLongMode(_engine.State, entry);
        _engine.Mmu.FlushAll();
    }

    /// <summary>Runs until <paramref name="instructionBudget"/> instructions (at most 2^62) have retired, or an earlier exit.</summary>
    public VcpuExitReason Run(ulong instructionBudget)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(instructionBudget, 1UL << 62);
        return _engine.Run(instructionBudget);
    }

    /// <summary>Makes a non-maskable interrupt pending.</summary>
    public void RaiseNmi() => _engine.State->NmiPending = 1;

    /// <summary>From inside a bus call: makes <see cref="Run"/> return after the current instruction.</summary>
    public void RequestStop() => _engine.StopRequested = true;

    /// <summary>Drops all translated code and cached translations. Invisible to the guest: for tests of exactly that, and to free memory.</summary>
    public void DropCaches()
    {
        _engine.Flush();
        _engine.Mmu.FlushAll();
    }

    /// <inheritdoc/>
    public void Dispose() => _engine.Dispose();
}
