using System.Collections.Immutable;
using FtAkka.Cpu;
using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Memory;
using FtAkka.Machine.Devices;
using FtAkka.Machine.Events;
using FtAkka.Machine.Interrupts;
using FtAkka.Machine.Time;

namespace FtAkka.Machine;

/// <summary>
/// The whole guest computer: a deterministic state machine without clock, threads or I/O. Its state at icount N is a function of
/// configuration, kernel and the input events delivered before N; how the run is cut into calls of <see cref="Run"/> leaves no trace.
/// </summary>
/// <remarks>
/// Whoever drives it live calls <see cref="Inject"/> and writes the answer to the log; whoever replays runs to the icount of each entry and
/// injects its event there. Clock advances: see <see cref="VirtualClock"/>. At any icount timers that are due go first, then input events in
/// the order of the log. Not thread-safe.
/// </remarks>
public sealed partial class GuestMachine : IDisposable
{
    /// <summary>The most a CPU takes in one call; a run beyond it just takes several.</summary>
    private const ulong SliceInstructionsMax = 1UL << 62;

    private readonly MachineConfig config;
    private readonly VirtualClock clock;
    private readonly LocalApic localApic;
    private readonly IoApic ioApic;
    private readonly Uart16550 uart;
    private readonly CmosRtc rtc;
    private readonly EffectLog effects;
    private readonly IMachineCpu cpu;
    private readonly ulong[] consoleOutputBytes = new ulong[Enum.GetValues<ConsoleKind>().Length];
    private MachineExitReason? ended;

    /// <summary>Builds the machine in the state of power-on, without a kernel.</summary>
    /// <exception cref="ArgumentException">The configuration has an error (<see cref="MachineConfig.FindError"/>).</exception>
    /// <exception cref="InvalidOperationException">The host refuses the memory mappings.</exception>
    public GuestMachine(MachineConfig config, VcpuOptions? cpuOptions = null)
        : this(config, (memory, bus) => new MachineCpu(memory, ModelOf(config), bus, cpuOptions))
    {
    }

    private static CpuModel ModelOf(MachineConfig config) =>
        config.FindCpuModel() ?? throw new ArgumentException(config.FindError(), nameof(config));

    /// <summary>The CPU, for debuggers and statistics; null when a test scripts another one.</summary>
    public Vcpu? Vcpu => (cpu as MachineCpu)?.Vcpu;

    /// <summary>Builds the machine around a CPU that <paramref name="createCpu"/> makes, in the state of power-on, without a kernel.</summary>
    /// <exception cref="ArgumentException">The configuration has an error (<see cref="MachineConfig.FindError"/>).</exception>
    internal GuestMachine(MachineConfig config, Func<GuestMemory, ICpuBus, IMachineCpu> createCpu)
    {
        if (config.FindError() is { } error)
            throw new ArgumentException(error, nameof(config));
        this.config = config;
        Memory = new GuestMemory(config.MemoryBytes);
        clock = new VirtualClock(config.ClockNumerator, config.ClockDenominator);
        localApic = new LocalApic(
            new LocalApicOptions { TscTicksPerTimerTick = config.TscTicksPerTimerTick, X2ApicSupported = config.ShowsX2Apic }, () => Tsc);
        ioApic = new IoApic(message => localApic.Accept(message));
        localApic.EndOfInterruptBroadcast = ioApic.EndOfInterrupt;
        effects = new EffectLog(config.Limits, () => cpu!.RequestStop());
        uart = new Uart16550(ioApic.Line(MemoryMap.UartGsi), value => SendConsole(ConsoleKind.Serial, [value]), config.Limits.ConsoleInputBytesMax);
        rtc = new CmosRtc(config.BootUnixSeconds, config.TscHz, () => Tsc);
        mmio.Add(MemoryMap.IoApicBase, MemoryMap.IoApicSizeBytes, ioApic);
        mmio.Add(MemoryMap.PowerBase, MemoryMap.PowerSizeBytes, new PowerController(OnPowerRequest));
        ports.Add(MemoryMap.UartPort, 8, uart);
        ports.Add(MemoryMap.RtcPort, 2, rtc);
        PlugDevices();
        cpu = createCpu(Memory, this);
        // A timer armed for an earlier moment than the present slice ends at: the slice is cut short and measured anew.
        localApic.TimerChanged = cpu.RequestStop;
    }

