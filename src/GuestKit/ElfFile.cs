using System.Buffers.Binary;
using System.Text;

namespace FtAkka.GuestKit;

/// <summary>
/// The few facts that building an initramfs needs from a 64-bit little-endian ELF file (System V ABI, gABI 4.1): which shared
/// libraries a program asks for, and the text of a kernel module's <c>.modinfo</c> section.
/// </summary>
public sealed class ElfFile
{
    /// <summary>First four bytes of every ELF file, read as a little-endian number.</summary>
    public const uint Magic = 0x464c457f;

    private const int HeaderBytes = 64;
    private const uint SegmentDynamic = 2;
    private const uint SegmentInterpreter = 3;
    private const uint SegmentLoad = 1;
    private const ulong TagNeeded = 1;
    private const ulong TagStringTable = 5;

    private readonly byte[] _bytes;

    private ElfFile(byte[] bytes) => _bytes = bytes;

    /// <summary>Opens a file's bytes; false when they are no 64-bit little-endian ELF file.</summary>
    public static bool TryOpen(byte[] bytes, out ElfFile file)
    {
        file = new ElfFile(bytes);
        return bytes.Length >= HeaderBytes
            && BinaryPrimitives.ReadUInt32LittleEndian(bytes) == Magic && bytes[4] == 2 && bytes[5] == 1;
    }

    /// <summary>Path of the dynamic loader, or null for a static program or a library.</summary>
    public string? Interpreter()
    {
        foreach (Segment segment in Segments())
        {
            if (segment.Type == SegmentInterpreter)
            {
                return Text(segment.Offset);
            }
        }

        return null;
    }

    /// <summary>Names of the shared libraries that this file links against (<c>DT_NEEDED</c>), in the file's order.</summary>
    public IReadOnlyList<string> NeededLibraries()
    {
        var nameOffsets = new List<ulong>();
        ulong? stringTable = null;
        foreach (Segment segment in Segments().Where(s => s.Type == SegmentDynamic))
        {
            for (ulong at = segment.Offset; at + 16 <= segment.Offset + segment.FileBytes; at += 16)
            {
                ulong tag = U64(at);
                if (tag == TagNeeded)
                {
                    nameOffsets.Add(U64(at + 8));
                }
                else if (tag == TagStringTable)
                {
                    stringTable = FileOffset(U64(at + 8));
                }
            }
        }

        return stringTable is { } table ? [.. nameOffsets.Select(offset => Text(table + offset))] : [];
    }

    /// <summary>Values of one key of a kernel module's <c>.modinfo</c>, as in <c>depends=virtio,virtio_ring</c>.</summary>
    public IEnumerable<string> ModuleInformation(string key)
    {
        (ulong offset, ulong size) = Section(".modinfo");
        string prefix = key + "=";
        return Encoding.UTF8.GetString(Slice(offset, size)).Split('\0')
            .Where(line => line.StartsWith(prefix, StringComparison.Ordinal))
            .Select(line => line[prefix.Length..]);
    }

    private (ulong Offset, ulong Size) Section(string name)
    {
        ulong table = U64(0x28);
        ulong entryBytes = U16(0x3a);
        ulong names = U64(table + (U16(0x3e) * entryBytes) + 0x18);
        for (ulong at = table; at < table + (U16(0x3c) * entryBytes); at += entryBytes)
        {
            if (Text(names + U32(at)) == name)
            {
                return (U64(at + 0x18), U64(at + 0x20));
            }
        }

        return (0, 0);
    }

    private IEnumerable<Segment> Segments()
    {
        ulong table = U64(0x20);
        ulong entryBytes = U16(0x36);
        for (ulong index = 0; index < U16(0x38); index++)
        {
            ulong at = table + (index * entryBytes);
            yield return new Segment(U32(at), U64(at + 8), U64(at + 16), U64(at + 32));
        }
    }

    private ulong? FileOffset(ulong address)
    {
        foreach (Segment segment in Segments())
        {
            if (segment.Type == SegmentLoad && address >= segment.Address && address - segment.Address < segment.FileBytes)
            {
                return segment.Offset + (address - segment.Address);
            }
        }

        return null;
    }

    private string Text(ulong offset)
    {
        ReadOnlySpan<byte> rest = _bytes.AsSpan(checked((int)offset));
        int end = rest.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? rest : rest[..end]);
    }

    private ReadOnlySpan<byte> Slice(ulong offset, ulong size) => _bytes.AsSpan(checked((int)offset), checked((int)size));

    private ushort U16(ulong offset) => BinaryPrimitives.ReadUInt16LittleEndian(Slice(offset, 2));

    private uint U32(ulong offset) => BinaryPrimitives.ReadUInt32LittleEndian(Slice(offset, 4));

    private ulong U64(ulong offset) => BinaryPrimitives.ReadUInt64LittleEndian(Slice(offset, 8));

    private readonly record struct Segment(uint Type, ulong Offset, ulong Address, ulong FileBytes);
}
