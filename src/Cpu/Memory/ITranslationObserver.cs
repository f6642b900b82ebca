namespace FtAkka.Cpu.Memory;

/// <summary>Told by <see cref="Mmu"/> when something derived from a fetch translation or from code bytes is no longer true.</summary>
/// <remarks>Called in the middle of a page walk or before a store; it may call <see cref="Mmu.UnmarkCodePage"/> and nothing else of the Mmu.</remarks>
internal interface ITranslationObserver
{
    /// <summary>The mapping of one linear page that <see cref="Mmu.TryTranslateFetch"/> may have answered changed or went; drop jump-cache entries into it (both privilege sets).</summary>
    void InvalidateLinearPage(ulong linearPage);

    /// <summary>The mappings of a range of linear pages may have changed or gone: as <see cref="InvalidateLinearPage"/> for each of them.</summary>
    void InvalidateLinearRange(ulong start, ulong lengthBytes);

    /// <summary>All mappings went; with <paramref name="keepGlobal"/> those of global pages stay.</summary>
    void InvalidateLinear(bool keepGlobal);

    /// <summary>RAM bytes that lie in a page marked by <see cref="Mmu.MarkCodePage"/> are about to change; drop translations of them.</summary>
    void InvalidateCode(ulong physicalAddress, int lengthBytes);
}