    /// <summary>Guest RAM.</summary>
    public GuestMemory Memory { get; }

    /// <summary>Instructions retired since power-on.</summary>
    public ulong Icount => cpu.Icount;

    /// <summary>The guest's TSC now, without IA32_TSC_ADJUST.</summary>
    public ulong Tsc => clock.TscAt(cpu.Icount);

    /// <summary>How many bytes of input the serial console would take now.</summary>
    public int ConsoleInputRoomBytes => uart.InputRoomBytes;

    /// <summary>Runs until <paramref name="maxInstructions"/> instructions have retired, or an earlier exit.</summary>
    public MachineExit Run(ulong maxInstructions)
    {
        var start = cpu.Icount;
        var end = start > ulong.MaxValue - maxInstructions ? ulong.MaxValue : start + maxInstructions;
        while (true)
        {
            TakeDueTimer();
            var reason = ended
                ?? (cpu.Icount >= end ? MachineExitReason.BudgetSpent
                : effects.IsFull && cpu.Icount > start ? MachineExitReason.EffectsPending
                : RunSlice(end));
            if (reason is { } final)
                return new MachineExit(final, cpu.Icount, localApic.NextTimerTsc, effects.Take());
        }
    }

    /// <summary>Runs the CPU up to the next moment at which the platform itself has something to do. Null: go on.</summary>
    private MachineExitReason? RunSlice(ulong end)
    {
        var sliceEnd = end;
        if (localApic.NextTimerTsc is { } timerTsc)
            sliceEnd = Math.Min(sliceEnd, clock.IcountAt(timerTsc));
        var lineBefore = cpu.InterruptLine;
        var exit = cpu.Run(Math.Min(sliceEnd - cpu.Icount, SliceInstructionsMax));
        if (asked is { } request)
        {
            asked = null;
            Conclude(request);
            return exit == VcpuExitReason.Debug ? MachineExitReason.Debug : null;
        }
        switch (exit)
        {
            case VcpuExitReason.Halted:
                // A timer that is due at this very icount, or the interrupt it raises, ends the wait.
                var nmi = TakeDueTimer();
                if (nmi || (cpu.InterruptLine && !lineBefore) || ended is not null)
                    return null;
                return MachineExitReason.Idle;
            case VcpuExitReason.Shutdown:
                OnTripleFault();
                return null;
            case VcpuExitReason.Debug:
                return MachineExitReason.Debug;
            case VcpuExitReason.BudgetSpent:
            case VcpuExitReason.StopRequested:
            default:
                return null;
        }
    }

    /// <summary>Lets the timer expire if it is due at this icount. Returns whether that raised an NMI.</summary>
    private bool TakeDueTimer()
    {
        localApic.AdvanceTimer();
        return UpdateInterruptLines();
    }

    /// <summary>Shows the CPU what the local APIC has for it. Returns whether there was an NMI.</summary>
    private bool UpdateInterruptLines()
    {
        cpu.InterruptLine = localApic.InterruptPending;
        if (!localApic.TakeNmi())
            return false;
        cpu.RaiseNmi();
        return true;
    }

    private void SendConsole(ConsoleKind console, ImmutableArray<byte> bytes)
    {
        effects.Add(new ConsoleOutput(cpu.Icount, console, consoleOutputBytes[(int)console], bytes));
        consoleOutputBytes[(int)console] += (uint)bytes.Length;
    }

    private void End(MachineExitReason reason)
    {
        ended = reason;
        effects.Add(reason == MachineExitReason.PowerOff ? new PoweredOff(cpu.Icount) : new ResetRequested(cpu.Icount));
        cpu.RequestStop();
    }

    /// <summary>Frees guest memory and translated code.</summary>
    public void Dispose()
    {
        digestLog?.Dispose();
        cpu.Dispose();
        Memory.Dispose();
    }
}
