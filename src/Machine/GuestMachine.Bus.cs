using FtAkka.Cpu;
using FtAkka.Machine.Bus;
using FtAkka.Machine.Interrupts;

namespace FtAkka.Machine;

/// <summary>The CPU's view of the platform.</summary>
public sealed partial class GuestMachine : ICpuBus
{
    private readonly PhysicalAddressRouter mmio = new();
    private readonly PortRouter ports = new();

    ulong ICpuBus.MmioRead(ulong physicalAddress, int size)
    {
        var value = IsLocalApic(physicalAddress)
            ? localApic.MmioRead(physicalAddress & 0xFFF, size) & AccessMask.Of(size)
            : mmio.Read(physicalAddress, size);
        UpdateInterruptLines();
        return value;
    }

    void ICpuBus.MmioWrite(ulong physicalAddress, int size, ulong value)
    {
        if (IsLocalApic(physicalAddress))
            localApic.MmioWrite(physicalAddress & 0xFFF, size, value & AccessMask.Of(size));
        else
            mmio.Write(physicalAddress, size, value);
        UpdateInterruptLines();
    }

    uint ICpuBus.PortRead(ushort port, int size)
    {
        var value = ports.Read(port, size);
        UpdateInterruptLines();
        return value;
    }

    void ICpuBus.PortWrite(ushort port, int size, uint value)
    {
        ports.Write(port, size, value);
        UpdateInterruptLines();
    }

    byte ICpuBus.AcknowledgeInterrupt()
    {
        var vector = localApic.Acknowledge();
        UpdateInterruptLines();
        return vector;
    }

    ulong ICpuBus.ReadTimestampCounter() => Tsc;

    bool ICpuBus.TryReadMsr(uint msr, out ulong value)
    {
        var known = localApic.TryReadMsr(msr, out value);
        if (msr == LocalApic.TscDeadlineMsr && value != 0)
            value += cpu.TscAdjust;
        return known;
    }

    bool ICpuBus.TryWriteMsr(uint msr, ulong value)
    {
        // The guest's deadline is in its adjusted TSC, the platform's timers are not. What is in the past stays armed, and so due.
        if (msr == LocalApic.TscDeadlineMsr && value != 0)
            value = value > cpu.TscAdjust || cpu.TscAdjust > long.MaxValue ? Math.Max(1, unchecked(value - cpu.TscAdjust)) : 1;
        var known = localApic.TryWriteMsr(msr, value);
        UpdateInterruptLines();
        return known;
    }

    ulong ICpuBus.ReadCr8() => localApic.Cr8;

    void ICpuBus.WriteCr8(ulong taskPriority)
    {
        localApic.Cr8 = taskPriority;
        UpdateInterruptLines();
    }

    private bool IsLocalApic(ulong physicalAddress) => (physicalAddress & ~0xFFFUL) == localApic.MmioPage;
}
