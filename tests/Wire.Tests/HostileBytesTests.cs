using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using Akka.Actor;
using Akka.Event;
using FtAkka.Wire.Tcp;

namespace FtAkka.Wire.Tests;

public sealed class HostileBytesTests
{
    private const int Seed = 20261122;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: x\r\n\r\n")]
    [InlineData("\0\0\0\0")]
    [InlineData("\u0001\0\0\0\u0010")]
    public async Task Stranger_is_cut_off_with_one_line(string greeting)
    {
        await using var a = WireNode.Start();

        await AssertClosedAsync(a, Encoding.Latin1.GetBytes(greeting));

        Assert.Single(a.Events.OfType<Warning>());
        Assert.DoesNotContain(a.Events, e => e is Error);
    }

    [Fact]
    public async Task Silent_stranger_is_cut_off_after_the_connection_timeout()
    {
        await using var a = WireNode.Start("akka.remote.dot-netty.tcp.connection-timeout = 200ms");

        await AssertClosedAsync(a, []);
    }

    [Fact]
    public async Task Many_strangers_do_not_fill_the_log_and_do_not_shut_others_out()
    {
        await using var a = WireNode.Start("akka.remote.wire.maximum-connections = 8");
        await using var b = WireNode.Start();
        for (var i = 0; i < 200; i++)
        {
            await AssertClosedAsync(a, "nonsense"u8.ToArray());
        }

        Assert.Equal("echo: still here", (await b.SelectEcho(a).Ask<Note>(new Note("still here"), Patience)).Text);
        Assert.InRange(a.Events.OfType<Warning>().Count(), 1, 60);
    }

    [Fact]
    public async Task Frame_above_the_limit_ends_the_connection()
    {
        await using var a = WireNode.Start();
        var length = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, int.MaxValue);

        await AssertClosedAsync(a, [.. Greeting(a), .. length]);

