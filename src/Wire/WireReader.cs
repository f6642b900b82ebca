using System.Buffers.Binary;
using System.Text;

namespace FtAkka.Wire;

/// <summary>Reads the fields of a frame from untrusted bytes. The first failure sticks; every later read gives a default value.</summary>
internal ref struct WireReader(ReadOnlySpan<byte> source)
{
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    private ReadOnlySpan<byte> _rest = source;

    /// <summary>What went wrong first, or <see cref="WireRefusal.None"/>.</summary>
    public WireRefusal Refusal { get; private set; }

    /// <summary>The bytes not yet read.</summary>
    public readonly ReadOnlySpan<byte> Rest => _rest;

    public ReadOnlySpan<byte> Bytes(int count)
    {
        if (Refusal != WireRefusal.None || (uint)count > (uint)_rest.Length)
        {
            Refuse(WireRefusal.Truncated);
            return default;
        }

        var taken = _rest[..count];
        _rest = _rest[count..];
        return taken;
    }

    public byte Byte()
    {
        var bytes = Bytes(1);
        return bytes.IsEmpty ? (byte)0 : bytes[0];
    }

    public ushort UInt16()
    {
        var bytes = Bytes(2);
        return bytes.IsEmpty ? (ushort)0 : BinaryPrimitives.ReadUInt16LittleEndian(bytes);
    }

    public int Int32()
    {
        var bytes = Bytes(4);
        return bytes.IsEmpty ? 0 : BinaryPrimitives.ReadInt32LittleEndian(bytes);
    }

    public long Int64()
    {
        var bytes = Bytes(8);
        return bytes.IsEmpty ? 0 : BinaryPrimitives.ReadInt64LittleEndian(bytes);
    }

    /// <summary>The UTF-8 bytes of a text of at most <paramref name="maxBytes"/> bytes; validity is checked by <see cref="Decode"/>.</summary>
    public ReadOnlySpan<byte> TextBytes(int maxBytes)
    {
        var length = UInt16();
        if (length > maxBytes)
        {
            Refuse(WireRefusal.BadText);
            return default;
        }

        return Bytes(length);
    }

    public string Text(int maxBytes) => Decode(TextBytes(maxBytes));

    /// <summary>Decodes bytes obtained from <see cref="TextBytes"/>.</summary>
    public string Decode(ReadOnlySpan<byte> utf8)
    {
        if (!System.Text.Unicode.Utf8.IsValid(utf8))
        {
            Refuse(WireRefusal.BadText);
            return string.Empty;
        }

        return StrictUtf8.GetString(utf8);
    }

    public void Refuse(WireRefusal refusal)
    {
        if (Refusal == WireRefusal.None)
        {
            Refusal = refusal;
            _rest = default;
        }
    }

    /// <summary>The verdict on the whole frame: the first failure, or bytes left over.</summary>
    public readonly WireRefusal End() =>
        Refusal != WireRefusal.None ? Refusal : _rest.IsEmpty ? WireRefusal.None : WireRefusal.TrailingBytes;
}
