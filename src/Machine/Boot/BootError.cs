namespace FtAkka.Machine.Boot;

/// <summary>Kind of a <see cref="BootError"/>.</summary>
public enum BootErrorKind
{
    /// <summary>Neither a bzImage nor an ELF file for x86-64.</summary>
    NotAKernel,
    /// <summary>The file ends before the kernel does.</summary>
    TruncatedFile,
    /// <summary>A boot protocol older than 2.12.</summary>
    UnsupportedVersion,
    /// <summary>The kernel cannot be entered in 64-bit mode.</summary>
    No64BitEntry,
    /// <summary>Kernel does not fit the guest's memory.</summary>
    TooLittleMemory,
    /// <summary>No room for the initial RAM disk.</summary>
    InitrdTooLarge,
    /// <summary>Command line longer than the kernel takes.</summary>
    CommandLineTooLong,
    /// <summary>Command line with characters other than printable ASCII.</summary>
    CommandLineInvalid,
    /// <summary>A segment of the ELF file lies where this loader keeps its own structures, or its numbers contradict each other.</summary>
    BadSegment,
}

/// <summary>Why a kernel could not be loaded.</summary>
/// <param name="Kind">For programs.</param>
/// <param name="Message">For people: one sentence with the figures.</param>
public sealed record BootError(BootErrorKind Kind, string Message);
