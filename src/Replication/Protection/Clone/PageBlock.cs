using System.Collections.Immutable;

namespace FtAkka.Replication.Protection.Clone;

/// <summary>Pages as they stand in <see cref="Messages.ClonePages.Pages"/>.</summary>
public static class PageBlock
{
    /// <summary>Bytes that a page takes.</summary>
    public static int SizeOf(PageContent page) => NumberedContents.SizeOf(page.Bytes);

    /// <summary>Writes pages one behind the other.</summary>
    public static ImmutableArray<byte> Write(IReadOnlyList<PageContent> pages) => NumberedContents.Write(pages, page => (page.Page, page.Bytes));

    /// <summary>Reads pages; null if the bytes are none, or a page is not one of the machine's.</summary>
    public static IReadOnlyList<PageContent>? Read(ImmutableArray<byte> bytes, int pageBytes, long pageCount) =>
        NumberedContents.Read(bytes, pageCount, _ => pageBytes, (page, content) => new PageContent(page, content));
}
