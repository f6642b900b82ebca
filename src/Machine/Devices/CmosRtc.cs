using FtAkka.Machine.Bus;
using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine.Devices;

/// <summary>
/// Real-time clock and CMOS memory behind ports 70H and 71H (Motorola MC146818A datasheet; century in byte 32H as PCs have it).
/// The time is the boot time of the machine's configuration plus the guest's TSC: it comes from the log, never from the host.
/// </summary>
/// <remarks>
/// An update takes no time here, so UIP is always clear. No interrupt is wired: alarm, periodic and update-ended interrupts can be enabled but never
/// come, and register C reads 0. The alarm bytes are plain memory.
/// </remarks>
public sealed class CmosRtc : IPortDevice, ISnapshotable
{
    /// <summary>Where the century stands; the FADT says the same.</summary>
    public const byte CenturyIndex = 0x32;

    private const int MemoryBytes = 128;
    private const byte Seconds = 0, Minutes = 2, Hours = 4, DayOfWeek = 6, DayOfMonth = 7, Month = 8, Year = 9,
        RegisterA = 0x0A, RegisterB = 0x0B, RegisterC = 0x0C, RegisterD = 0x0D;
    private const byte SetBit = 0x80, BinaryBit = 0x04, Hours24Bit = 0x02;
    private const byte AfternoonBit = 0x80;
    private const byte ValidRamAndTime = 0x80;
    private const byte UpdateInProgress = 0x80;

    private readonly long bootUnixSeconds;
    private readonly ulong tscHz;
    private readonly Func<ulong> readTsc;
    private readonly byte[] memory = new byte[MemoryBytes];
    private byte index;
    /// <summary>What the guest's settings of the clock have come to, in seconds.</summary>
    private long offsetSeconds;
    /// <summary>While SET is on: the time the registers hold still at, as edited by the guest.</summary>
    private RtcTime held;

    /// <param name="bootUnixSeconds">Time at TSC 0, seconds since 1970 UTC.</param>
    /// <param name="tscHz">TSC frequency.</param>
    /// <param name="readTsc">The guest's TSC at the present icount.</param>
    public CmosRtc(long bootUnixSeconds, ulong tscHz, Func<ulong> readTsc)
    {
        ArgumentOutOfRangeException.ThrowIfZero(tscHz);
        this.bootUnixSeconds = bootUnixSeconds;
        this.tscHz = tscHz;
        this.readTsc = readTsc;
        memory[RegisterA] = 0x26;
        memory[RegisterB] = Hours24Bit;
    }

    /// <summary>Registers as after power-up. Time and memory have a battery: what the guest has set them to stays.</summary>
    public void Reset()
    {
        WriteRegisterB(Hours24Bit);
        memory[RegisterA] = 0x26;
        index = 0;
    }

    private bool IsSet => (memory[RegisterB] & SetBit) != 0;

    private long NowSeconds => unchecked(bootUnixSeconds + (long)(readTsc() / tscHz) + offsetSeconds);

    private RtcTime Shown => IsSet ? held : RtcTime.FromUnixSeconds(NowSeconds);

    /// <inheritdoc/>
    public byte PortRead(ushort offset) => offset == 0 ? (byte)0xFF : index switch
    {
        Seconds => Encode(Shown.Second),
        Minutes => Encode(Shown.Minute),
        Hours => EncodeHour(Shown.Hour),
        DayOfWeek => Encode(Shown.DayOfWeek),
        DayOfMonth => Encode(Shown.Day),
        Month => Encode(Shown.Month),
        Year => Encode(Shown.Year % 100),
        CenturyIndex => Encode(Shown.Year / 100),
        RegisterC => (byte)0,
        RegisterD => ValidRamAndTime,
        _ => memory[index],
    };

    /// <inheritdoc/>
    public void PortWrite(ushort offset, byte value)
    {
        if (offset == 0)
        {
            // Bit 7 masks NMIs on a PC; nothing here raises NMIs through that gate.
            index = (byte)(value & 0x7F);
            return;
        }
        switch (index)
        {
            case RegisterA:
                memory[RegisterA] = (byte)(value & ~UpdateInProgress);
                break;
            case RegisterB:
                WriteRegisterB(value);
                break;
            case RegisterC or RegisterD:
                break;
            case Seconds or Minutes or Hours or DayOfWeek or DayOfMonth or Month or Year or CenturyIndex:
                SetField(value);
                break;
            default:
                memory[index] = value;
                break;
        }
    }

    private void WriteRegisterB(byte value)
    {
        var wasSet = IsSet;
        if (!wasSet)
            held = RtcTime.FromUnixSeconds(NowSeconds);
        memory[RegisterB] = value;
        if (wasSet && !IsSet)
            Adopt(held);
    }

    private void SetField(byte value)
    {
        var time = Shown;
        var number = Decode(value);
        time = index switch
        {
            Seconds => time with { Second = number },
            Minutes => time with { Minute = number },
            Hours => time with { Hour = DecodeHour(value) },
            DayOfMonth => time with { Day = number },
            Month => time with { Month = number },
            Year => time with { Year = time.Year / 100 * 100 + number },
            CenturyIndex => time with { Year = number * 100 + time.Year % 100 },
            // The day of the week follows from the date.
            _ => time,
        };
        if (IsSet)
            held = time;
        else
            Adopt(time);
    }

    private void Adopt(RtcTime time) => offsetSeconds += time.ToUnixSeconds() - NowSeconds;

    private bool IsBinary => (memory[RegisterB] & BinaryBit) != 0;

    private byte Encode(int number) => (byte)(IsBinary ? number : number / 10 << 4 | number % 10);

    private int Decode(byte value) => IsBinary ? value % 100 : (value >> 4) % 10 * 10 + (value & 0xF) % 10;

    private byte EncodeHour(int hour)
    {
        if ((memory[RegisterB] & Hours24Bit) != 0)
            return Encode(hour);
        var twelve = hour % 12 == 0 ? 12 : hour % 12;
        return (byte)(Encode(twelve) | (hour >= 12 ? AfternoonBit : 0));
    }

    private int DecodeHour(byte value)
    {
        if ((memory[RegisterB] & Hours24Bit) != 0)
            return Decode(value);
        var hour = Decode((byte)(value & ~AfternoonBit)) % 12;
        return (value & AfternoonBit) != 0 ? hour + 12 : hour;
    }

    /// <inheritdoc/>
    public void Snapshot(StateWriter writer)
    {
        var section = writer.BeginSection("CRTC", 1);
        writer.WriteFixed(memory);
        writer.WriteByte(index);
        writer.WriteUInt64((ulong)offsetSeconds);
        var time = IsSet ? held : default;
        foreach (var field in (ReadOnlySpan<int>)[time.Year, time.Month, time.Day, time.Hour, time.Minute, time.Second])
            writer.WriteUInt32((uint)field);
        writer.EndSection(section);
    }

    /// <inheritdoc/>
    public SnapshotError Restore(StateReader reader)
    {
        reader.BeginSection("CRTC", 1);
        reader.ReadFixed(memory);
        index = reader.ReadByte();
        offsetSeconds = (long)reader.ReadUInt64();
        Span<int> fields = stackalloc int[6];
        foreach (ref var field in fields)
        {
            field = (int)reader.ReadUInt32();
            reader.Require(field is >= 0 and <= 9999);
        }
        held = new RtcTime(fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]);
        reader.Require(index < MemoryBytes);
        return reader.EndSection();
    }
}
