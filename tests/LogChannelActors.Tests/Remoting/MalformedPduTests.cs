using FtAkka.LogChannelActors.Remoting;

namespace FtAkka.LogChannelActors.Tests.Remoting;

/// <summary>Bytes that are no unit of Akka.Remote.</summary>
public sealed class MalformedPduTests
{
    private const string Node = Guards.Ours + "/user/node";
    private static readonly ProtoWriter Ours = Pdus.Message(Pdus.Wire, "la", [1]);

    private static ProtoWriter Envelope => Pdus.Envelope(Node, Ours, null);

    public static TheoryData<string, byte[], string> Units => new()
    {
        { "nothing", [], "not exactly one" },
        { "empty payload", new ProtoWriter().Block(1, []).ToArray(), "an empty unit" },
        { "empty control", new ProtoWriter().Block(2, []).ToArray(), "an empty unit" },
        { "both", [.. Pdus.Tell(Node), .. Pdus.Heartbeat], "not exactly one" },
        { "payload twice", [.. Pdus.Tell(Node), .. Pdus.Tell(Node)], "a field twice" },
        { "unknown field", [.. Pdus.Tell(Node), .. new ProtoWriter().Number(3, 1).ToArray()], "unknown field" },
        { "field zero", [0x02, 0x00], "unknown field" },
        { "field of two bytes", new ProtoWriter().Block(400, []).ToArray(), "unknown field" },
        { "payload as number", new ProtoWriter().Number(1, 5).ToArray(), "unknown field" },
        { "payload as group", [0x0B, 0x0C], "unknown field" },
        { "payload as 32 bits", [0x0D, 1, 2, 3, 4], "unknown field" },
        { "wire type six", [0x0E], "unknown field" },
        { "length without bytes", [0x0A, 0x05, 1], "truncated" },
        { "no length", [0x0A], "truncated" },
        { "length cut", [0x0A, 0x80], "truncated" },
        { "huge length", [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x07, 1], "truncated" },
        { "length of 64 bits", new ProtoWriter().Bytes(0x0A).Raw(ulong.MaxValue).ToArray(), "truncated" },
        { "length of 65 bits", [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02], "too large" },
        { "length of eleven bytes", [0x0A, .. Enumerable.Repeat((byte)0xFF, 11)], "too many bytes" },
        { "padded length", [0x0A, 0x80, 0x00], "padded" },
        { "command twice", new ProtoWriter().Block(2, new ProtoWriter().Number(1, 3).Number(1, 3)).ToArray(), "a field twice" },
        { "unknown field in control", new ProtoWriter().Block(2, new ProtoWriter().Number(1, 3).Number(3, 3)).ToArray(), "unknown field" },
        { "command beyond 32 bits", Pdus.Control(1L << 40), "beyond 32 bits" },
        { "unknown field in container", Pdus.Payload(new ProtoWriter().Block(2, Envelope).Block(3, [])), "unknown field" },
        { "envelope twice", Pdus.Payload(new ProtoWriter().Block(2, Envelope).Block(2, Envelope)), "a field twice" },
        { "unknown field in envelope", Pdus.Container(null, Envelope.Block(3, [])), "unknown field" },
        { "recipient twice", Pdus.Container(null, Envelope.Block(1, Pdus.Path(Node))), "a field twice" },
        { "sender twice", Pdus.Container(null, Pdus.Envelope(Node, Ours, Guards.Theirs + "/user/x").Block(4, Pdus.Path(Guards.Theirs + "/user/x"))), "a field twice" },
        { "path twice", Pdus.Container(null, new ProtoWriter().Block(1, Pdus.Path(Node).Text(1, Node)).Block(2, Ours).Fixed(5, Pdus.NoSequence)), "a field twice" },
        { "unknown field beside the path", Pdus.Container(null, new ProtoWriter().Block(1, Pdus.Path(Node).Text(2, Node)).Block(2, Ours)), "unknown field" },
        { "no recipient", Pdus.Container(null, new ProtoWriter().Block(2, Ours).Fixed(5, Pdus.NoSequence)), "recipient" },
        { "no message", Pdus.Container(null, new ProtoWriter().Block(1, Pdus.Path(Node)).Fixed(5, Pdus.NoSequence)), "without message" },
        { "serializer twice", Pdus.Container(null, Pdus.Envelope(Node, Pdus.Message(Pdus.Wire, "la", []).Number(2, 1), null)), "a field twice" },
        { "serializer beyond 32 bits", Pdus.Container(null, Pdus.Envelope(Node, new ProtoWriter().Number(2, (1L << 32) + 711), null)), "beyond 32 bits" },
        { "unknown field in message", Pdus.Container(null, Pdus.Envelope(Node, Pdus.Message(Pdus.Wire, "la", []).Number(4, 1), null)), "unknown field" },
        { "sequence as number", Pdus.Container(null, new ProtoWriter().Block(1, Pdus.Path(Node)).Block(2, Ours).Number(5, -1)), "unknown field" },
        { "sequence cut", Pdus.Container(null, new ProtoWriter().Block(1, Pdus.Path(Node)).Block(2, Ours).Bytes(0x29, 0xFF)), "truncated" },
        { "acknowledgement with unknown field", Pdus.Container(new ProtoWriter().Fixed(3, 1), null), "unknown field" },
        { "acknowledgement cut", Pdus.Container(new ProtoWriter().Bytes(0x09, 1), null), "truncated" },
        { "unknown field in handshake", Pdus.Control(1, Pdus.Handshake("ft", "host-a", 4053).Text(3, "cookie")), "unknown field" },
        { "unknown field in origin", Pdus.Control(1, new ProtoWriter().Block(1, Pdus.Origin("ft", "host-a", 4053).Text(5, "x"))), "unknown field" },
    };

