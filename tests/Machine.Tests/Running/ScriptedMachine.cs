using FtAkka.Cpu;
using FtAkka.Machine.Events;

namespace FtAkka.Machine.Tests.Running;

/// <summary>A machine with a scripted CPU, and shorthands for what programs do.</summary>
internal sealed class ScriptedMachine : IDisposable
{
    public const ulong LocalApic = 0xFEE0_0000, IoApic = 0xFEC0_0000, SleepControl = 0xFEA0_0200, ResetRegister = 0xFEA0_0202;
    public const byte TimerVector = 0xEC, UartVector = 0x24;

    public ScriptedMachine(Func<ulong, ICpuBus, ScriptedStep> program, MachineConfig? config = null)
    {
        ScriptedCpu? created = null;
        Machine = new GuestMachine(config ?? new MachineConfig { MemoryBytes = 4 << 20 }, (_, bus) => created = new ScriptedCpu(bus, program));
        Cpu = created!;
    }

    public GuestMachine Machine { get; }

    public ScriptedCpu Cpu { get; }

    public void Dispose() => Machine.Dispose();

    /// <summary>Enables the local APIC, the timer in the given mode and the UART's interrupt.</summary>
    public static void SetUp(ICpuBus bus, uint timerMode = 0)
    {
        bus.MmioWrite(LocalApic + 0xF0, 4, 0x1FF);
        bus.MmioWrite(LocalApic + 0x3E0, 4, 0xB);
        bus.MmioWrite(LocalApic + 0x320, 4, timerMode << 17 | TimerVector);
        bus.MmioWrite(IoApic, 4, 0x10 + 2 * 4);
        bus.MmioWrite(IoApic + 0x10, 4, UartVector);
        bus.PortWrite(0x3FC, 1, 0x08);
        bus.PortWrite(0x3F9, 1, 0x01);
    }

    public static void Print(ICpuBus bus, char character) => bus.PortWrite(0x3F8, 1, character);

    public static void ArmTimer(ICpuBus bus, uint count) => bus.MmioWrite(LocalApic + 0x380, 4, count);

    /// <summary>Effects as text, one per line, so that lists compare by content.</summary>
    public static IEnumerable<string> Describe(IEnumerable<MachineEffect> effects) => effects.Select(effect => effect switch
    {
        ConsoleOutput output => $"{output.Icount} {output.Console} {output.StreamOffset} {Convert.ToHexString(output.Bytes.AsSpan())}",
        _ => effect.ToString(),
    });
}
