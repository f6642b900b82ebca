using System.Buffers.Binary;
using System.Text;

namespace FtAkka.Wire;

/// <summary>A growing byte buffer, reused from frame to frame, that writes the fields of a frame little-endian.</summary>
internal sealed class WireWriter(int capacity = 512)
{
    private byte[] _buffer = new byte[capacity];

    public int Length { get; private set; }

    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, Length);

    public void Clear() => Length = 0;

    /// <summary>Releases a buffer that one unusually large frame has made large.</summary>
    public void Trim(int maxCapacity)
    {
        Length = 0;
        if (_buffer.Length > maxCapacity)
        {
            _buffer = new byte[capacity];
        }
    }

    public void Byte(byte value) => Take(1)[0] = value;

    public void UInt16(ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(Take(2), value);

    public void Int32(int value) => BinaryPrimitives.WriteInt32LittleEndian(Take(4), value);

    public void Int64(long value) => BinaryPrimitives.WriteInt64LittleEndian(Take(8), value);

    public void Bytes(ReadOnlySpan<byte> value) => value.CopyTo(Take(value.Length));

    /// <summary>Writes a text with its length in front; false, with nothing written, if it is longer than the limit.</summary>
    public bool TryText(string value, int maxBytes)
    {
        var length = Encoding.UTF8.GetByteCount(value);
        if (length > maxBytes)
        {
            return false;
        }

        UInt16((ushort)length);
        Encoding.UTF8.GetBytes(value, Take(length));
        return true;
    }

    /// <summary>Writes text bytes with their length in front.</summary>
    public void TextBytes(ReadOnlySpan<byte> utf8)
    {
        UInt16(checked((ushort)utf8.Length));
        Bytes(utf8);
    }

    private Span<byte> Take(int count)
    {
        if (_buffer.Length - Length < count)
        {
            Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, Length + count));
        }

        var span = _buffer.AsSpan(Length, count);
        Length += count;
        return span;
    }
}
