using System.Buffers.Binary;
using System.IO.Compression;
using FtAkka.Cpu.Memory;

namespace FtAkka.Replication.Snapshots;

/// <summary>Takes the pages of a snapshot.</summary>
public interface ISnapshotTarget
{
    /// <summary>Content of a page, 4096 bytes.</summary>
    void Page(int page, ReadOnlySpan<byte> content);

    /// <summary>A page that has the content of another one, which was given before.</summary>
    void Copy(int page, int source);
}

/// <summary>Reads the chunks of one snapshot file in order. Whatever the bytes, the outcome is a value.</summary>
public sealed class SnapshotDecoder
{
    private static readonly byte[] ZeroPage = new byte[GuestMemory.PageSizeBytes];

    private readonly ISnapshotTarget _target;
    private readonly int _pageCount;
    private readonly byte[] _raw = new byte[SnapshotChunk.PagesMax * GuestMemory.PageSizeBytes];
    private uint _chunks;
    private ulong _pages;

    public SnapshotDecoder(SnapshotHeader header, ISnapshotTarget target)
    {
        ArgumentNullException.ThrowIfNull(header);
        _target = target;
        _pageCount = (int)Math.Min(header.MemoryBytes / GuestMemory.PageSizeBytes, int.MaxValue);
    }

    /// <summary>CPU and devices, once their chunk was read.</summary>
    public ReadOnlyMemory<byte>? State { get; private set; }

    /// <summary>The end was read: the snapshot is complete.</summary>
    public bool IsComplete { get; private set; }

    /// <summary>Takes the next chunk, whose checksum is already found right.</summary>
    public SnapshotFileError Take(SnapshotChunkKind kind, ReadOnlySpan<byte> payload)
    {
        if (IsComplete)
            return SnapshotFileError.Malformed;
        bool good = kind switch
        {
            SnapshotChunkKind.State => TakeState(payload),
            SnapshotChunkKind.Pages => TakePages(payload),
            SnapshotChunkKind.End => TakeEnd(payload),
            _ => false,
        };
        _chunks++;
        return good ? SnapshotFileError.None : SnapshotFileError.Malformed;
    }

    private bool TakeState(ReadOnlySpan<byte> payload)
    {
        if (State is not null || payload.Length < 4)
            return false;
        int length = BinaryPrimitives.ReadInt32LittleEndian(payload);
        if (length is < 0 or > SnapshotChunk.StateBytesMax)
            return false;
        var state = new byte[length];
        State = state;
        return BrotliDecoder.TryDecompress(payload[4..], state, out int written) && written == length;
    }

    private bool TakePages(ReadOnlySpan<byte> payload)
    {
        if (payload.Length < 8)
            return false;
        int count = BinaryPrimitives.ReadInt32LittleEndian(payload);
        int rawLength = BinaryPrimitives.ReadInt32LittleEndian(payload[4..]);
        if (count is < 1 or > SnapshotChunk.PagesMax || payload.Length < 8 + (count * 8) || rawLength < 0 || rawLength > _raw.Length)
            return false;
        var list = payload.Slice(8, count * 8);
        var packed = payload[(8 + (count * 8))..];
        if (rawLength == 0 ? !packed.IsEmpty : !BrotliDecoder.TryDecompress(packed, _raw.AsSpan(0, rawLength), out int written) || written != rawLength)
            return false;
        _pages += (ulong)count;
        return TakePages(list, _raw.AsSpan(0, rawLength));
    }

    private bool TakePages(ReadOnlySpan<byte> list, ReadOnlySpan<byte> raw)
    {
        for (; !list.IsEmpty; list = list[8..])
        {
            int page = BinaryPrimitives.ReadInt32LittleEndian(list);
            uint source = BinaryPrimitives.ReadUInt32LittleEndian(list[4..]);
            if (page < 0 || page >= _pageCount)
                return false;
            switch (source)
            {
                case SnapshotEncoder.HereSource:
                    if (raw.Length < GuestMemory.PageSizeBytes)
                        return false;
                    _target.Page(page, raw[..GuestMemory.PageSizeBytes]);
                    raw = raw[GuestMemory.PageSizeBytes..];
                    break;
                case SnapshotEncoder.ZeroSource:
                    _target.Page(page, ZeroPage);
                    break;
                default:
                    if (source >= (uint)_pageCount)
                        return false;
                    _target.Copy(page, (int)source);
                    break;
            }
        }
        return raw.IsEmpty;
    }

    private bool TakeEnd(ReadOnlySpan<byte> payload)
    {
        IsComplete = State is not null && payload.Length == 12
            && BinaryPrimitives.ReadUInt32LittleEndian(payload) == _chunks
            && BinaryPrimitives.ReadUInt64LittleEndian(payload[4..]) == _pages;
        return IsComplete;
    }
}
