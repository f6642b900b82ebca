using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using FtAkka.Cpu.Debugging;

namespace FtAkka.GdbStub;

/// <summary>One register of gdb's description of the target.</summary>
/// <param name="Name">gdb's name.</param>
/// <param name="Bits">Size.</param>
/// <param name="Type">gdb's type.</param>
/// <param name="Group">gdb's group, or null.</param>
/// <param name="Read">Its bytes, least significant first.</param>
/// <param name="Writable">Number for <see cref="IDebugTarget.WriteRegister"/>; null: it cannot be written.</param>
internal sealed record GdbRegister(string Name, int Bits, string Type, string? Group, Func<CpuRegisters, ulong, byte[]> Read, int? Writable = null);

/// <summary>
/// gdb's registers of x86-64, in the order of their numbers (GDB manual, "i386 Features"), and behind them what a debugger of kernels wants as well.
/// </summary>
internal static class GdbRegisters
{
    /// <summary>gdb's order of the general registers, as encodings.</summary>
    private static readonly int[] GeneralOrder = [0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15];

    /// <summary>gdb's order of the segment registers, as encodings: cs, ss, ds, es, fs, gs.</summary>
    private static readonly int[] SegmentOrder = [1, 2, 3, 0, 4, 5];

    private static readonly ImmutableArray<GdbRegister> Core = [.. CoreRegisters()];
    private static readonly ImmutableArray<GdbRegister> Sse = [.. SseRegisters()];
    private static readonly ImmutableArray<GdbRegister> Segments =
    [
        Word("fs_base", 64, "int", r => r.Segments[4].Base),
        Word("gs_base", 64, "int", r => r.Segments[5].Base),
    ];

    private static readonly ImmutableArray<GdbRegister> System =
    [
        Word("k_gs_base", 64, "int", r => r.KernelGsBase),
        Word("cr0", 64, "int", r => r.Cr0),
        Word("cr2", 64, "int", r => r.Cr2),
        Word("cr3", 64, "int", r => r.Cr3),
        Word("cr4", 64, "int", r => r.Cr4),
        Word("cr8", 64, "int", r => r.Cr8),
        Word("efer", 64, "int", r => r.Efer),
        new("icount", 64, "int", "system", (_, icount) => Bytes(icount, 64)),
    ];

    /// <summary>All registers, by number.</summary>
    public static ImmutableArray<GdbRegister> All { get; } = [.. Core, .. Sse, .. Segments, .. System];

    /// <summary>The document that gdb asks for.</summary>
    public static string TargetXml { get; } = Describe();

    private static IEnumerable<GdbRegister> CoreRegisters()
    {
        foreach (int encoding in GeneralOrder)
        {
            string name = CpuRegisters.GeneralNames[encoding];
            yield return Word(name, 64, name is "rbp" or "rsp" ? "data_ptr" : "int64", r => r.General[encoding], encoding, group: null);
        }
        yield return Word("rip", 64, "code_ptr", r => r.Rip, 16, group: null);
        yield return Word("eflags", 32, "i386_eflags", r => r.Rflags, group: null);
        foreach (int encoding in SegmentOrder)
            yield return Word(CpuRegisters.SegmentNames[encoding], 32, "int32", r => r.Segments[encoding].Selector, group: null);
        for (int i = 0; i < 8; i++)
        {
            int number = i;
            yield return new($"st{i}", 80, "i387_ext", null, (r, _) => r.X87Stack.AsSpan(number * 10, 10).ToArray());
        }
        yield return Word("fctrl", 32, "int", r => r.X87Control, group: "float");
        yield return Word("fstat", 32, "int", r => r.X87Status, group: "float");
        yield return Word("ftag", 32, "int", FullTags, group: "float");
        foreach (string name in (string[])["fiseg", "fioff", "foseg", "fooff", "fop"])
            yield return Word(name, 32, "int", _ => 0, group: "float");
    }

    private static IEnumerable<GdbRegister> SseRegisters()
    {
        for (int i = 0; i < 16; i++)
        {
            int number = i;
            yield return new($"xmm{i}", 128, "vec128", null, (r, _) => r.Xmm.AsSpan(number * 16, 16).ToArray());
        }
        yield return Word("mxcsr", 32, "i386_mxcsr", r => r.Mxcsr, group: "vector");
    }

    private static GdbRegister Word(string name, int bits, string type, Func<CpuRegisters, ulong> value, int? writable = null, string? group = "system") =>
        new(name, bits, type, group, (registers, _) => Bytes(value(registers), bits), writable);

    private static byte[] Bytes(ulong value, int bits)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return bytes[..(bits / 8)];
    }

    /// <summary>Two bits for each physical register: used ones are shown as valid, whatever they hold.</summary>
    private static ulong FullTags(CpuRegisters registers)
    {
        ulong tags = 0;
        for (int i = 0; i < 8; i++)
            tags |= (registers.X87Tags >> i & 1) != 0 ? 0 : 3UL << (2 * i);
        return tags;
    }

    private static string Describe()
    {
        var xml = new StringBuilder("<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target version=\"1.0\"><architecture>i386:x86-64</architecture>");
        int number = 0;
        xml.Append("<feature name=\"org.gnu.gdb.i386.core\">").Append(Flags("i386_eflags", 4,
            "CF:0 :1 PF:2 AF:4 ZF:6 SF:7 TF:8 IF:9 DF:10 OF:11 NT:14 RF:16 VM:17 AC:18 VIF:19 VIP:20 ID:21"));
        Append(xml, Core, ref number);
        xml.Append("</feature><feature name=\"org.gnu.gdb.i386.sse\">").Append(VectorTypes).Append(Flags("i386_mxcsr", 4,
            "IE:0 DE:1 ZE:2 OE:3 UE:4 PE:5 DAZ:6 IM:7 DM:8 ZM:9 OM:10 UM:11 PM:12 FZ:15"));
        Append(xml, Sse, ref number);
        xml.Append("</feature><feature name=\"org.gnu.gdb.i386.segments\">");
        Append(xml, Segments, ref number);
        xml.Append("</feature><feature name=\"org.ftakka.system\">");
        Append(xml, System, ref number);
        return xml.Append("</feature></target>").ToString();
    }

    private static void Append(StringBuilder xml, ImmutableArray<GdbRegister> registers, ref int number)
    {
        foreach (var register in registers)
        {
            string group = register.Group is null ? "" : $" group=\"{register.Group}\"";
            xml.Append(CultureInfo.InvariantCulture, $"<reg name=\"{register.Name}\" bitsize=\"{register.Bits}\" type=\"{register.Type}\"{group} regnum=\"{number++}\"/>");
        }
    }

    private static string Flags(string id, int size, string fields) => $"<flags id=\"{id}\" size=\"{size}\">"
        + string.Concat(fields.Split(' ').Select(field => field.Split(':')).Select(field => $"<field name=\"{field[0]}\" start=\"{field[1]}\" end=\"{field[1]}\"/>"))
        + "</flags>";

    private const string VectorTypes =
        "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/><vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/><vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"
        + "<vector id=\"v8i16\" type=\"int16\" count=\"8\"/><vector id=\"v4i32\" type=\"int32\" count=\"4\"/><vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
        + "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/><field name=\"v16_int8\" type=\"v16i8\"/>"
        + "<field name=\"v8_int16\" type=\"v8i16\"/><field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/><field name=\"uint128\" type=\"uint128\"/></union>";
}
