using System.Buffers.Binary;
using System.Text;
using FtAkka.Cpu.Debugging;
using FtAkka.Machine;
using FtAkka.Machine.Snapshots;

namespace FtAkka.Recordings;

/// <summary>A value that differs.</summary>
/// <param name="Name">Name.</param>
/// <param name="First">In the first recording.</param>
/// <param name="Second">In the second.</param>
public sealed record DifferentValue(string Name, string First, string Second);

/// <summary>A piece of content that differs.</summary>
/// <param name="Name">What it is of: a part of the platform, or a page of RAM by the physical address of its first byte.</param>
/// <param name="Offset">Offset of the first byte that differs.</param>
/// <param name="Bytes">How many bytes differ.</param>
/// <param name="First">Up to 16 bytes from there in the first recording.</param>
/// <param name="Second">The same in the second.</param>
public sealed record DifferentContent(string Name, int Offset, int Bytes, string First, string Second);

/// <summary>How two machines differ at one icount.</summary>
/// <param name="Icount">When.</param>
/// <param name="Registers">Registers that differ.</param>
/// <param name="Devices">Parts of the platform that differ, by their sections in a snapshot.</param>
/// <param name="Pages">The first of the pages that differ.</param>
/// <param name="PageCount">How many differ in all.</param>
/// <param name="FirstCode">Instructions at RIP in the first machine.</param>
/// <param name="SecondCode">Instructions at RIP in the second machine.</param>
public sealed record StateDifference(
    ulong Icount,
    IReadOnlyList<DifferentValue> Registers,
    IReadOnlyList<DifferentContent> Devices,
    IReadOnlyList<DifferentContent> Pages,
    int PageCount,
    IReadOnlyList<string> FirstCode,
    IReadOnlyList<string> SecondCode)
{
    private const int PagesShown = 16;
    private const int InstructionsShown = 8;
    private const int BytesShown = 16;
    private const string CpuName = "CPU";

    /// <summary>Whether nothing differs.</summary>
    public bool IsEmpty => Registers.Count == 0 && Devices.Count == 0 && PageCount == 0;

    /// <summary>Compares two machines of equal configuration.</summary>
    public static StateDifference Of(GuestMachine first, GuestMachine second)
    {
        var pages = new List<DifferentContent>();
        int count = 0;
        for (int page = 0; page < Math.Min(first.Memory.PageCount, second.Memory.PageCount); page++)
        {
            if (!first.Memory.Page(page).SequenceEqual(second.Memory.Page(page)) && ++count <= PagesShown)
            {
                pages.Add(ContentOf($"0x{first.Memory.PhysicalAddressOf(page):x}", first.Memory.Page(page), second.Memory.Page(page)));
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
        yield return $"  {Count(Registers.Count, "register")}, {Count(Devices.Count, "part")} of the platform and {Count(PageCount, "page")} of RAM differ";
        foreach (DifferentValue register in Registers)
        {
            yield return $"  {register.Name,-10} {register.First}  {register.Second}";
        }
        foreach (DifferentContent device in Devices)
        {
            yield return $"  {device.Name}: {Count(device.Bytes, "byte")} of its snapshot, the first at +0x{device.Offset:x}";
        }
        foreach (DifferentContent page in Pages)
        {
            yield return $"  page {page.Name}: {Count(page.Bytes, "byte")}, the first at +0x{page.Offset:x}";
            yield return $"    1: {page.First}";
            yield return $"    2: {page.Second}";
        }
        if (PageCount > Pages.Count)
        {
            yield return $"  and {Count(PageCount - Pages.Count, "more page")}";
        }
        bool sameCode = FirstCode.SequenceEqual(SecondCode);
        foreach (string line in Code(sameCode ? "  code at rip:" : "  code at rip of the first:", FirstCode))
        {
            yield return line;
        }
        foreach (string line in sameCode ? [] : Code("  code at rip of the second:", SecondCode))
        {
            yield return line;
        }
    }

    private static IEnumerable<string> Code(string title, IReadOnlyList<string> instructions) =>
        [title, .. instructions.Select((line, number) => $"  {(number == 0 ? "=>" : "  ")} {line}"), .. instructions.Count == 0 ? ["     (not mapped to RAM)"] : Array.Empty<string>()];

    private static string Count(int number, string what) => number == 1 ? $"1 {what}" : $"{number} {what}s";

    private static DifferentContent ContentOf(string name, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second)
    {
        int start = first.CommonPrefixLength(second);
        int bytes = Math.Abs(first.Length - second.Length);
        for (int i = start; i < Math.Min(first.Length, second.Length); i++)
        {
            bytes += first[i] == second[i] ? 0 : 1;
        }
        return new DifferentContent(name, start, bytes, Hex(first[start..]), Hex(second[start..]));
        static string Hex(ReadOnlySpan<byte> rest) => Convert.ToHexStringLower(rest[..Math.Min(BytesShown, rest.Length)]);
    }

    private static List<DifferentContent> DifferentSections(GuestMachine first, GuestMachine second)
    {
        List<(string Name, byte[] Content)> a = Sections(first);
        List<(string Name, byte[] Content)> b = Sections(second);
        return a.Count != b.Count
            ? [new DifferentContent("devices", 0, 0, $"{a.Count}", $"{b.Count}")]
            : [.. a.Zip(b).Where(pair => pair.First.Name != CpuName && !pair.First.Content.AsSpan().SequenceEqual(pair.Second.Content))
                .Select(pair => ContentOf(pair.First.Name, pair.First.Content, pair.Second.Content))];
    }

    /// <summary>The outermost sections of a snapshot: tag, version, length, content.</summary>
    private static List<(string Name, byte[] Content)> Sections(GuestMachine machine)
    {
        var writer = new StateWriter();
        machine.Snapshot(writer);
        var sections = new List<(string, byte[])>();
        ReadOnlySpan<byte> rest = writer.Written;
        const int header = 10;
        int virtioDevices = 0;
        while (rest.Length >= header)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(rest[6..]);
            ReadOnlySpan<byte> content = rest.Slice(header, length);
            string tag = Encoding.ASCII.GetString(rest[..4]);
            sections.Add((tag == "VMIO" ? $"{VirtioName(content)} (virtio window {virtioDevices++})" : NameOf(tag), content.ToArray()));
            rest = rest[(header + length)..];
        }
        return sections;
    }

    private static string NameOf(string tag) => tag switch
    {
        "VCPU" => CpuName,
        "MACH" => "hardware",
        "VCLK" => "clock",
        "LAPC" => "local APIC",
        "IOAP" => "IOAPIC",
        "UART" => "serial port",
        "CRTC" => "real-time clock",
        "MEND" => "console counters and end",
        "RSET" => "restarts",
        _ => $"section {tag}",
    };

    /// <summary>A virtio device by the section that it has within its window's.</summary>
    private static string VirtioName(ReadOnlySpan<byte> window) =>
        window.IndexOf("VBLK"u8) >= 0 ? "disk" : window.IndexOf("VNET"u8) >= 0 ? "network card"
        : window.IndexOf("VCON"u8) >= 0 ? "virtio console" : window.IndexOf("CHA2"u8) >= 0 ? "entropy source" : "device";

    /// <summary>The instructions at RIP; none if RIP is not mapped to RAM.</summary>
    public static IReadOnlyList<string> CodeAt(GuestMachine machine)
    {
        byte[] code = new byte[InstructionsShown * 15];
        ulong rip = machine.Vcpu!.Rip;
        int length = LinearMemory.Read(machine, rip, code);
        return [.. Disassembler.Disassemble(code.AsSpan(0, length), rip, InstructionsShown).Select(line => $"0x{line.Address:x16}  {line.Text}")];
    }
}
