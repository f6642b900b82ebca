using FtAkka.Machine.Bus;
using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine.Devices;

/// <summary>
/// A 16550A UART (National Semiconductor PC16550D datasheet, section 8) on an infinitely fast line: a written byte has left at once, so
/// the transmitter is always empty; received bytes wait in a bounded queue behind the 16-byte FIFO, so the guest never sees an overrun
/// from outside, and the character time-out is indicated as soon as fewer bytes than the trigger level are there.
/// </summary>
public sealed class Uart16550 : IPortDevice, ISnapshotable
{
    /// <summary>Depth of the receive FIFO.</summary>
    public const int FifoDepth = 16;

    private const ushort DataPort = 0, InterruptEnablePort = 1, InterruptIdPort = 2, LineControlPort = 3, ModemControlPort = 4,
        LineStatusPort = 5, ModemStatusPort = 6, ScratchPort = 7;

    private const byte EnableReceive = 1, EnableTransmit = 2, EnableLineStatus = 4, EnableModemStatus = 8;
    private const byte IdNone = 0x01, IdModemStatus = 0x00, IdTransmit = 0x02, IdReceive = 0x04, IdLineStatus = 0x06, IdTimeout = 0x0C;
    private const byte FifoEnable = 1, FifoClearReceive = 2;
    private const byte DivisorLatchAccess = 0x80;
    private const byte ModemRts = 0x02, ModemOut2 = 0x08, ModemLoopback = 0x10;
    private const byte LineDataReady = 0x01, LineOverrun = 0x02, LineTransmitterEmpty = 0x60;
    /// <summary>CTS, DSR and DCD asserted: somebody is always there.</summary>
    private const byte ModemConnected = 0xB0;

    private readonly IInterruptLine interrupt;
    private readonly Action<byte> transmit;
    private readonly ByteQueue fifo = new(FifoDepth);
    private readonly ByteQueue waiting;

    private byte interruptEnable;
    private byte fifoControl;
    private byte lineControl;
    private byte modemControl;
    private byte modemStatusDelta;
    private byte scratch;
    private ushort divisor = 12;
    private bool overrun;
    private bool transmitInterruptPending;

    /// <param name="interrupt">Interrupt wire; high while an enabled interrupt is pending and OUT2 is set, as on a PC.</param>
    /// <param name="transmit">Takes each byte the guest sends.</param>
    /// <param name="inputQueueBytesMax">Bytes that may wait for room in the FIFO.</param>
    public Uart16550(IInterruptLine interrupt, Action<byte> transmit, int inputQueueBytesMax)
    {
        this.interrupt = interrupt;
        this.transmit = transmit;
        waiting = new ByteQueue(inputQueueBytesMax);
    }

    /// <summary>How many bytes <see cref="Receive"/> would take now.</summary>
    public int InputRoomBytes => waiting.Room;

    private bool FifoEnabled => (fifoControl & FifoEnable) != 0;

    private bool Loopback => (modemControl & ModemLoopback) != 0;

    private int ReceiveCapacity => FifoEnabled ? FifoDepth : 1;

    private int ReceiveTrigger => !FifoEnabled ? 1 : (fifoControl >> 6) switch { 0 => 1, 1 => 4, 2 => 8, _ => 14 };

    /// <summary>Bytes from the line. What does not fit the queue is dropped.</summary>
    /// <returns>How many bytes were taken.</returns>
    public int Receive(ReadOnlySpan<byte> bytes)
    {
        var taken = Math.Min(bytes.Length, waiting.Room);
        foreach (var value in bytes[..taken])
            waiting.TryAdd(value);
        FillFifo();
        UpdateInterrupt();
        return taken;
    }

    /// <summary>State after power-up (PC16550D, 8.1). Bytes that wait in front of the FIFO are still on the line, and stay.</summary>
    public void Reset()
    {
        interruptEnable = fifoControl = lineControl = modemControl = modemStatusDelta = scratch = 0;
        divisor = 12;
        overrun = transmitInterruptPending = false;
        fifo.Clear();
        FillFifo();
        UpdateInterrupt();
    }

    /// <inheritdoc/>
    public byte PortRead(ushort offset)
    {
        var latch = (lineControl & DivisorLatchAccess) != 0;
        switch (offset)
        {
            case DataPort when latch:
                return (byte)divisor;
            case DataPort:
                fifo.TryTake(out var value);
                FillFifo();
                UpdateInterrupt();
                return value;
            case InterruptEnablePort:
                return latch ? (byte)(divisor >> 8) : interruptEnable;
            case InterruptIdPort:
                return ReadInterruptId();
            case LineControlPort:
                return lineControl;
            case ModemControlPort:
                return modemControl;
            case LineStatusPort:
                return ReadLineStatus();
            case ModemStatusPort:
                return ReadModemStatus();
            default:
                return scratch;
        }
    }

    /// <inheritdoc/>
    public void PortWrite(ushort offset, byte value)
    {
        var latch = (lineControl & DivisorLatchAccess) != 0;
        switch (offset)
        {
            case DataPort when latch:
                divisor = (ushort)(divisor & 0xFF00 | value);
                break;
            case DataPort:
                Transmit(value);
                break;
            case InterruptEnablePort when latch:
                divisor = (ushort)(divisor & 0xFF | value << 8);
                break;
            case InterruptEnablePort:
                // Enabling the transmitter interrupt while the transmitter is empty raises it (PC16550D, 8.6, table II note).
                if ((value & ~interruptEnable & EnableTransmit) != 0)
                    transmitInterruptPending = true;
                interruptEnable = (byte)(value & 0x0F);
                break;
            case InterruptIdPort:
                WriteFifoControl(value);
                break;
            case LineControlPort:
                lineControl = value;
                break;
            case ModemControlPort:
                WriteModemControl(value);
                break;
            case ScratchPort:
                scratch = value;
                break;
            default:
                // Line and modem status are read-only outside factory tests.
                break;
        }
        UpdateInterrupt();
    }

