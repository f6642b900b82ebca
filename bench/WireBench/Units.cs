using System.Text;
using Akka.Actor;
using Google.Protobuf;

namespace FtAkka.WireBench;

/// <summary>Units of Akka's protocol, written field by field.</summary>
internal static class Units
{
    public static byte[] Associate(Address origin)
    {
        var address = Bytes(stream =>
        {
            Block(stream, 1, Encoding.UTF8.GetBytes(origin.System));
            Block(stream, 2, Encoding.UTF8.GetBytes(origin.Host));
            stream.WriteTag(3, WireFormat.WireType.Varint);
            stream.WriteUInt32((uint)origin.Port!.Value);
            Block(stream, 4, "tcp"u8.ToArray());
        });
        var handshake = Bytes(stream =>
        {
            Block(stream, 1, address);
            stream.WriteTag(2, WireFormat.WireType.Fixed64);
            stream.WriteFixed64(1);
        });
        return Bytes(stream => Block(stream, 2, Bytes(control =>
        {
            control.WriteTag(1, WireFormat.WireType.Varint);
            control.WriteEnum(1);
            Block(control, 2, handshake);
        })));
    }

    /// <summary>A message of so many bytes to an actor.</summary>
    public static byte[] Message(Address recipient, int size)
    {
        var message = Bytes(stream =>
        {
            Block(stream, 1, new byte[size]);
            stream.WriteTag(2, WireFormat.WireType.Varint);
            stream.WriteInt32(4);
        });
        var envelope = Bytes(stream =>
        {
            Block(stream, 1, Bytes(reference => Block(reference, 1, Encoding.UTF8.GetBytes($"akka.{recipient}/user/x"))));
            Block(stream, 2, message);
            stream.WriteTag(5, WireFormat.WireType.Fixed64);
            stream.WriteFixed64(ulong.MaxValue);
        });
        return Bytes(stream => Block(stream, 1, Bytes(container => Block(container, 2, envelope))));
    }

    private static byte[] Bytes(Action<CodedOutputStream> write)
    {
        using var memory = new MemoryStream();
        using (var stream = new CodedOutputStream(memory, leaveOpen: true))
        {
            write(stream);
        }

        return memory.ToArray();
    }

    private static void Block(CodedOutputStream stream, int field, byte[] bytes)
    {
        stream.WriteTag(field, WireFormat.WireType.LengthDelimited);
        stream.WriteBytes(UnsafeByteOperations.UnsafeWrap(bytes));
    }
}
