namespace FtAkka.Cpu.Memory;

/// <summary>What is known of one RAM page that was read as a paging structure by a walk whose result is in use.</summary>
internal struct PageTableUse
{
    /// <summary>The page was reached at two levels or for two linear addresses: what derives from it is not known precisely.</summary>
    public const ulong Ambiguous = 8;
    /// <summary>An instruction fetch was translated through the page, so the observer may hold something that derives from it.</summary>
    public const ulong Fetched = 16;

    /// <summary>Zero if unused; else 48-bit linear base, level (1 to 4) in bits 0 to 2, and the flags above.</summary>
    public ulong Key;
    /// <summary>Entries stored to since a walk last read the page.</summary>
    public int Stores;
    /// <summary>Position in the list of used pages.</summary>
    public int Position;

    public readonly int Level => (int)(Key & 7);
    public readonly bool IsAmbiguous => (Key & Ambiguous) != 0;
    public readonly bool IsFetched => (Key & Fetched) != 0;

    /// <summary>Linear address (48 bits, not sign-extended) that entry 0 maps.</summary>
    public readonly ulong Base => Key & ~0xFFFUL;

    /// <summary>Key of the table at a level on the walk of a linear address.</summary>
    public static ulong KeyOf(ulong va, int level)
    {
        int shift = PageEntry.Shift(level) + 9;
        return ((va & 0xFFFF_FFFF_FFFF) >> shift << shift) | (uint)level;
    }
}

/// <summary>The RAM pages in use as paging structures, by page index, with a list of them.</summary>
internal sealed unsafe class PageTableIndex : IDisposable
{
    private readonly NativeMapping _uses;
    private readonly List<int> _pages = [];

    public PageTableIndex(int pageCount) => _uses = NativeMapping.CreateSparse((ulong)pageCount * (ulong)sizeof(PageTableUse));

    public IReadOnlyList<int> Pages => _pages;

    public PageTableUse* Use(int page) => (PageTableUse*)_uses.Pointer + page;

    public void Add(int page, ulong key)
    {
        *Use(page) = new PageTableUse { Key = key, Position = _pages.Count };
        _pages.Add(page);
    }

    public void Remove(int page)
    {
        int position = Use(page)->Position;
        int last = _pages[^1];
        _pages[position] = last;
        Use(last)->Position = position;
        _pages.RemoveAt(_pages.Count - 1);
        *Use(page) = default;
    }

    public void Clear()
    {
        foreach (int page in _pages) *Use(page) = default;
        _pages.Clear();
    }

    /// <inheritdoc/>
    public void Dispose() => _uses.Dispose();
}
