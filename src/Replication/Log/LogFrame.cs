using System.Buffers;
using System.Buffers.Binary;
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

    /// <summary>A writer starts a new frame once a body has this many bytes, so that a frame is much smaller than what a reader accepts.</summary>
    private const int BodyBytesEnough = 1 << 20;

    /// <summary>Writes entries, which follow each other without gap, as one frame.</summary>
    /// <exception cref="ArgumentException">They do not fit into one frame; see <see cref="WriteAll"/>.</exception>
    public static byte[] Write(IReadOnlyList<LogEntry> entries)
    {
        ArgumentNullException.ThrowIfNull(entries);
        ArgumentOutOfRangeException.ThrowIfZero(entries.Count);
        var frame = WriteFrom(entries, 0, BodyBytesMax, out int next);
        return next == entries.Count ? frame.ToArray() : throw new ArgumentException("The entries do not fit into one frame.", nameof(entries));
    }

    /// <summary>Writes any number of entries, which follow each other without gap, as frames of moderate size.</summary>
    public static IEnumerable<ReadOnlyMemory<byte>> WriteAll(IReadOnlyList<LogEntry> entries)
    {
        ArgumentNullException.ThrowIfNull(entries);
        for (int next = 0; next < entries.Count;)
            yield return WriteFrom(entries, next, BodyBytesEnough, out next);
    }

    private static Memory<byte> WriteFrom(IReadOnlyList<LogEntry> entries, int first, int bodyBytesEnough, out int next)
    {
        var buffer = new FrameBuffer(BytesMax(entries, first, bodyBytesEnough));
        buffer.GetSpan(HeaderBytes);
        buffer.Advance(HeaderBytes);
        ulong icount = entries[first].Icount;
        for (next = first; next < entries.Count && buffer.Written.Length - HeaderBytes < bodyBytesEnough; next++)
        {
            var writer = new MessagePackWriter(buffer);
            LogEntryCodec.Write(ref writer, entries[next].Payload, checked(entries[next].Icount - icount));
            writer.Flush();
            icount = entries[next].Icount;
        }
        var frame = buffer.Written;
        var bytes = frame.Span;
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, Magic);
        bytes[2] = Version;
        BinaryPrimitives.WriteInt32LittleEndian(bytes[4..], bytes.Length - HeaderBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[8..], entries[first].Lsn.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[16..], entries[first].Icount);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[24..], next - first);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[28..], Crc32C.Of(bytes[..28], bytes[HeaderBytes..]));
        return frame;
    }

    /// <summary>About what the frame will take, so that megabytes of disk data are not copied from one growing buffer to the next.</summary>
    private static int BytesMax(IReadOnlyList<LogEntry> entries, int first, int bodyBytesEnough)
    {
        const int besidesContent = 48;
        int bytes = HeaderBytes + besidesContent;
        for (int i = first; i < entries.Count && bytes < bodyBytesEnough; i++)
            bytes += besidesContent + LogEntryCodec.ContentBytes(entries[i].Payload);
        return bytes;
    }

    /// <summary>The index record of a whole frame that <see cref="WriteAll"/> gave.</summary>
    public static LogIndexRecord IndexRecordOf(ReadOnlySpan<byte> frame, long offset) => new(
        BinaryPrimitives.ReadUInt64LittleEndian(frame[16..]), new Lsn(BinaryPrimitives.ReadUInt64LittleEndian(frame[8..])), offset);

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
        if (BinaryPrimitives.ReadUInt32LittleEndian(frame.Span[28..]) != Crc32C.Of(frame.Span[..28], frame.Span[HeaderBytes..]))
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
        catch (Exception exception) when (exception is MessagePackSerializationException or EndOfStreamException or OverflowException
            or InvalidOperationException or ArgumentException) // the last: a byte string of 2 GiB or more
        {
            return null;
        }
        return reader.End ? entries : null;
    }
}
