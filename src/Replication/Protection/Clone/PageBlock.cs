using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace FtAkka.Replication.Protection.Clone;

/// <summary>Pages as they stand in <see cref="Messages.ClonePages.Pages"/>.</summary>
public static class PageBlock
{
    private const int HeaderBytes = 9;

    /// <summary>Bytes that a page takes.</summary>
    public static int SizeOf(PageContent page) => HeaderBytes + page.Bytes.Length;

    /// <summary>Writes pages one behind the other.</summary>
    public static ImmutableArray<byte> Write(IReadOnlyList<PageContent> pages)
    {
        ArgumentNullException.ThrowIfNull(pages);
        int length = 0;
        foreach (var page in pages)
            length = checked(length + SizeOf(page));
        var bytes = new byte[length];
        int at = 0;
        foreach (var page in pages)
        {
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(at), page.Page);
            bytes[at + 8] = page.Bytes.Length > 0 ? (byte)1 : (byte)0;
            page.Bytes.CopyTo(bytes, at + HeaderBytes);
            at += SizeOf(page);
        }
        return ImmutableCollectionsMarshal.AsImmutableArray(bytes);
    }

    /// <summary>Reads pages; null if the bytes are none, or a page is not one of the machine's.</summary>
    public static IReadOnlyList<PageContent>? Read(ImmutableArray<byte> bytes, int pageBytes, long pageCount)
    {
        var pages = new List<PageContent>();
        int at = 0;
        while (at < bytes.Length)
        {
            if (bytes.Length - at < HeaderBytes)
                return null;
            long page = BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan()[at..]);
            byte kind = bytes[at + 8];
            int content = kind == 1 ? pageBytes : 0;
            at += HeaderBytes;
            if (kind > 1 || page < 0 || page >= pageCount || bytes.Length - at < content)
                return null;
            pages.Add(new PageContent(page, bytes.AsSpan(at, content).ToImmutableArray()));
            at += content;
        }
        return pages;
    }
}
