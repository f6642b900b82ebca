using System.Text;

namespace FtAkka.LogChannelActors.Tests.Remoting;

/// <summary>Writes one protobuf message field by field, in any order and any number, as no honest peer would.</summary>
internal sealed class ProtoWriter
{
    private readonly List<byte> bytes = [];

    public byte[] ToArray() => [.. bytes];

    public ProtoWriter Block(int field, ReadOnlySpan<byte> content)
    {
        Raw((ulong)((field << 3) | 2)).Raw((ulong)content.Length);
        bytes.AddRange(content);
        return this;
    }

    public ProtoWriter Block(int field, ProtoWriter content) => Block(field, content.ToArray());

    public ProtoWriter Text(int field, string text) => Block(field, Encoding.UTF8.GetBytes(text));

    public ProtoWriter Number(int field, long value) => Raw((ulong)(field << 3)).Raw((ulong)value);

    public ProtoWriter Fixed(int field, ulong value)
    {
        Raw((ulong)((field << 3) | 1));
        bytes.AddRange(BitConverter.GetBytes(value));
        return this;
    }

    /// <summary>A number of variable length, without a field's tag before it.</summary>
    public ProtoWriter Raw(ulong value)
    {
        for (; value >= 0x80; value >>= 7)
        {
            bytes.Add((byte)(value | 0x80));
        }

        bytes.Add((byte)value);
        return this;
    }

    public ProtoWriter Bytes(params byte[] more)
    {
        bytes.AddRange(more);
        return this;
    }
}
