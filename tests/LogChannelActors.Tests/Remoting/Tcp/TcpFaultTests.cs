using System.Net;
using FtAkka.VmmHost.Tests.Failover;
using System.Net.Sockets;
using Akka.Actor;
using Akka.Remote;

namespace FtAkka.LogChannelActors.Tests.Remoting.Tcp;

public sealed class TcpFaultTests : IDisposable
{
    private const string Impatient = "keep-alive-interval = 100ms\nidle-timeout = 400ms";
    private readonly TestAuthority _authority = new();

    public void Dispose() => _authority.Dispose();

    [Fact]
    public async Task Restarted_peer_is_reached_under_the_same_address()
    {
        await using var a = TcpNode.Start();
        var b = TcpNode.Start();
        var port = b.Address.Port!.Value;
        var old = await a.Resolve(b);
        await b.DisposeAsync();

        await using var successor = TcpNode.Start(port: port);
        await Eventually.Holds(() => Answers(a, successor), "an answer from the successor", () => a.Lines);

        old.Tell(new Note("to the old one"));
        Assert.True(Answers(a, successor));
        Assert.DoesNotContain(new Note("to the old one"), successor.Seen);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Peer_that_was_cut_off_is_reached_again(bool tls)
    {
        await using var pair = Pair.Start(this, tls);

        for (var pulls = 0; pulls < 3; pulls++)
        {
            var before = pair.A.Events.OfType<DisassociatedEvent>().Count();
            pair.Cable.Cut();
            await Eventually.Holds(() => pair.A.Events.OfType<DisassociatedEvent>().Count() > before, "the end of the association", () => pair.A.Lines);
            pair.Cable.Mend();

            await Eventually.Holds(() => Answers(pair.A, pair.B), "an answer after the cable was mended", () => pair.A.Lines);
        }

        Assert.DoesNotContain(pair.A.Events, e => e is QuarantinedEvent);
    }

    [Fact]
    public async Task Reset_of_one_end_only_is_noticed_by_the_other_for_its_silence()
    {
        await using var pair = Pair.Start(this, tls: true);

        pair.Cable.ResetFarEnds();

        await Eventually.Holds(() => Answers(pair.A, pair.B), "an answer over a new connection", () => pair.A.Lines);
        Assert.True(pair.Cable.Accepted >= 2);
        Assert.DoesNotContain(pair.A.Events, e => e is QuarantinedEvent);
    }

    [Fact]
    public async Task Silent_peer_is_given_up_and_one_that_only_sends_is_not()
    {
        await using var pair = Pair.Start(this, tls: false);
        var echo = await pair.A.Resolve(pair.B);
        for (var i = 0; i < 10; i++)
        {
            echo.Tell(new Note("one way"), ActorRefs.NoSender);
            await Task.Delay(100);
        }

        Assert.DoesNotContain(pair.A.Events, e => e is DisassociatedEvent);
        pair.Cable.Freeze();

        await Eventually.Holds(() => pair.A.Lines.Contains("silent for idle-timeout", StringComparison.Ordinal), "a connection given up", () => pair.A.Lines);
    }

    /// <summary>A peer that only receives is asked to answer: the question must not wait until nothing else is left to say.</summary>
    [Fact]
    public async Task Signal_passes_between_two_large_messages_of_a_full_queue()
    {
        const int Count = 64, Ping = 2;
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        await using var node = TcpNode.Start("keep-alive-interval = 100ms\nidle-timeout = 120s");
        var peer = new Address("tcp", "test", "127.0.0.1", ((IPEndPoint)listener.LocalEndpoint).Port);
        ActorSelection echo = node.System.ActorSelection($"{peer.WithProtocol("akka.tcp")}/user/echo");
        for (var i = 0; i < Count; i++)
        {
            echo.Tell(new Note(new string('x', 256 * 1024)), ActorRefs.NoSender);
        }

        await using RawPeer raw = await RawPeer.AcceptAsync(listener);
        await raw.ReadUnitAsync();
        await raw.SendAsync(AkkaUnits.Associate(peer));
        int units = 0, pings = 0;
        while (units < Count / 2)
        {
            int signal = await raw.ReadSlowlyAsync(piece: 64 * 1024, TimeSpan.FromMilliseconds(5));
            (units, pings) = (units + (signal == 0 ? 1 : 0), pings + (signal == Ping ? 1 : 0));
        }

        Assert.True(pings > 0, $"no ping among {units} large messages");
    }

    [Fact]
    public async Task Full_queue_keeps_messages_in_order_until_there_is_room()
    {
        const int Count = 400;
        await using var pair = Pair.Start(this, tls: true, "send-queue-size = 64 KiB\nidle-timeout = 120s");
        var echo = await pair.A.Resolve(pair.B);
        pair.Cable.Freeze();
        for (var i = 0; i < Count; i++)
        {
            echo.Tell(new Note($"{i}:{new string('x', 32 * 1024)}"), ActorRefs.NoSender);
        }

        pair.Cable.Mend();

        await Eventually.Holds(() => Long().Count() == Count, $"{Count} notes", () => $"{Long().Count()} came\n{pair.A.Lines}");
        Assert.Equal(Enumerable.Range(0, Count).Select(i => $"{i}"), Long().Select(n => n.Text.Split(':')[0]));

        IEnumerable<Note> Long() => pair.B.Seen.OfType<Note>().Where(n => n.Text.Length > 1000);
    }

    /// <summary>What waits for a peer that does not read leaves no room for others; Akka keeps their messages until there is some.</summary>
    [Fact]
    public async Task Queues_of_all_peers_together_are_bounded_and_nothing_is_lost()
    {
        const int Count = 100;
        await using var pair = Pair.Start(this, tls: false, "send-queue-size = 8 MiB\nsend-queue-total = 1 MiB\nidle-timeout = 120s");
        await using var other = TcpNode.Start();
        var echo = await pair.A.Resolve(pair.B);
        var free = await pair.A.Resolve(other);
        pair.Cable.Freeze();
        for (var i = 0; i < Count; i++)
        {
            echo.Tell(new Note($"{i}:{new string('x', 128 * 1024)}"), ActorRefs.NoSender);
        }

        free.Tell(new Note("last"), ActorRefs.NoSender);
        pair.Cable.Mend();

        await Eventually.Holds(() => Long().Count() == Count, $"{Count} notes", () => $"{Long().Count()} came\n{pair.A.Lines}");
        await Eventually.Holds(() => other.Seen.OfType<Note>().Any(note => note.Text == "last"), "the third peer's note", () => pair.A.Lines);
        Assert.Equal(Enumerable.Range(0, Count).Select(i => $"{i}"), Long().Select(n => n.Text.Split(':')[0]));

        IEnumerable<Note> Long() => pair.B.Seen.OfType<Note>().Where(n => n.Text.Length > 1000);
    }

    [Fact]
    public async Task Unreachable_address_is_dialled_once_within_redial_after_and_named_with_its_reason()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        var dials = 0;
        _ = Task.Run(async () =>
        {
            while (true)
            {
                (await listener.AcceptTcpClientAsync()).Dispose();
                Interlocked.Increment(ref dials);
            }
        });
        await using var a = TcpNode.Start("redial-after = 1h");
        var nobody = a.System.ActorSelection($"akka.tcp://test@127.0.0.1:{port}/user/echo");

        for (var i = 0; i < 20; i++)
        {
            nobody.Tell(new Note("one"));
            await Task.Delay(20);
        }

        await Eventually.Holds(() => a.Lines.Contains("not tried again within redial-after", StringComparison.Ordinal), "a dial that was not made", () => a.Lines);
        Assert.Equal(1, Volatile.Read(ref dials));
        Assert.Contains($"tcp://test@127.0.0.1:{a.Address.Port} cannot reach tcp://test@127.0.0.1:{port}: the peer closed the connection", a.Lines, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Address_that_does_not_answer_is_given_up_after_the_connection_timeout()
    {
        // A queue of one that nobody empties: the kernel answers no further connection.
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(0);
        var port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        using var filler = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await filler.ConnectAsync(IPAddress.Loopback, port);
        await using var a = TcpNode.Start("connection-timeout = 700ms\nconnect-attempt-timeout = 200ms");

        a.System.ActorSelection($"akka.tcp://test@127.0.0.1:{port}/user/echo").Tell(new Note("hello"));

        await Eventually.Holds(() => a.Lines.Contains("within connection-timeout", StringComparison.Ordinal), "an attempt given up", () => a.Lines);
    }

    private static bool Answers(TcpNode from, TcpNode to)
    {
        try
        {
            return from.SelectEcho(to).Ask<Note>(new Note("?"), TimeSpan.FromSeconds(1)).GetAwaiter().GetResult().Text == "echo: ?";
        }
        catch (AskTimeoutException)
        {
            return false;
        }
    }

    /// <summary>Two nodes; whatever A sends to B runs through the cable.</summary>
    private sealed class Pair(TcpNode a, TcpNode b, Cable cable) : IAsyncDisposable
    {
        public TcpNode A => a;

        public TcpNode B => b;

        public Cable Cable => cable;

        public static Pair Start(TcpFaultTests test, bool tls, string tcp = Impatient)
        {
            var port = FreePort.Next();
            var cable = new Cable(port);
            var b = TcpNode.Start($"{tcp}\npublic-port = {cable.Port}\nport = {port}", tls ? test._authority.Issue("node-b") : null);
            var a = TcpNode.Start(tcp, tls ? test._authority.Issue("node-a") : null);
            Assert.True(Answers(a, b) || Answers(a, b) || Answers(a, b), a.Lines);
            return new Pair(a, b, cable);
        }

        public async ValueTask DisposeAsync()
        {
            await a.DisposeAsync();
            await b.DisposeAsync();
            cable.Dispose();
        }
    }
}
