namespace FtAkka.Cpu;

/// <summary>
/// What the vCPU asks of the platform around it. All calls come synchronously from inside <see cref="Vcpu.Run"/>, at an exact
/// icount (<see cref="Vcpu.Icount"/> is valid during the call), and must be deterministic functions of platform state and arguments.
/// An implementation may raise or lower <see cref="Vcpu.InterruptLine"/> from inside a call: it is looked at before the next instruction.
/// </summary>
public interface ICpuBus
{
    /// <summary>Read of <paramref name="size"/> (1, 2, 4 or 8) bytes at a guest physical address that is not RAM. Never crosses a page.</summary>
    ulong MmioRead(ulong physicalAddress, int size);

    /// <summary>Write of the low <paramref name="size"/> (1, 2, 4 or 8) bytes of <paramref name="value"/> to a guest physical address that is not RAM.</summary>
    void MmioWrite(ulong physicalAddress, int size, ulong value);

    /// <summary>IN of 1, 2 or 4 bytes. A port nobody owns reads all-ones.</summary>
    uint PortRead(ushort port, int size);

    /// <summary>OUT of 1, 2 or 4 bytes.</summary>
    void PortWrite(ushort port, int size, uint value);

    /// <summary>Interrupt acknowledge: the vector of the highest-priority pending interrupt, which the interrupt controller now regards as in service.</summary>
    byte AcknowledgeInterrupt();

    /// <summary>Guest TSC at this icount, without IA32_TSC_ADJUST.</summary>
    ulong ReadTimestampCounter();

    /// <summary>RDMSR of an MSR the CPU itself does not own (APIC base, x2APIC 0x800-0x8FF, TSC deadline, ...). False: #GP(0).</summary>
    bool TryReadMsr(uint msr, out ulong value);

    /// <summary>WRMSR of an MSR the CPU itself does not own. False: #GP(0).</summary>
    bool TryWriteMsr(uint msr, ulong value);

    /// <summary>Task priority as CR8 shows it (0 to 15).</summary>
    ulong ReadCr8();

    /// <summary>MOV to CR8; the value is already checked to be 0 to 15.</summary>
    void WriteCr8(ulong taskPriority);
}
