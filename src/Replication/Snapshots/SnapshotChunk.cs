using System.Buffers.Binary;
using FtAkka.Cpu.Memory;
using FtAkka.Replication.Log;

namespace FtAkka.Replication.Snapshots;

/// <summary>Kinds of chunks; numbers are never reused.</summary>
public enum SnapshotChunkKind
{
    /// <summary>CPU and devices.</summary>
    State = 1,
    /// <summary>Pages of RAM.</summary>
    Pages = 2,
    /// <summary>Nothing follows.</summary>
    End = 3,
}

/// <summary>A chunk of a snapshot: behind the header a file is nothing but chunks. Layout: docs/log-format.md.</summary>
public static class SnapshotChunk
{
    public const int HeaderBytes = 12;

    /// <summary>Most pages in a chunk.</summary>
    public const int PagesMax = 512;

    /// <summary>Longest payload a reader accepts: pages that do not compress, and the list of them.</summary>
    public const int PayloadBytesMax = (PagesMax * (GuestMemory.PageSizeBytes + 8)) + (64 << 10);

    /// <summary>Most bytes of machine state.</summary>
    internal const int StateBytesMax = 256 << 20;

    /// <summary>Most compressed bytes of machine state: in-flight disk writes may fill it.</summary>
    internal const int StatePayloadBytesMax = StateBytesMax + (1 << 20);

    /// <summary>Puts a header before a payload that stands at <see cref="HeaderBytes"/>.</summary>
    internal static void Seal(SnapshotChunkKind kind, Span<byte> chunk)
    {
        BinaryPrimitives.WriteInt32LittleEndian(chunk, (int)kind);
        BinaryPrimitives.WriteInt32LittleEndian(chunk[4..], chunk.Length - HeaderBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(chunk[8..], Crc32C.Of(chunk[..8], chunk[HeaderBytes..]));
    }

    /// <summary>Reads a chunk's header: how many bytes of payload follow it.</summary>
    public static SnapshotFileError ReadHeader(ReadOnlySpan<byte> header, out SnapshotChunkKind kind, out int payloadBytes)
    {
        (kind, payloadBytes) = (default, 0);
        if (header.Length < HeaderBytes)
            return SnapshotFileError.Truncated;
        kind = (SnapshotChunkKind)BinaryPrimitives.ReadInt32LittleEndian(header);
        payloadBytes = BinaryPrimitives.ReadInt32LittleEndian(header[4..]);
        int max = kind == SnapshotChunkKind.State ? StatePayloadBytesMax : PayloadBytesMax;
        return Enum.IsDefined(kind) && payloadBytes >= 0 && payloadBytes <= max ? SnapshotFileError.None : SnapshotFileError.Malformed;
    }

    /// <summary>Whether header and payload are as they were written.</summary>
    public static bool IsIntact(ReadOnlySpan<byte> header, ReadOnlySpan<byte> payload) =>
        BinaryPrimitives.ReadUInt32LittleEndian(header[8..]) == Crc32C.Of(header[..8], payload);
}
