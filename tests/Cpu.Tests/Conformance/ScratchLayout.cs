namespace FtAkka.Cpu.Tests.Conformance;

/// <summary>
/// Use of the pages of <see cref="Verification.NativeRunner.Data"/>. Natively all are plain memory; the guest maps them as named here, each
/// to a physical page away from its neighbours, so that an access that wrongly runs on past a page end is seen.
/// </summary>
internal static class ScratchLayout
{
    public const int Page = 4096;

    /// <summary>Four pages of RAM.</summary>
    public const int RamStart = 0, RamEnd = 4 * Page;

    public const int NotPresentPage = 4;

    /// <summary>RAM behind the hole.</summary>
    public const int RamAfterHolePage = 5;

    public const int ReadOnlyPage = 6, SecondNotPresentPage = 7;

    /// <summary>Six pages of RAM for the stack.</summary>
    public const int StackStart = 8 * Page, StackEnd = 14 * Page;

    /// <summary>Two pages that are not RAM.</summary>
    public const int MmioStart = 14 * Page, MmioEnd = 16 * Page;

    /// <summary>RAM that user mode may not touch.</summary>
    public const int SupervisorPage = 16;
}