    private void Transmit(byte value)
    {
        // The interrupt goes away with the write and comes back when the byte has left: the edge the IOAPIC waits for.
        transmitInterruptPending = false;
        UpdateInterrupt();
        if (!Loopback)
            transmit(value);
        else if (fifo.Count >= ReceiveCapacity)
            overrun = true;
        else
            fifo.TryAdd(value);
        transmitInterruptPending = true;
    }

    private void FillFifo()
    {
        while (!Loopback && fifo.Count < ReceiveCapacity && waiting.TryTake(out var value))
            fifo.TryAdd(value);
    }

    /// <summary>The pending interrupt of the highest priority (PC16550D, table II).</summary>
    private byte PendingInterrupt()
    {
        if ((interruptEnable & EnableLineStatus) != 0 && overrun)
            return IdLineStatus;
        if ((interruptEnable & EnableReceive) != 0 && fifo.Count > 0)
            return fifo.Count >= ReceiveTrigger ? IdReceive : IdTimeout;
        if ((interruptEnable & EnableTransmit) != 0 && transmitInterruptPending)
            return IdTransmit;
        return (interruptEnable & EnableModemStatus) != 0 && modemStatusDelta != 0 ? IdModemStatus : IdNone;
    }

    private byte ReadInterruptId()
    {
        var pending = PendingInterrupt();
        // Reading the register takes the transmitter interrupt if it is the one reported (PC16550D, table II).
        if (pending == IdTransmit)
        {
            transmitInterruptPending = false;
            UpdateInterrupt();
        }
        return (byte)(pending | (FifoEnabled ? 0xC0 : 0));
    }

    private byte ReadLineStatus()
    {
        var status = (byte)(LineTransmitterEmpty | (fifo.Count > 0 ? LineDataReady : 0) | (overrun ? LineOverrun : 0));
        overrun = false;
        UpdateInterrupt();
        return status;
    }

    private byte ReadModemStatus()
    {
        var status = (byte)(ModemLines(modemControl) | modemStatusDelta);
        modemStatusDelta = 0;
        UpdateInterrupt();
        return status;
    }

    private void WriteFifoControl(byte value)
    {
        // Turning the FIFOs on or off clears them; the other bits count only together with the enable bit (PC16550D, 8.4).
        var turned = ((value ^ fifoControl) & FifoEnable) != 0;
        if (turned || (value & (FifoEnable | FifoClearReceive)) == (FifoEnable | FifoClearReceive))
            fifo.Clear();
        fifoControl = (value & FifoEnable) != 0 ? (byte)(value & 0xC1) : (byte)0;
        FillFifo();
    }

    private void WriteModemControl(byte value)
    {
        var before = ModemLines(modemControl);
        modemControl = (byte)(value & 0x1F);
        var after = ModemLines(modemControl);
        // RI reports its trailing edge only, the other lines any change (PC16550D, 8.8).
        var changed = (before ^ after) >> 4;
        modemStatusDelta |= (byte)(changed & 0x0B | before >> 4 & ~(after >> 4) & 0x04);
        FillFifo();
    }

    /// <summary>Modem status bits 7 to 4: in loopback the four outputs feed the four inputs (PC16550D, 8.7).</summary>
    private static byte ModemLines(byte control) => (control & ModemLoopback) == 0
        ? ModemConnected
        : (byte)((control & ModemRts) << 3 | (control & 0x01) << 5 | (control & 0x0C) << 4);

    private void UpdateInterrupt() =>
        interrupt.Drive((modemControl & (ModemOut2 | ModemLoopback)) == ModemOut2 && PendingInterrupt() != IdNone);

    /// <inheritdoc/>
    public void Snapshot(StateWriter writer)
    {
        var section = writer.BeginSection("UART", 1);
        writer.WriteFixed([interruptEnable, fifoControl, lineControl, modemControl, modemStatusDelta, scratch]);
        writer.WriteUInt16(divisor);
        writer.WriteBoolean(overrun);
        writer.WriteBoolean(transmitInterruptPending);
        fifo.Snapshot(writer);
        waiting.Snapshot(writer);
        writer.EndSection(section);
    }

    /// <inheritdoc/>
    public SnapshotError Restore(StateReader reader)
    {
        reader.BeginSection("UART", 1);
        interruptEnable = reader.ReadByte();
        fifoControl = reader.ReadByte();
        lineControl = reader.ReadByte();
        modemControl = reader.ReadByte();
        modemStatusDelta = reader.ReadByte();
        scratch = reader.ReadByte();
        divisor = reader.ReadUInt16();
        overrun = reader.ReadBoolean();
        transmitInterruptPending = reader.ReadBoolean();
        fifo.Restore(reader);
        waiting.Restore(reader);
        reader.Require(interruptEnable <= 0x0F && modemControl <= 0x1F && modemStatusDelta <= 0x0F && fifo.Count <= ReceiveCapacity);
        return reader.EndSection();
    }
}
