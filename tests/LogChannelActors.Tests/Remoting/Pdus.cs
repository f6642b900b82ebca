namespace FtAkka.LogChannelActors.Tests.Remoting;

/// <summary>Builds protocol units of Akka.Remote by hand, so that a test can make those that Akka.Remote would not.</summary>
internal static class Pdus
{
    public const ulong NoSequence = ulong.MaxValue;
    public const int Wire = WireMessageSerializer.Id;

    public static byte[] Heartbeat => Control(3);

    public static byte[] Control(long command, ProtoWriter? handshake = null)
    {
        var control = new ProtoWriter().Number(1, command);
        return new ProtoWriter().Block(2, handshake is null ? control : control.Block(2, handshake)).ToArray();
    }

    public static ProtoWriter Handshake(string system, string host, long port, string scheme = "tcp", ulong uid = 77) =>
        new ProtoWriter().Block(1, Origin(system, host, port, scheme)).Fixed(2, uid);

    public static ProtoWriter Origin(string system, string host, long port, string scheme = "tcp") =>
        new ProtoWriter().Text(1, system).Text(2, host).Number(3, port).Text(4, scheme);

    public static byte[] Associate(string system, string host, long port, string scheme = "tcp") => Control(1, Handshake(system, host, port, scheme));

    public static ProtoWriter Path(string path) => new ProtoWriter().Text(1, path);

    public static ProtoWriter Message(int serializer, string manifest, ReadOnlySpan<byte> body)
    {
        var message = new ProtoWriter().Block(1, body).Number(2, serializer);
        return manifest.Length == 0 ? message : message.Text(3, manifest);
    }

    public static ProtoWriter Envelope(string recipient, ProtoWriter message, string? sender, ulong sequence = NoSequence)
    {
        var envelope = new ProtoWriter().Block(1, Path(recipient)).Block(2, message);
        return (sender is null ? envelope : envelope.Block(4, Path(sender))).Fixed(5, sequence);
    }

    public static byte[] Container(ProtoWriter? ack, ProtoWriter? envelope)
    {
        var container = new ProtoWriter();
        container = ack is null ? container : container.Block(1, ack);
        return Payload(envelope is null ? container : container.Block(2, envelope));
    }

    public static byte[] Payload(ProtoWriter container) => new ProtoWriter().Block(1, container).ToArray();

    public static byte[] Tell(string recipient, string? sender = null, int serializer = Wire, string manifest = "la", ulong sequence = NoSequence) =>
        Container(null, Envelope(recipient, Message(serializer, manifest, [1, 2, 3]), sender, sequence));

    public static byte[] Select(string root, ProtoWriter message, params (int Kind, string? Name)[] elements)
    {
        var selection = new ProtoWriter().Block(1, message);
        foreach (var (kind, name) in elements)
        {
            var element = new ProtoWriter().Number(1, kind);
            selection.Block(2, name is null ? element : element.Text(2, name));
        }

        return Container(null, Envelope(root, Message(6, string.Empty, selection.ToArray()), null));
    }
}
