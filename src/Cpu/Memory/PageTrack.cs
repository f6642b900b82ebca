namespace FtAkka.Cpu.Memory;

/// <summary>Why stores to a RAM page must be noticed. Any bit set: no soft-TLB entry of the page has a valid write tag.</summary>
[Flags]
internal enum PageTrack : byte
{
    None = 0,
    /// <summary>Holds translated code.</summary>
    Code = 1,
    /// <summary>Translations that are in use were read from it.</summary>
    PageTable = 2,
    /// <summary>Not written since the dirty logs were last armed.</summary>
    DirtyLogClean = 4,
    /// <summary>The host's debugger watches bytes in it: no soft-TLB entry of the page is valid at all.</summary>
    Watched = 8,
}
