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
    private readonly ExecutionEngine _allocated;
    private bool _disposed;

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
        ArgumentOutOfRangeException.ThrowIfNotEqual(options.Semantics, Math.Clamp(options.Semantics, 0, CpuSemantics.Current));
        Model = model;
        _allocated = new ExecutionEngine(memory, model, bus, options);
    }

    /// <summary>The CPU model.</summary>
    public CpuModel Model { get; }

    /// <summary>Retired guest instructions since power-on. One tick per instruction, one per iteration of a REP string instruction; a faulting instruction is not counted.</summary>
    public ulong Icount => Engine.State->Icount;

    /// <summary>External interrupt request (INTR). When asserted and RFLAGS.IF allows, the vector is fetched through <see cref="ICpuBus.AcknowledgeInterrupt"/>.</summary>
    public bool InterruptLine
    {
        get => Engine.State->InterruptLine != 0;
        set => Engine.State->InterruptLine = value ? (byte)1 : (byte)0;
    }

    /// <summary>Halted by HLT: only an interrupt or NMI makes it go on.</summary>
    public bool Halted => Engine.State->Halted != 0;

    /// <summary>Instruction pointer of the next instruction.</summary>
    public ulong Rip => Engine.State->Rip;

    /// <summary>IA32_TSC_ADJUST: what the guest added to its TSC.</summary>
    public ulong TscAdjust => Engine.State->TscAdjust;

    /// <summary>Counters for people and benchmarks.</summary>
    public VcpuStatistics Statistics => Engine.Statistics;

    /// <summary>Receives lines about unusual guest behaviour (unknown MSRs, shutdown causes). Null: nobody listens.</summary>
    public Action<string>? Trace
    {
        get => Engine.Context.Trace;
        set => Engine.Context.Trace = value;
    }

    internal CpuState* State => Engine.State;

    internal Mmu Mmu => Engine.Mmu;

    /// <summary>The engine; its native memory is gone after <see cref="Dispose"/>, so nothing may reach it then.</summary>
    internal ExecutionEngine Engine
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _allocated;
        }
    }

    /// <summary>Resets the CPU, but for its icount, and enters the guest in 64-bit mode with paging on, as the 64-bit Linux boot protocol asks.</summary>
    public void EnterLongMode(in LongModeEntry entry)
    {
        CpuReset.ForLongMode(Engine.State, entry);
        Engine.Mmu.FlushAll();
    }

    /// <summary>After <see cref="VcpuExitReason.Shutdown"/>, of a machine that goes on: the instruction at which the CPU shut down counts as retired.</summary>
    public void CountShutdown() => Engine.State->Icount++;

    /// <summary>Runs until <paramref name="instructionBudget"/> instructions (at most 2^62) have retired, or an earlier exit.</summary>
    public VcpuExitReason Run(ulong instructionBudget)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(instructionBudget, 1UL << 62);
        return Engine.Run(instructionBudget);
    }

    /// <summary>Makes a non-maskable interrupt pending.</summary>
    public void RaiseNmi() => Engine.State->NmiPending = 1;

    /// <summary>From inside a bus call: makes <see cref="Run"/> return after the current instruction.</summary>
    public void RequestStop() => Engine.StopRequested = true;

    /// <summary>Drops all translated code and cached translations. Invisible to the guest: for tests of exactly that, and to free memory.</summary>
    public void DropCaches()
    {
        Engine.Flush();
        Engine.Mmu.FlushAll();
    }

    /// <summary>Frees all native memory. Every other member throws <see cref="ObjectDisposedException"/> afterwards.</summary>
    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            _allocated.Dispose();
        }
    }
}
