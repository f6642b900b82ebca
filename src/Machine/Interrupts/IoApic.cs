using FtAkka.Machine.Bus;
using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine.Interrupts;

/// <summary>
/// The I/O APIC: 24 pins, each with a redirection entry (Intel 82093AA datasheet, section 3; version 20H adds the EOI register).
/// Pins without a device are never active, whatever their polarity.
/// </summary>
public sealed class IoApic : IMmioDevice, ISnapshotable
{
    /// <summary>Number of pins.</summary>
    public const int PinCount = 24;

    private const uint VersionValue = 0x20 | (PinCount - 1) << 16;
    private const ulong MaskedBit = 1 << 16;
    private const ulong LevelBit = 1 << 15;
    private const ulong RemoteIrrBit = 1 << 14;
    private const ulong ActiveLowBit = 1 << 13;
    private const ulong LogicalBit = 1 << 11;
    private const ulong ReadOnlyBits = RemoteIrrBit | 1 << 12;
    private const ulong WritableBits = 0xFF00_0000_0001_FFFF & ~ReadOnlyBits;

    private const uint SelectOffset = 0x00, WindowOffset = 0x10, EoiOffset = 0x40;
    private const byte IdRegister = 0, VersionRegister = 1, ArbitrationRegister = 2, FirstRedirectionRegister = 0x10;

    private readonly Func<InterruptMessage, bool> send;
    private readonly ulong[] entries = new ulong[PinCount];
    private uint connectedPins;
    private uint highPins;
    private byte selected;
    private uint id;

    /// <param name="send">Takes a message to the local APIC; answers whether it was accepted.</param>
    public IoApic(Func<InterruptMessage, bool> send)
    {
        this.send = send;
        Array.Fill(entries, MaskedBit);
    }

    /// <summary>State after power-up (82093AA, 3.2): every pin masked. The wires are as their devices drive them.</summary>
    public void Reset()
    {
        Array.Fill(entries, MaskedBit);
        (selected, id) = (0, 0);
    }

    /// <summary>The wire of a pin. Asking for it connects the pin.</summary>
    public IInterruptLine Line(int pin)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)pin, (uint)PinCount, nameof(pin));
        connectedPins |= 1u << pin;
        return new PinLine(this, pin);
    }

    /// <summary>The local APIC saw the EOI of a level-triggered interrupt: its pins may request again (82093AA, 3.2.4, remote IRR).</summary>
    public void EndOfInterrupt(byte vector)
    {
        for (var pin = 0; pin < PinCount; pin++)
        {
            if ((byte)entries[pin] == vector && (entries[pin] & LevelBit) != 0 && (entries[pin] & RemoteIrrBit) != 0)
            {
                entries[pin] &= ~RemoteIrrBit;
                ServeLevel(pin);
            }
        }
    }

    /// <inheritdoc/>
    public ulong MmioRead(ulong offset, int size) => size != 4 ? AccessMask.Of(size) : offset switch
    {
        SelectOffset => selected,
        WindowOffset => ReadRegister(),
        _ => 0,
    };

    /// <inheritdoc/>
    public void MmioWrite(ulong offset, int size, ulong value)
    {
        switch (offset)
        {
            case SelectOffset:
                selected = (byte)value;
                break;
            case WindowOffset when size == 4:
                WriteRegister((uint)value);
                break;
            case EoiOffset when size == 4:
                EndOfInterrupt((byte)value);
                break;
            default:
                break;
        }
    }

    private uint ReadRegister()
    {
        switch (selected)
        {
            case IdRegister or ArbitrationRegister:
                return id;
            case VersionRegister:
                return VersionValue;
            default:
                var pin = (selected - FirstRedirectionRegister) >> 1;
                if (selected < FirstRedirectionRegister || pin >= PinCount)
                    return 0;
                return (uint)(entries[pin] >> ((selected & 1) * 32));
        }
    }

    private void WriteRegister(uint value)
    {
        if (selected == IdRegister)
        {
            id = value & 0x0F00_0000;
            return;
        }
        var pin = (selected - FirstRedirectionRegister) >> 1;
        if (selected < FirstRedirectionRegister || pin >= PinCount)
            return;
        var entry = entries[pin];
        entry = (selected & 1) == 0
            ? entry & 0xFFFF_FFFF_0000_0000 | value
            : entry & 0xFFFF_FFFF | (ulong)value << 32;
        entry = entry & WritableBits | entries[pin] & ReadOnlyBits;
        // Remote IRR belongs to level mode; drivers clear it by switching to edge and back.
        if ((entry & LevelBit) == 0)
            entry &= ~RemoteIrrBit;
        entries[pin] = entry;
        ServeLevel(pin);
    }

    private bool IsActive(int pin)
    {
        var high = (highPins >> pin & 1) != 0;
        return (connectedPins >> pin & 1) != 0 && high != ((entries[pin] & ActiveLowBit) != 0);
    }

    private void Drive(int pin, bool high)
    {
        var wasActive = IsActive(pin);
        highPins = high ? highPins | 1u << pin : highPins & ~(1u << pin);
        if ((entries[pin] & LevelBit) != 0)
            ServeLevel(pin);
        else if (!wasActive && IsActive(pin) && (entries[pin] & MaskedBit) == 0)
            // An edge on a masked pin is lost (82093AA, 3.2.4, interrupt mask).
            send(MessageOf(entries[pin], levelTriggered: false));
    }

    private void ServeLevel(int pin)
    {
        const ulong blocking = MaskedBit | RemoteIrrBit;
        var entry = entries[pin];
        if ((entry & LevelBit) == 0 || (entry & blocking) != 0 || !IsActive(pin))
            return;
        // Only fixed and lowest-priority interrupts have an EOI that could end the remote IRR.
        var message = MessageOf(entry, levelTriggered: true);
        if (message.Mode is DeliveryMode.Fixed or DeliveryMode.LowestPriority && send(message))
            entries[pin] |= RemoteIrrBit;
    }

    private static InterruptMessage MessageOf(ulong entry, bool levelTriggered) => new(
        (byte)(entry >> 56), (entry & LogicalBit) != 0, (DeliveryMode)(entry >> 8 & 7), (byte)entry, levelTriggered);

    /// <inheritdoc/>
    public void Snapshot(StateWriter writer)
    {
        var section = writer.BeginSection("IOAP", 1);
        writer.WriteByte(selected);
        writer.WriteUInt32(id);
        writer.WriteUInt32(highPins);
        foreach (var entry in entries)
            writer.WriteUInt64(entry);
        writer.EndSection(section);
    }

    /// <inheritdoc/>
    public SnapshotError Restore(StateReader reader)
    {
        reader.BeginSection("IOAP", 1);
        selected = reader.ReadByte();
        id = reader.ReadUInt32();
        highPins = reader.ReadUInt32();
        for (var pin = 0; pin < PinCount; pin++)
        {
            entries[pin] = reader.ReadUInt64();
            reader.Require((entries[pin] & ~(WritableBits | ReadOnlyBits)) == 0);
        }
        reader.Require(highPins >> PinCount == 0);
        return reader.EndSection();
    }

    private sealed class PinLine(IoApic ioApic, int pin) : IInterruptLine
    {
        public void Drive(bool asserted) => ioApic.Drive(pin, asserted);
    }
}
