using System.Globalization;
using System.Text;

namespace FtAkka.TinyGuests;

/// <summary>
/// The tiny guest as tests and the simulator use it: its kernel image, its command lines, and what each workload must print.
/// Every workload ends with a power-off through the ACPI sleep register; a failure prints a line and resets.
/// </summary>
public static class TinyGuest
{
    /// <summary>Counter lines, journal records and echo requests when the command line does not say how many.</summary>
    public const int DefaultCount = 10;

    /// <summary>Timer ticks between counter lines when the command line does not say <c>period=</c>.</summary>
    public const int DefaultPeriod = 1_000_000;

    /// <summary>Rounds of the compute workload when the command line does not say <c>rounds=</c>.</summary>
    public const int DefaultRounds = 2;

    private static readonly Lazy<byte[]> Image = new(() => GuestElf.Wrap(new TinyKernel().Assemble(), PvhEntry.Assemble()));

    /// <summary>
    /// The kernel as an ELF file in the shape of a Linux <c>vmlinux</c>, for a loader that speaks the 64-bit boot protocol. It also
    /// has a PVH entry, so that QEMU can run it.
    /// </summary>
    public static byte[] Kernel => (byte[])Image.Value.Clone();

    /// <summary>Output of the hello workload, which runs when the command line names none.</summary>
    public static string HelloText => "hello from the tiny guest\n";

    /// <summary>Output of <c>workload=counter count=N</c>.</summary>
    public static string CounterText(int count) =>
        Lines(Enumerable.Range(1, count).Select(n => string.Create(CultureInfo.InvariantCulture, $"tick {n:x16}")));

    /// <summary>Output of <c>workload=reboot count=N</c>, or of its first N boots.</summary>
    public static string RebootText(int count) =>
        Lines(Enumerable.Range(1, count).Select(n => string.Create(CultureInfo.InvariantCulture, $"boot {n:x16}")));

    /// <summary>Output of <c>workload=compute rounds=N seed=S</c>.</summary>
    public static string ComputeText(ulong seed, int rounds) =>
        Lines(ComputeReference.Checksums(seed, rounds)
            .Select((sum, i) => string.Create(CultureInfo.InvariantCulture, $"compute {i + 1:x16} {sum:x16}")));

    /// <summary>Output of <c>workload=journal records=N seed=S</c> on a disk that starts with some good records.</summary>
    public static string JournalText(ulong seed, int records, int present = 0) => RecordsText("journal", seed, records, present);

    /// <summary>Output of <c>workload=service records=N seed=S</c> on a disk that starts with some good records.</summary>
    public static string ServiceText(ulong seed, int records, int present = 0) =>
        RecordsText("service", seed, records, present);

    /// <summary>Output of <c>workload=console</c> for a text typed before the closing Ctrl-D.</summary>
    public static string ConsoleText(string typed) =>
        "console ready\n"
        + string.Concat(typed.Select(c => char.IsAsciiLetter(c) ? (char)(c ^ 0x20) : c))
        + "console closed\n";

    private static string RecordsText(string workload, ulong seed, int records, int present)
    {
        ReadOnlySpan<byte> disk = JournalRecord.Expected(seed, records);
        var text = new StringBuilder(64 + ((records - present) * 48));
        text.Append(CultureInfo.InvariantCulture, $"{workload} starts at {present:x16}\n");
        for (int n = present; n < records; n++)
        {
            ulong sum = JournalRecord.ChecksumOf(disk.Slice(n * JournalRecord.SizeBytes, JournalRecord.SizeBytes));
            text.Append(CultureInfo.InvariantCulture, $"journal {n:x16} {sum:x16}\n");
        }

        return text.ToString();
    }

    private static string Lines(IEnumerable<string> lines)
    {
        var text = new StringBuilder();
        foreach (string line in lines)
        {
            text.Append(line).Append('\n');
        }

        return text.ToString();
    }
}
