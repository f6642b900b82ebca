using System.Buffers.Binary;

namespace FtAkka.Replication.Log;

/// <summary>
/// One record of a log's sparse index: where a frame starts. Records ascend in all three numbers, so that a reader finds its place by
/// bisection without reading the whole index. Layout: docs/log-format.md.
/// </summary>
/// <param name="Icount">Icount of the frame's first entry.</param>
/// <param name="FirstLsn">LSN of that entry.</param>
/// <param name="Offset">Byte offset of the frame in the log file.</param>
public readonly record struct LogIndexRecord(ulong Icount, Lsn FirstLsn, long Offset)
{
    public const int SizeBytes = 32;

    /// <summary>Writes the record.</summary>
    public void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, Icount);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[8..], FirstLsn.Value);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[16..], Offset);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[24..], 0);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[28..], Crc32C.Of(bytes[..28]));
    }

    /// <summary>Reads a record. Null if it is damaged: the reader then looks from the start of the log.</summary>
    public static LogIndexRecord? TryRead(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < SizeBytes || BinaryPrimitives.ReadUInt32LittleEndian(bytes[28..]) != Crc32C.Of(bytes[..28]))
            return null;
        var record = new LogIndexRecord(
            BinaryPrimitives.ReadUInt64LittleEndian(bytes),
            new Lsn(BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..])),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]));
        return record.Offset < LogFileHeader.SizeBytes ? null : record;
    }
}
