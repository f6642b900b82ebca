using System.Buffers.Binary;
using FtAkka.Cpu.Memory;

namespace FtAkka.Machine.Digest;

/// <summary>Hashes RAM page by page, so that a difference can be traced to a page.</summary>
internal static class MemoryHash
{
    /// <summary>Most pages of most guests are zero, and telling that is many times faster than a hash.</summary>
    private static readonly ulong ZeroPageHash = XxHash64.Hash(new byte[GuestMemory.PageSizeBytes]);

    /// <summary>Hash over addresses and contents of the pages.</summary>
    /// <param name="memory">Guest RAM.</param>
    /// <param name="pageIndices">Pages, ascending.</param>
    /// <param name="pages">Takes the hash of each page, if given.</param>
    public static ulong Of(GuestMemory memory, IEnumerable<int> pageIndices, List<PageDigest>? pages)
    {
        var hash = 0UL;
        Span<byte> link = stackalloc byte[24];
        foreach (var index in pageIndices)
        {
            var page = new PageDigest(memory.PhysicalAddressOf(index), OfPage(memory.Page(index)));
            pages?.Add(page);
            BinaryPrimitives.WriteUInt64LittleEndian(link, hash);
            BinaryPrimitives.WriteUInt64LittleEndian(link[8..], page.PhysicalAddress);
            BinaryPrimitives.WriteUInt64LittleEndian(link[16..], page.Hash);
            hash = XxHash64.Hash(link);
        }
        return hash;
    }

    private static ulong OfPage(ReadOnlySpan<byte> page) => page.ContainsAnyExcept((byte)0) ? XxHash64.Hash(page) : ZeroPageHash;
}
