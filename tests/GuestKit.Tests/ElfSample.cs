using System.Buffers.Binary;
using System.Text;

namespace FtAkka.GuestKit.Tests;

/// <summary>Makes small 64-bit ELF files: kernel modules with a .modinfo, and dynamic programs and libraries.</summary>
internal static class ElfSample
{
    /// <summary>A relocatable file with the two sections that a module's information needs.</summary>
    public static byte[] Module(string depends)
    {
        const string Names = "\0.modinfo\0.shstrtab\0";
        string information = $"license=GPL\0depends={depends}\0name=sample\0";
        const int InformationAt = 64;
        int namesAt = InformationAt + information.Length;
        int tableAt = namesAt + Names.Length;
        byte[] file = Header(tableAt + (3 * 64));
        Encoding.ASCII.GetBytes(information).CopyTo(file, InformationAt);
        Encoding.ASCII.GetBytes(Names).CopyTo(file, namesAt);
        Put(file, 0x28, (ulong)tableAt);
        PutShort(file, 0x3a, 64);
        PutShort(file, 0x3c, 3);
        PutShort(file, 0x3e, 2);
        PutSection(file, tableAt + 64, 1, InformationAt, information.Length);
        PutSection(file, tableAt + 128, 10, namesAt, Names.Length);
        return file;
    }

    /// <summary>A file with a dynamic section, and an interpreter when it is a program.</summary>
    public static byte[] Dynamic(string? interpreter, params string[] needed)
    {
        const int StringsAt = 64 + (3 * 56);
        const ulong LoadedAt = 0x400000;
        var strings = new StringBuilder("\0");
        int interpreterAt = StringsAt + strings.Length;
        strings.Append(interpreter).Append('\0');
        List<(ulong Tag, ulong Value)> entries = [];
        foreach (string library in needed)
        {
            entries.Add((1, (ulong)strings.Length));
            strings.Append(library).Append('\0');
        }

        entries.Add((5, LoadedAt + StringsAt));
        entries.Add((0, 0));
        int dynamicAt = (StringsAt + strings.Length + 7) & ~7;
        byte[] file = Header(dynamicAt + (entries.Count * 16));
        Encoding.ASCII.GetBytes(strings.ToString()).CopyTo(file, StringsAt);
        for (int i = 0; i < entries.Count; i++)
        {
            Put(file, dynamicAt + (i * 16), entries[i].Tag);
            Put(file, dynamicAt + (i * 16) + 8, entries[i].Value);
        }

        Put(file, 0x20, 64);
        PutShort(file, 0x36, 56);
        PutShort(file, 0x38, 3);
        PutSegment(file, 0, 1, 0, LoadedAt, file.Length);
        PutSegment(file, 1, 2, dynamicAt, LoadedAt + (ulong)dynamicAt, entries.Count * 16);
        PutSegment(file, 2, interpreter is null ? 0u : 3u, interpreterAt, LoadedAt + (ulong)interpreterAt, (interpreter?.Length ?? 0) + 1);
        return file;
    }

    private static byte[] Header(int sizeBytes)
    {
        byte[] file = new byte[sizeBytes];
        ((ReadOnlySpan<byte>)[0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1]).CopyTo(file);
        return file;
    }

    private static void PutSection(byte[] file, int at, uint name, int offset, int size)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(at), name);
        Put(file, at + 0x18, (ulong)offset);
        Put(file, at + 0x20, (ulong)size);
    }

    private static void PutSegment(byte[] file, int index, uint type, int offset, ulong address, int size)
    {
        int at = 64 + (index * 56);
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(at), type);
        Put(file, at + 8, (ulong)offset);
        Put(file, at + 16, address);
        Put(file, at + 32, (ulong)size);
    }

    private static void Put(byte[] file, int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(at), value);

    private static void PutShort(byte[] file, int at, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(at), value);
}