        Assert.Contains(a.Events.OfType<Warning>(), w => w.Message.ToString()!.Contains("BadFrameLength", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Handshake_for_another_address_is_refused()
    {
        await using var a = WireNode.Start();
        var hello = TcpFrame.WriteHello(new TcpFrame.Hello("test", "127.0.0.1", 1, 1, "n", "test", "127.0.0.1", 1));

        await AssertClosedAsync(a, hello);

        Assert.Contains(a.Events.OfType<Warning>(), w => w.Message.ToString()!.Contains("WrongTarget", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(4, "", "SerializerNotAccepted")]           // Akka's own for byte arrays
    [InlineData(1, "System.String", "SerializerNotAccepted")]   // Akka's JSON serializer: names a type of the sender's choosing
    [InlineData(NoteSerializer.Id, "System.Diagnostics.Process", "BodyRefused")]
    [InlineData(NoteSerializer.Id, "harmful", "BodyRefused")]   // a serializer that would make a PoisonPill
    public async Task Body_that_is_not_ours_ends_the_connection(int serializer, string manifest, string reason)
    {
        await using var a = WireNode.Start();

        await AssertClosedAsync(a, [.. Greeting(a), .. Frame(Message(serializer, manifest, "{}"u8))]);

        Assert.Contains(a.Events.OfType<Warning>(), w => w.Message.ToString()!.Contains(reason, StringComparison.Ordinal));
        Assert.Empty(a.Seen);
        Assert.Equal("echo: alive", (await a.Echo.Ask<Note>(new Note("alive"), Patience)).Text);
    }

    [Fact]
    public async Task A_hundred_thousand_mutated_envelopes_give_refusals_and_no_exceptions()
    {
        const int Count = 120_000;
        await using var a = WireNode.Start();
        var provider = (WireActorRefProvider)((ExtendedActorSystem)a.System).Provider;
        var session = provider.Open(new WirePeer(new Address("akka.tcp", "test", "peer", 1), 1, "peer"));
        byte[][] samples =
        [
            Message(NoteSerializer.Id, "note", "body"u8),
            Envelope(writer =>
            {
                writer.Byte(WireEnvelope.KindSelection);
                writer.TryText("/", 100);
                writer.Byte(WireEnvelope.RefOfSender);
                writer.TryText("/user/x#12", 100);
                WireEnvelope.TryWriteElements(writer, [new SelectChildName("user"), new SelectChildPattern("e*"), new SelectParent()], true);
                writer.Byte(WireEnvelope.BodyIdentify);
                WireEnvelope.TryWriteIdentifyId(writer, "who");
            }),
            Envelope(writer =>
            {
                writer.Byte(WireEnvelope.KindMessage);
                writer.TryText("/user/echo", 100);
                writer.Byte(WireEnvelope.RefAbsolute);
                writer.TryText("akka.tcp://test@other:77/user/x#12", 100);
                writer.Byte(WireEnvelope.BodyActorIdentity);
                WireEnvelope.TryWriteIdentifyId(writer, 7L);
                writer.Byte(1);
                writer.Byte(WireEnvelope.RefOfSender);
                writer.TryText("/user/y", 100);
            }),
        ];
        Assert.All(samples, sample => Assert.Equal(WireRefusal.None, session.Deliver(sample)));
        var random = new Random(Seed);
        var refused = 0;

        for (var i = 0; i < Count; i++)
        {
            var body = MutatedBytes.Mutate(random, samples[random.Next(samples.Length)]);
            refused += session.Deliver(body) != WireRefusal.None ? 1 : 0;
        }

        Assert.InRange(refused, Count / 4, Count - 1);
        Assert.DoesNotContain(a.Events, e => e is Error);
    }

    [Fact]
    public void A_hundred_thousand_mutated_handshakes_are_judged_without_exceptions()
    {
        var hello = TcpFrame.WriteHello(new TcpFrame.Hello("sys", "host", 1, 2, "node", "sys", "there", 3))[TcpFrame.HeaderBytes..];
        var welcome = TcpFrame.WriteWelcome(new TcpFrame.Welcome(WireRefusal.None, 5, "node", 0))[TcpFrame.HeaderBytes..];
        Assert.Equal(WireRefusal.None, TcpFrame.ReadHello(hello, out _));
        Assert.Equal(WireRefusal.None, TcpFrame.ReadWelcome(welcome, out _));
        var random = new Random(Seed);
        var refused = 0;

        for (var i = 0; i < 60_000; i++)
        {
            refused += TcpFrame.ReadHello(MutatedBytes.Mutate(random, hello), out _) != WireRefusal.None ? 1 : 0;
            refused += TcpFrame.ReadWelcome(MutatedBytes.Mutate(random, welcome), out _) != WireRefusal.None ? 1 : 0;
        }

        Assert.InRange(refused, 60_000, 119_999);
    }

    private static byte[] Greeting(WireNode node) => TcpFrame.WriteHello(new TcpFrame.Hello(
        "test", "127.0.0.1", 1, 1, "stranger", node.Address.System, node.Address.Host, node.Address.Port!.Value));

    private static byte[] Message(int serializer, string manifest, ReadOnlySpan<byte> body)
    {
        var text = body.ToArray();
        return Envelope(writer =>
        {
            writer.Byte(WireEnvelope.KindMessage);
            writer.TryText("/user/echo", 100);
            writer.Byte(WireEnvelope.RefNone);
            writer.Byte(WireEnvelope.BodySerialized);
            writer.Int32(serializer);
            writer.TryText(manifest, 100);
            writer.Bytes(text);
        });
    }

    private static byte[] Envelope(Action<WireWriter> write)
    {
        var writer = new WireWriter();
        write(writer);
        return writer.Written.ToArray();
    }

    private static byte[] Frame(byte[] envelope)
    {
        var frame = new byte[4 + envelope.Length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, envelope.Length);
        envelope.CopyTo(frame, 4);
        return frame;
    }

    private static async Task AssertClosedAsync(WireNode node, byte[] bytes)
    {
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", node.Address.Port!.Value);
        using var timeout = new CancellationTokenSource(Patience);
        try
        {
            await client.GetStream().WriteAsync(bytes, timeout.Token);
            var buffer = new byte[1024];
            while (await client.GetStream().ReadAsync(buffer, timeout.Token) > 0)
            {
                // The answer to a handshake comes first.
            }
        }
        catch (IOException)
        {
            // Reset: closed as well.
        }

        await Eventually.Holds(() => node.Events.OfType<Warning>().Any() || bytes.Length == 0, "a line in the log");
    }
}
