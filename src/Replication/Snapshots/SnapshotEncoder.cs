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

    private readonly record struct PageEntry(int Page, uint Source, int Number);

    /// <summary>The file, piece by piece.</summary>
    public static IEnumerable<byte[]> Encode(SnapshotCapture capture)
    {
        ArgumentNullException.ThrowIfNull(capture);
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
                yield return Pages(capture, entries);
                (chunks, pages) = (chunks + 1, pages + (ulong)entries.Count);
                entries.Clear();
            }
        }
        if (entries.Count > 0)
        {
            yield return Pages(capture, entries);
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

    private static byte[] State(ReadOnlySpan<byte> state)
    {
        var chunk = new byte[SnapshotChunk.HeaderBytes + 4 + BrotliEncoder.GetMaxCompressedLength(state.Length)];
        BinaryPrimitives.WriteInt32LittleEndian(chunk.AsSpan(SnapshotChunk.HeaderBytes), state.Length);
        int length = Compress(state, chunk.AsSpan(SnapshotChunk.HeaderBytes + 4));
        return SnapshotChunk.Seal(SnapshotChunkKind.State, chunk[..(SnapshotChunk.HeaderBytes + 4 + length)]);
    }

    private static byte[] Pages(SnapshotCapture capture, List<PageEntry> entries)
    {
        var raw = new byte[entries.Count * GuestMemory.PageSizeBytes];
        int rawLength = 0;
        foreach (var entry in entries)
        {
            if (entry.Source == HereSource)
            {
                capture.Content(entry.Number).CopyTo(raw.AsSpan(rawLength));
                rawLength += GuestMemory.PageSizeBytes;
            }
        }
        int listBytes = 8 + (entries.Count * 8);
        var chunk = new byte[SnapshotChunk.HeaderBytes + listBytes + BrotliEncoder.GetMaxCompressedLength(rawLength)];
        var payload = chunk.AsSpan(SnapshotChunk.HeaderBytes);
        BinaryPrimitives.WriteInt32LittleEndian(payload, entries.Count);
        BinaryPrimitives.WriteInt32LittleEndian(payload[4..], rawLength);
        for (int i = 0; i < entries.Count; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(payload[(8 + (i * 8))..], entries[i].Page);
            BinaryPrimitives.WriteUInt32LittleEndian(payload[(12 + (i * 8))..], entries[i].Source);
        }
        int length = rawLength == 0 ? 0 : Compress(raw.AsSpan(0, rawLength), payload[listBytes..]);
        return SnapshotChunk.Seal(SnapshotChunkKind.Pages, chunk[..(SnapshotChunk.HeaderBytes + listBytes + length)]);
    }

    private static byte[] End(uint chunks, ulong pages)
    {
        var chunk = new byte[SnapshotChunk.HeaderBytes + 12];
        BinaryPrimitives.WriteUInt32LittleEndian(chunk.AsSpan(SnapshotChunk.HeaderBytes), chunks);
        BinaryPrimitives.WriteUInt64LittleEndian(chunk.AsSpan(SnapshotChunk.HeaderBytes + 4), pages);
        return SnapshotChunk.Seal(SnapshotChunkKind.End, chunk);
    }

    private static int Compress(ReadOnlySpan<byte> raw, Span<byte> destination) =>
        BrotliEncoder.TryCompress(raw, destination, out int written, Quality, WindowBits)
            ? written
            : throw new InvalidOperationException("The compressor needs more room than it says it does at most.");
}
