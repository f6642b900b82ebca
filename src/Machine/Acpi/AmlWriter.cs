using System.Buffers.Binary;
using System.Text;

namespace FtAkka.Machine.Acpi;

/// <summary>
/// Writes the few ACPI Machine Language constructs the DSDT needs (ACPI 6.5, chapter 20). Blocks that carry a package length are
/// written by a callback into a fresh writer, whose length is then known.
/// </summary>
internal sealed class AmlWriter
{
    private const byte NameOp = 0x08, StringPrefix = 0x0D, BufferOp = 0x11, PackageOp = 0x12, ScopeOp = 0x10, ExtendedPrefix = 0x5B,
        DeviceOp = 0x82, RootPrefix = (byte)'\\', ZeroOp = 0x00, OneOp = 0x01, BytePrefix = 0x0A, WordPrefix = 0x0B, DWordPrefix = 0x0C,
        QWordPrefix = 0x0E;

    private readonly List<byte> bytes = [];

    public byte[] ToArray() => [.. bytes];

    /// <summary>Scope (20.2.5.1); a leading backslash means the root.</summary>
    public AmlWriter Scope(string name, Action<AmlWriter> content)
    {
        bytes.Add(ScopeOp);
        return Block(b => b.NameString(name), content);
    }

    /// <summary>Device (20.2.5.2).</summary>
    public AmlWriter Device(string name, Action<AmlWriter> content)
    {
        bytes.AddRange([ExtendedPrefix, DeviceOp]);
        return Block(b => b.NameString(name), content);
    }

    /// <summary>Name with an integer value.</summary>
    public AmlWriter Name(string name, ulong value) => NamePrefix(name).Integer(value);

    /// <summary>Name with a string value.</summary>
    public AmlWriter Name(string name, string value)
    {
        NamePrefix(name);
        bytes.Add(StringPrefix);
        bytes.AddRange(Encoding.ASCII.GetBytes(value));
        bytes.Add(0);
        return this;
    }

    /// <summary>Name with a package of integers (20.2.5.4).</summary>
    public AmlWriter Name(string name, ReadOnlySpan<ulong> package)
    {
        NamePrefix(name);
        bytes.Add(PackageOp);
        var elements = package.ToArray();
        return Block(b => b.bytes.Add((byte)elements.Length), b =>
        {
            foreach (var element in elements)
                b.Integer(element);
        });
    }

    /// <summary>Name with a resource template: a buffer of descriptors and an end tag (6.4).</summary>
    public AmlWriter Name(string name, ResourceTemplate resources)
    {
        NamePrefix(name);
        bytes.Add(BufferOp);
        var content = resources.ToArray();
        return Block(b => b.Integer((ulong)content.Length), b => b.bytes.AddRange(content));
    }

    /// <summary>Compressed EISA identifier such as PNP0501 (19.3.4), as an integer.</summary>
    public static uint EisaId(string id)
    {
        var letters = (id[0] - '@') << 10 | (id[1] - '@') << 5 | (id[2] - '@');
        var digits = Convert.ToUInt16(id[3..], 16);
        return BinaryPrimitives.ReverseEndianness((uint)letters << 16 | digits);
    }

    private AmlWriter NamePrefix(string name)
    {
        bytes.Add(NameOp);
        return NameString(name);
    }

    /// <summary>One name segment of up to four characters, padded with underscores (20.2.2).</summary>
    private AmlWriter NameString(string name)
    {
        var segment = name;
        if (name[0] == '\\')
        {
            bytes.Add(RootPrefix);
            segment = name[1..];
        }
        if (segment.Length is 0 or > 4)
            throw new ArgumentException($"'{name}' is not a single name segment.", nameof(name));
        bytes.AddRange(Encoding.ASCII.GetBytes(segment.PadRight(4, '_')));
        return this;
    }

    /// <summary>The shortest encoding of an integer (20.2.3).</summary>
    private AmlWriter Integer(ulong value)
    {
        Span<byte> buffer = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(buffer, value);
        switch (value)
        {
            case 0:
                bytes.Add(ZeroOp);
                break;
            case 1:
                bytes.Add(OneOp);
                break;
            case <= byte.MaxValue:
                bytes.AddRange([BytePrefix, (byte)value]);
                break;
            case <= ushort.MaxValue:
                bytes.Add(WordPrefix);
                bytes.AddRange(buffer[..2]);
                break;
            case <= uint.MaxValue:
                bytes.Add(DWordPrefix);
                bytes.AddRange(buffer[..4]);
                break;
            default:
                bytes.Add(QWordPrefix);
                bytes.AddRange(buffer);
                break;
        }
        return this;
    }

    private AmlWriter Block(Action<AmlWriter> head, Action<AmlWriter> content)
    {
        var inner = new AmlWriter();
        head(inner);
        content(inner);
        PackageLength(inner.bytes.Count);
        bytes.AddRange(inner.bytes);
        return this;
    }

    /// <summary>Length of a block including the length field itself (20.2.4): 1 byte up to 63, else 2 to 4 bytes.</summary>
    private void PackageLength(int contentBytes)
    {
        var fieldBytes = contentBytes switch
        {
            <= 0x3F - 1 => 1,
            <= 0xFFF - 2 => 2,
            <= 0xF_FFFF - 3 => 3,
            _ => 4,
        };
        var total = contentBytes + fieldBytes;
        if (fieldBytes == 1)
        {
            bytes.Add((byte)total);
            return;
        }
        bytes.Add((byte)((fieldBytes - 1) << 6 | total & 0xF));
        for (var i = 1; i < fieldBytes; i++)
            bytes.Add((byte)(total >> (4 + 8 * (i - 1))));
    }
}
