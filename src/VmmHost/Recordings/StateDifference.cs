using System.Buffers.Binary;
using System.Text;
using FtAkka.Cpu.Debugging;
using FtAkka.Machine;
using FtAkka.Machine.Snapshots;
using FtAkka.VmmHost.Debugging;

namespace FtAkka.VmmHost.Recordings;

/// <summary>A value that differs.</summary>
/// <param name="Name">Name.</param>
/// <param name="First">In the first recording.</param>
/// <param name="Second">In the second.</param>
internal sealed record DifferentValue(string Name, string First, string Second);

/// <summary>A page that differs.</summary>
/// <param name="PhysicalAddress">Of its first byte.</param>
/// <param name="FirstByte">Offset of the first byte that differs.</param>
/// <param name="Bytes">How many bytes differ.</param>
/// <param name="First">Up to 16 bytes from there in the first recording.</param>
/// <param name="Second">The same in the second.</param>
internal sealed record DifferentPage(ulong PhysicalAddress, int FirstByte, int Bytes, string First, string Second);

/// <summary>How two machines differ at one icount.</summary>
/// <param name="Icount">When.</param>
/// <param name="Registers">Registers that differ.</param>
/// <param name="Devices">Parts of the platform that differ, by the tag of their section in a snapshot.</param>
/// <param name="Pages">The first of the pages that differ.</param>
/// <param name="PageCount">How many differ in all.</param>
/// <param name="FirstCode">Instructions at RIP in the first machine.</param>
/// <param name="SecondCode">Instructions at RIP in the second machine.</param>
internal sealed record StateDifference(
    ulong Icount,
    IReadOnlyList<DifferentValue> Registers,
    IReadOnlyList<string> Devices,
    IReadOnlyList<DifferentPage> Pages,
    int PageCount,
    IReadOnlyList<string> FirstCode,
    IReadOnlyList<string> SecondCode)
{
    private const int PagesShown = 16;
    private const int InstructionsShown = 8;
    private const int BytesShown = 16;

    /// <summary>Whether nothing differs.</summary>
    public bool IsEmpty => Registers.Count == 0 && Devices.Count == 0 && PageCount == 0;

    /// <summary>Compares two machines of equal configuration.</summary>
    public static StateDifference Of(GuestMachine first, GuestMachine second)
    {
        var pages = new List<DifferentPage>();
        int count = 0;
        for (int page = 0; page < Math.Min(first.Memory.PageCount, second.Memory.PageCount); page++)
        {
            if (!first.Memory.Page(page).SequenceEqual(second.Memory.Page(page)) && ++count <= PagesShown)
            {
                pages.Add(PageOf(first, second, page));
            }
        }
        return new StateDifference(
            first.Icount,
            [.. first.Vcpu!.ReadRegisters().Named().Zip(second.Vcpu!.ReadRegisters().Named())
                .Where(pair => pair.First.Value != pair.Second.Value)
                .Select(pair => new DifferentValue(pair.First.Name, pair.First.Value, pair.Second.Value))],
            DifferentSections(first, second),
            pages,
            count,
            CodeAt(first),
            CodeAt(second));
    }

    /// <summary>For people.</summary>
    public IEnumerable<string> Lines()
    {
        yield return $"state at icount {Icount}: {Registers.Count} registers, {Devices.Count} parts of the platform, {PageCount} pages of RAM differ";
        foreach (DifferentValue register in Registers)
        {
            yield return $"  {register.Name,-10} {register.First}  {register.Second}";
        }
        foreach (string device in Devices)
        {
            yield return $"  platform section {device}";
        }
        foreach (DifferentPage page in Pages)
        {
            yield return $"  page 0x{page.PhysicalAddress:x}: {page.Bytes} bytes, first at +0x{page.FirstByte:x}: {page.First}  {page.Second}";
        }
        if (PageCount > Pages.Count)
        {
            yield return $"  and {PageCount - Pages.Count} more pages";
        }
        bool sameCode = FirstCode.SequenceEqual(SecondCode);
        yield return sameCode ? "  code at rip:" : "  code at rip of the first:";
        foreach (string line in FirstCode)
        {
            yield return "    " + line;
        }
        if (!sameCode)
        {
            yield return "  code at rip of the second:";
            foreach (string line in SecondCode)
            {
                yield return "    " + line;
            }
        }
    }

    private static DifferentPage PageOf(GuestMachine first, GuestMachine second, int page)
    {
        ReadOnlySpan<byte> a = first.Memory.Page(page);
        ReadOnlySpan<byte> b = second.Memory.Page(page);
        int start = a.CommonPrefixLength(b);
        int bytes = 0;
        for (int i = start; i < a.Length; i++)
        {
            bytes += a[i] == b[i] ? 0 : 1;
        }
        int shown = Math.Min(BytesShown, a.Length - start);
        return new DifferentPage(
            first.Memory.PhysicalAddressOf(page), start, bytes,
            Convert.ToHexStringLower(a.Slice(start, shown)), Convert.ToHexStringLower(b.Slice(start, shown)));
    }

    private static List<string> DifferentSections(GuestMachine first, GuestMachine second)
    {
        List<(string Tag, byte[] Content)> a = Sections(first);
        List<(string Tag, byte[] Content)> b = Sections(second);
        return a.Count != b.Count
            ? ["(different devices)"]
            : [.. a.Zip(b).Select((pair, number) => (pair, number))
                .Where(entry => entry.pair.First.Tag != "VCPU" && !entry.pair.First.Content.AsSpan().SequenceEqual(entry.pair.Second.Content))
                .Select(entry => $"{entry.pair.First.Tag} (number {entry.number})")];
    }

    /// <summary>The outermost sections of a snapshot: tag, version, length, content.</summary>
    private static List<(string Tag, byte[] Content)> Sections(GuestMachine machine)
    {
        var writer = new StateWriter();
        machine.Snapshot(writer);
        var sections = new List<(string, byte[])>();
        ReadOnlySpan<byte> rest = writer.Written;
        const int header = 10;
        while (rest.Length >= header)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(rest[6..]);
            sections.Add((Encoding.ASCII.GetString(rest[..4]), rest.Slice(header, length).ToArray()));
            rest = rest[(header + length)..];
        }
        return sections;
    }

    private static List<string> CodeAt(GuestMachine machine)
    {
        byte[] code = new byte[InstructionsShown * 15];
        ulong rip = machine.Vcpu!.Rip;
        int length = GuestMemoryAccess.Read(machine, rip, code);
        return [.. Disassembler.Disassemble(code.AsSpan(0, length), rip, InstructionsShown).Select(line => $"0x{line.Address:x16}  {line.Text}")];
    }
}