    [Theory]
    [MemberData(nameof(Units))]
    public void Is_refused_with_its_reason(string what, byte[] pdu, string words)
    {
        Assert.NotEmpty(what);
        Guards.Refuses(Guards.Open(), pdu, words);
    }

    [Fact]
    public void Deep_nesting_is_refused_at_the_first_level_that_is_not_known()
    {
        var pdu = Array.Empty<byte>();
        for (var level = 0; level < 2_000; level++)
        {
            pdu = new ProtoWriter().Block(1, pdu).ToArray();
        }

        Guards.Refuses(Guards.Open(), pdu, "unknown field");
    }

    [Fact]
    public void Every_beginning_of_an_honest_unit_is_refused()
    {
        var whole = Pdus.Tell(Node, Guards.Theirs + "/user/node");
        for (var length = 0; length < whole.Length; length++)
        {
            Assert.NotNull(Guards.Open().Refuse(whole.AsSpan(0, length)));
            Assert.False(PduPeek.TryMessage(whole.AsSpan(0, length), out _, out _));
        }

        Assert.Null(Guards.Open().Refuse(whole));
    }

    [Fact]
    public void Peek_finds_serializer_and_manifest_and_nothing_in_control_units()
    {
        Assert.True(PduPeek.TryMessage(Pdus.Tell(Node, manifest: "lb"), out var serializer, out var manifest));
        Assert.Equal(Pdus.Wire, serializer);
        Assert.Equal("lb"u8.ToArray(), manifest.ToArray());
        Assert.False(PduPeek.TryMessage(Pdus.Heartbeat, out _, out _));
        Assert.False(PduPeek.TryMessage(Pdus.Container(new ProtoWriter().Fixed(1, 4), null), out _, out _));
    }

    [Fact]
    public void Honest_units_cost_no_allocation()
    {
        var guard = Guards.Open();
        var tell = Pdus.Tell(Node, Guards.Theirs + "/user/node#12345");
        guard.Refuse(tell);
        var heartbeat = Pdus.Heartbeat;
        Assert.Equal(0, Allocations.Least(tell, unit =>
        {
            for (var round = 0; round < 100; round++)
            {
                guard.Refuse(unit);
                guard.Refuse(heartbeat);
            }
        }));
        Assert.Null(guard.Refuse(tell));
    }
}
