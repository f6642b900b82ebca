namespace FtAkka.Machine.Boot;

/// <summary>A kernel file understood: what to copy where, and what to tell the kernel.</summary>
/// <param name="Segments">Parts to load, none overlapping memory below <see cref="BootLayout.KernelMin"/>.</param>
/// <param name="EntryAddress">First instruction.</param>
/// <param name="EndAddress">First address behind what the kernel needs before it manages memory itself.</param>
/// <param name="SetupHeader">The setup header, to be placed at 1F1H of boot_params.</param>
/// <param name="InitrdAddressMax">Highest address a byte of the initial RAM disk may have.</param>
/// <param name="CommandLineBytesMax">Longest command line without the final zero.</param>
internal sealed record KernelImage(
    IReadOnlyList<KernelSegment> Segments, ulong EntryAddress, ulong EndAddress, byte[] SetupHeader, ulong InitrdAddressMax,
    int CommandLineBytesMax);

/// <summary>One part of a kernel file.</summary>
/// <param name="FileOffset">Where in the file it starts.</param>
/// <param name="FileBytes">How many bytes to copy.</param>
/// <param name="Address">Where to put them.</param>
/// <param name="MemoryBytes">How much memory it takes; the rest is zero.</param>
internal readonly record struct KernelSegment(ulong FileOffset, ulong FileBytes, ulong Address, ulong MemoryBytes);
