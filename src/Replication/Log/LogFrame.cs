using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using MessagePack;

namespace FtAkka.Replication.Log;

/// <summary>Why bytes are not a log frame.</summary>
public enum LogFrameError
{
    None,
    /// <summary>More bytes are needed: a torn tail if there are none.</summary>
    Incomplete,
    /// <summary>Not a frame at all.</summary>
    BadMagic,
    /// <summary>Written by a newer version.</summary>
    UnknownVersion,
    /// <summary>Longer than <see cref="LogFrame.BodyBytesMax"/>.</summary>
    TooLong,
    /// <summary>The checksum does not fit the bytes.</summary>
    BadChecksum,
    /// <summary>The checksum is right, but the body is not what this version writes.</summary>
    BadBody,
}

/// <summary>
/// A run of consecutive log entries as bytes: the unit of the live channel, of the recording and of the simulator alike.
/// </summary>
/// <remarks>
/// <code>
/// offset  0  u16  magic 0x4C46 ("FL")
///         2  u8   version, 1
///         3  u8   flags, 0
///         4  u32  bytes of the body
///         8  u64  LSN of the first entry
///        16  u64  icount that the first entry's delta counts from
///        24  u32  number of entries
///        28  u32  CRC-32C of bytes 0 to 27 and of the body
///        32       body: the entries (<see cref="LogEntryCodec"/>), one behind the other
/// </code>
/// All integers are little-endian.
/// </remarks>
public static class LogFrame
{
    public const int HeaderBytes = 32;
    public const byte Version = 1;
    /// <summary>Longest body a reader accepts.</summary>
    public const int BodyBytesMax = 32 << 20;
    private const ushort Magic = 0x4C46;

    /// <summary>Writes entries, which follow each other without gap, as one frame.</summary>
    public static byte[] Write(IReadOnlyList<LogEntry> entries)
    {
        ArgumentNullException.ThrowIfNull(entries);
        ArgumentOutOfRangeException.ThrowIfZero(entries.Count);
        var body = new ArrayBufferWriter<byte>(256);
        var writer = new MessagePackWriter(body);
        ulong icount = entries[0].Icount;
        foreach (var entry in entries)
        {
            LogEntryCodec.Write(ref writer, entry.Payload, entry.Icount - icount);
            icount = entry.Icount;
        }
        writer.Flush();
        var frame = new byte[HeaderBytes + body.WrittenCount];
        BinaryPrimitives.WriteUInt16LittleEndian(frame, Magic);
        frame[2] = Version;
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(4), body.WrittenCount);
        BinaryPrimitives.WriteUInt64LittleEndian(frame.AsSpan(8), entries[0].Lsn.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(frame.AsSpan(16), entries[0].Icount);
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(24), entries.Count);
        body.WrittenSpan.CopyTo(frame.AsSpan(HeaderBytes));
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(28), Checksum(frame));
        return frame;
    }

    /// <summary>Length of the frame that starts here; 0 when the header is incomplete, -1 when it is no header.</summary>
    public static long LengthOf(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < HeaderBytes)
            return 0;
        uint body = BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]);
        return BinaryPrimitives.ReadUInt16LittleEndian(bytes) != Magic || body > BodyBytesMax ? -1 : HeaderBytes + body;
    }

    /// <summary>Reads the frame at the start of <paramref name="bytes"/>.</summary>
    /// <param name="bytes">Frame, and perhaps more behind it.</param>
    /// <param name="entries">Its entries; empty on an error.</param>
    /// <param name="consumed">Bytes the frame takes; 0 on an error.</param>
    public static LogFrameError TryRead(ReadOnlyMemory<byte> bytes, out IReadOnlyList<LogEntry> entries, out int consumed)
    {
        entries = [];
        consumed = 0;
        var error = CheckHeader(bytes.Span, out int length);
        if (error != LogFrameError.None)
            return error;
        var frame = bytes[..length];
        if (BinaryPrimitives.ReadUInt32LittleEndian(frame.Span[28..]) != Checksum(frame.Span))
            return LogFrameError.BadChecksum;
        if (ReadBody(frame) is not { } read)
            return LogFrameError.BadBody;
        entries = read;
        consumed = length;
        return LogFrameError.None;
    }

    private static LogFrameError CheckHeader(ReadOnlySpan<byte> bytes, out int length)
    {
        length = 0;
        if (bytes.Length < HeaderBytes)
            return LogFrameError.Incomplete;
        if (BinaryPrimitives.ReadUInt16LittleEndian(bytes) != Magic)
            return LogFrameError.BadMagic;
        if (bytes[2] != Version || bytes[3] != 0)
            return LogFrameError.UnknownVersion;
        uint body = BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]);
        if (body > BodyBytesMax)
            return LogFrameError.TooLong;
        length = HeaderBytes + (int)body;
        return length > bytes.Length ? LogFrameError.Incomplete : LogFrameError.None;
    }

    private static List<LogEntry>? ReadBody(ReadOnlyMemory<byte> frame)
    {
        var lsn = new Lsn(BinaryPrimitives.ReadUInt64LittleEndian(frame.Span[8..]));
        ulong icount = BinaryPrimitives.ReadUInt64LittleEndian(frame.Span[16..]);
        uint count = BinaryPrimitives.ReadUInt32LittleEndian(frame.Span[24..]);
        // An entry takes three bytes at least; a count beyond that is a lie that must not size a list.
        if (count == 0 || count > (uint)(frame.Length - HeaderBytes) / 3 || lsn.Value == 0 || lsn.Value > ulong.MaxValue - count)
            return null;
        var entries = new List<LogEntry>((int)count);
        var reader = new MessagePackReader(frame[HeaderBytes..]);
        try
        {
            for (uint i = 0; i < count; i++)
            {
                if (LogEntryCodec.Read(ref reader, icount, out icount) is not { } payload)
                    return null;
                entries.Add(new LogEntry(lsn, icount, payload));
                lsn = lsn.Next;
            }
        }
        catch (Exception exception) when (exception is MessagePackSerializationException or EndOfStreamException or OverflowException or InvalidOperationException)
        {
            return null;
        }
        return reader.End ? entries : null;
    }

    private static uint Checksum(ReadOnlySpan<byte> frame)
    {
        uint crc = Crc32C(uint.MaxValue, frame[..28]);
        return ~Crc32C(crc, frame[HeaderBytes..]);
    }

    private static uint Crc32C(uint crc, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length >= 8)
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[8..];
        }
        foreach (byte value in bytes)
            crc = BitOperations.Crc32C(crc, value);
        return crc;
    }
}
