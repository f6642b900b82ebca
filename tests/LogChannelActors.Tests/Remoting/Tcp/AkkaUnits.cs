using Akka.Actor;
using Google.Protobuf;

namespace FtAkka.LogChannelActors.Tests.Remoting.Tcp;

/// <summary>Units of Akka's protocol, written field by field.</summary>
internal static class AkkaUnits
{
    /// <summary>A handshake with this origin, of an incarnation.</summary>
    public static byte[] Associate(Address origin, ulong uid = 77)
    {
        var address = Bytes(stream =>
        {
            Text(stream, 1, origin.System);
            Text(stream, 2, origin.Host);
            stream.WriteTag(3, WireFormat.WireType.Varint);
            stream.WriteUInt32((uint)origin.Port!.Value);
            Text(stream, 4, "tcp");
        });
        var handshake = Bytes(stream =>
        {
            Block(stream, 1, address);
            stream.WriteTag(2, WireFormat.WireType.Fixed64);
            stream.WriteFixed64(uid);
        });
        return Bytes(stream => Block(stream, 2, Bytes(control =>
        {
            control.WriteTag(1, WireFormat.WireType.Varint);
            control.WriteEnum(1);
            Block(control, 2, handshake);
        })));
    }

    /// <summary>A message from nobody.</summary>
    public static byte[] Message(Address recipient, string path, int serializer, string manifest, byte[] body)
    {
        var message = Bytes(stream =>
        {
            Block(stream, 1, body);
            stream.WriteTag(2, WireFormat.WireType.Varint);
            stream.WriteInt32(serializer);
            Text(stream, 3, manifest);
        });
        var envelope = Bytes(stream =>
        {
            Block(stream, 1, Bytes(reference => Text(reference, 1, $"{recipient}{path}")));
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

    private static void Text(CodedOutputStream stream, int field, string text) => Block(stream, field, System.Text.Encoding.UTF8.GetBytes(text));

    private static void Block(CodedOutputStream stream, int field, byte[] bytes)
    {
        stream.WriteTag(field, WireFormat.WireType.LengthDelimited);
        stream.WriteBytes(UnsafeByteOperations.UnsafeWrap(bytes));
    }
}
