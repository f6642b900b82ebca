using System.Buffers.Binary;
using System.IO.Compression;
using System.Runtime.InteropServices;
using FtAkka.Cpu.Memory;
using FtAkka.Machine.Digest;

namespace FtAkka.Replication.Snapshots;

/// <summary>
/// Turns a capture into the bytes of a snapshot file: zero pages are left out, a page that equals an earlier one is a reference to it, the rest is
/// compressed.
/// </summary>
public static class SnapshotEncoder
{
    /// <summary>Source of a page whose content stands in the chunk.</summary>
    internal const uint HereSource = uint.MaxValue;

    /// <summary>Source of a page of zeroes.</summary>
    internal const uint ZeroSource = uint.MaxValue - 1;

    /// <summary>Brotli's fastest level: snapshots are written while the guest runs. The next one takes half as much again and saves a twentieth.</summary>
    private const int Quality = 0;
    private const int WindowBits = 18;

    /// <summary>Before the pages of a chunk: their number, the bytes of content, and for each page its index and source.</summary>
    private static int ListBytes(int pages) => 8 + (pages * 8);

    private readonly record struct PageEntry(int Page, uint Source, int Number);

    /// <summary>Room for the content of a chunk, and for the chunk; one for all chunks of a file.</summary>
    private sealed class Scratch
    {
        public byte[] Raw { get; } = new byte[SnapshotChunk.PagesMax * GuestMemory.PageSizeBytes];

        public byte[] Chunk { get; } = new byte[SnapshotChunk.HeaderBytes + ListBytes(SnapshotChunk.PagesMax)
            + BrotliEncoder.GetMaxCompressedLength(SnapshotChunk.PagesMax * GuestMemory.PageSizeBytes)];
    }

    /// <summary>The file, piece by piece. A piece is valid until the next one is asked for.</summary>
    public static IEnumerable<ReadOnlyMemory<byte>> Encode(SnapshotCapture capture)
    {
        ArgumentNullException.ThrowIfNull(capture);
        var scratch = new Scratch();
        yield return capture.Header.Write();
        yield return State(capture.State.Span);
        uint chunks = 1;
        ulong pages = 0;
        var entries = new List<PageEntry>(SnapshotChunk.PagesMax);
        var seen = new Dictionary<ulong, (int Page, int Number)>();
        foreach (var entry in Entries(capture, seen))
        {
            entries.Add(entry);
            if (entries.Count == SnapshotChunk.PagesMax)
            {
                yield return Pages(capture, entries, scratch);
                (chunks, pages) = (chunks + 1, pages + (ulong)entries.Count);
                entries.Clear();
            }
        }
        if (entries.Count > 0)
        {
            yield return Pages(capture, entries, scratch);
            (chunks, pages) = (chunks + 1, pages + (ulong)entries.Count);
        }
        yield return End(chunks, pages);
    }

    private static IEnumerable<PageEntry> Entries(SnapshotCapture capture, Dictionary<ulong, (int Page, int Number)> seen)
    {
        for (int number = 0; number < capture.Pages.Count; number++)
        {
            int page = capture.Pages[number];
            var content = capture.Content(number);
            ref var earlier = ref CollectionsMarshal.GetValueRefOrAddDefault(seen, XxHash64.Hash(content), out bool known);
            // Equal hashes are a hint only: the bytes decide.
            if (known && content.SequenceEqual(capture.Content(earlier.Number)))
            {
                yield return new PageEntry(page, (uint)earlier.Page, number);
                continue;
            }
            if (!known)
                earlier = (page, number);
            yield return new PageEntry(page, HereSource, number);
        }
        foreach (int page in capture.ZeroPages)
            yield return new PageEntry(page, ZeroSource, 0);
    }

    private static Memory<byte> State(ReadOnlySpan<byte> state)
    {
        const int start = SnapshotChunk.HeaderBytes + 4;
        var chunk = new byte[start + BrotliEncoder.GetMaxCompressedLength(state.Length)];
        BinaryPrimitives.WriteInt32LittleEndian(chunk.AsSpan(SnapshotChunk.HeaderBytes), state.Length);
        return Sealed(SnapshotChunkKind.State, chunk.AsMemory(0, start + Compress(state, chunk.AsSpan(start))));
    }

    private static Memory<byte> Pages(SnapshotCapture capture, List<PageEntry> entries, Scratch scratch)
    {
        int rawLength = 0;
        foreach (var entry in entries)
        {
            if (entry.Source == HereSource)
            {
                capture.Content(entry.Number).CopyTo(scratch.Raw.AsSpan(rawLength));
                rawLength += GuestMemory.PageSizeBytes;
            }
        }
        var payload = scratch.Chunk.AsSpan(SnapshotChunk.HeaderBytes);
        BinaryPrimitives.WriteInt32LittleEndian(payload, entries.Count);
        BinaryPrimitives.WriteInt32LittleEndian(payload[4..], rawLength);
        for (int i = 0; i < entries.Count; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(payload[(8 + (i * 8))..], entries[i].Page);
            BinaryPrimitives.WriteUInt32LittleEndian(payload[(12 + (i * 8))..], entries[i].Source);
        }
        int listBytes = ListBytes(entries.Count);
        int length = rawLength == 0 ? 0 : Compress(scratch.Raw.AsSpan(0, rawLength), payload[listBytes..]);
        return Sealed(SnapshotChunkKind.Pages, scratch.Chunk.AsMemory(0, SnapshotChunk.HeaderBytes + listBytes + length));
    }

    private static Memory<byte> End(uint chunks, ulong pages)
    {
        var chunk = new byte[SnapshotChunk.HeaderBytes + 12];
        BinaryPrimitives.WriteUInt32LittleEndian(chunk.AsSpan(SnapshotChunk.HeaderBytes), chunks);
        BinaryPrimitives.WriteUInt64LittleEndian(chunk.AsSpan(SnapshotChunk.HeaderBytes + 4), pages);
        return Sealed(SnapshotChunkKind.End, chunk);
    }

    private static Memory<byte> Sealed(SnapshotChunkKind kind, Memory<byte> chunk)
    {
        SnapshotChunk.Seal(kind, chunk.Span);
        return chunk;
    }

    private static int Compress(ReadOnlySpan<byte> raw, Span<byte> destination) =>
        BrotliEncoder.TryCompress(raw, destination, out int written, Quality, WindowBits)
            ? written
            : throw new InvalidOperationException("The compressor needs more room than it says it does at most.");
}
