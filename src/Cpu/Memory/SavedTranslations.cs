namespace FtAkka.Cpu.Memory;

/// <summary>One non-global soft-TLB entry, set aside while another address space is loaded.</summary>
/// <param name="LinearPage">Page-aligned linear address.</param>
/// <param name="RamPage">Page index.</param>
/// <param name="Set">Set of the soft TLB.</param>
/// <param name="Writable">Had a write tag: the tables permit stores and D is set.</param>
internal readonly record struct SavedTranslation(ulong LinearPage, int RamPage, int Set, bool Writable);

/// <summary>
/// The latest translations of the last few address spaces, so that processes that switch to and fro need not walk again for each page. A list
/// is good as long as nothing that any translation was derived from has changed: the Mmu counts such changes in an epoch.
/// </summary>
internal sealed class SavedTranslations
{
    /// <summary>Address spaces remembered.</summary>
    private const int SpacesMax = 8;

    /// <summary>Entries remembered of each; more would cost more to restore than they save.</summary>
    public const int EntriesMax = 128;

    private readonly Space[] _spaces = [.. Enumerable.Range(0, SpacesMax).Select(_ => new Space())];
    private int _next;

    /// <summary>The list to be filled with the entries of the address space that is being left.</summary>
    public List<SavedTranslation> Open(ulong root, ulong epoch)
    {
        Space? space = Of(root);
        if (space is null)
        {
            space = _spaces[_next];
            _next = (_next + 1) % SpacesMax;
        }
        space.Root = root;
        space.Epoch = epoch;
        space.Entries.Clear();
        return space.Entries;
    }

    /// <summary>The entries of an address space, if they are still true.</summary>
    public List<SavedTranslation>? Find(ulong root, ulong epoch)
    {
        Space? space = Of(root);
        return space?.Epoch == epoch ? space.Entries : null;
    }

    private Space? Of(ulong root)
    {
        foreach (Space space in _spaces)
        {
            if (space.Root == root) return space;
        }
        return null;
    }

    private sealed class Space
    {
        public ulong Root { get; set; } = ulong.MaxValue;
        public ulong Epoch { get; set; }
        public List<SavedTranslation> Entries { get; } = new(EntriesMax);
    }
}
