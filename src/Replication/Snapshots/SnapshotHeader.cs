using System.Buffers.Binary;
using FtAkka.Replication.Log;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Snapshots;

/// <summary>Which snapshot an incremental one builds on.</summary>
/// <param name="Icount">Its icount.</param>
/// <param name="LastLsn">Its position in the log.</param>
public readonly record struct SnapshotBase(ulong Icount, Lsn LastLsn);

/// <summary>The first bytes of a snapshot. Layout: docs/log-format.md.</summary>
/// <param name="Recording">Identity of the recording it belongs to.</param>
/// <param name="Icount">Instructions retired.</param>
/// <param name="Position">Where the log stands at the snapshot.</param>
/// <param name="MemoryBytes">RAM size of the machine.</param>
/// <param name="Base">For an incremental snapshot: what it builds on. Null: a full one.</param>
public sealed record SnapshotHeader(Guid Recording, ulong Icount, LogPosition Position, ulong MemoryBytes, SnapshotBase? Base)
{
    public const int SizeBytes = 96;
    public const ushort Version = 1;
    private const ushort Incremental = 1;
    private static ReadOnlySpan<byte> Magic => "FTSNAP\r\n"u8;

    /// <summary>Writes the header.</summary>
    public byte[] Write()
    {
        var bytes = new byte[SizeBytes];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(8), Version);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(10), Base is null ? (ushort)0 : Incremental);
        Recording.TryWriteBytes(bytes.AsSpan(16));
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(32), Icount);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(40), Position.LastLsn.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(48), Position.LastOutput);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(56), MemoryBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(64), Base?.Icount ?? 0);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(72), Base?.LastLsn.Value ?? 0);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(92), Crc32C.Of(bytes.AsSpan(0, 92)));
        return bytes;
    }

    /// <summary>Reads a header; null with the error.</summary>
    public static SnapshotHeader? TryRead(ReadOnlySpan<byte> bytes, out SnapshotFileError error)
    {
        error = Check(bytes);
        if (error != SnapshotFileError.None)
            return null;
        var position = new LogPosition(
            new Lsn(BinaryPrimitives.ReadUInt64LittleEndian(bytes[40..])), BinaryPrimitives.ReadUInt64LittleEndian(bytes[48..]));
        SnapshotBase? builtOn = BinaryPrimitives.ReadUInt16LittleEndian(bytes[10..]) == 0 ? null : new SnapshotBase(
            BinaryPrimitives.ReadUInt64LittleEndian(bytes[64..]), new Lsn(BinaryPrimitives.ReadUInt64LittleEndian(bytes[72..])));
        return new SnapshotHeader(
            new Guid(bytes.Slice(16, 16)), BinaryPrimitives.ReadUInt64LittleEndian(bytes[32..]), position,
            BinaryPrimitives.ReadUInt64LittleEndian(bytes[56..]), builtOn);
    }

    private static SnapshotFileError Check(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < SizeBytes)
            return SnapshotFileError.Truncated;
        if (!bytes[..8].SequenceEqual(Magic))
            return SnapshotFileError.NotASnapshot;
        if (BinaryPrimitives.ReadUInt16LittleEndian(bytes[8..]) != Version)
            return SnapshotFileError.UnknownVersion;
        if (BinaryPrimitives.ReadUInt32LittleEndian(bytes[92..]) != Crc32C.Of(bytes[..92]))
            return SnapshotFileError.BadChecksum;
        return BinaryPrimitives.ReadUInt16LittleEndian(bytes[10..]) > Incremental ? SnapshotFileError.Malformed : SnapshotFileError.None;
    }
}
