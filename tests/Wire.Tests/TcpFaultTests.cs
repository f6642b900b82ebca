using System.Net;
using System.Net.Sockets;
using Akka.Actor;
using Akka.Event;

namespace FtAkka.Wire.Tests;

public sealed class TcpFaultTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task Restarted_peer_is_announced_and_reached_anew()
    {
        await using var a = WireNode.Start();
        var b = WireNode.Start();
        var port = b.Address.Port!.Value;
        var old = await a.Resolve(b);
        await old.Ask<Note>(new Note("before"), Patience);
        await b.DisposeAsync();

        await using var successor = WireNode.Start(port: port);
        await Eventually.Holds(() => Answers(a, successor), "an answer from the successor");

        var restart = Assert.Single(a.Events.OfType<WireEvents.PeerRestarted>());
        Assert.Equal(successor.Address, restart.Peer);
        Assert.True(restart.NewIncarnation > restart.OldIncarnation);
        old.Tell(new Note("to the old one"));
        await old.Ask<ActorIdentity>(new Identify(1), Patience);
        Assert.DoesNotContain(new Note("to the old one"), successor.Seen);
    }

    [Fact]
    public async Task Peer_that_was_cut_off_is_reached_again()
    {
        using var cable = new Cable(0);
        // B is known by the cable's port, so that everything to it runs through the cable.
        await using var behind = WireNode.Start($"akka.remote.dot-netty.tcp.public-port = {cable.Port}");
        cable.Target = behind.BoundPort();
        await using var a = WireNode.Start("akka.remote.wire { idle-timeout = 300ms, keep-alive-interval = 50ms }");
        Assert.True(Answers(a, behind));

        cable.Cut();
        await Eventually.Holds(() => a.Events.OfType<WireEvents.Disassociated>().Any(e => !e.Inbound), "the end of the connection");
        Assert.False(Answers(a, behind));
        cable.Mend();

        await Eventually.Holds(() => Answers(a, behind), "an answer after the cable was mended");
        Assert.DoesNotContain(a.Events, e => e is WireEvents.PeerRestarted);
    }

    [Fact]
    public async Task Silent_connection_is_given_up_after_the_idle_timeout()
    {
        using var cable = new Cable(0);
        await using var behind = WireNode.Start($"akka.remote.dot-netty.tcp.public-port = {cable.Port}");
        cable.Target = behind.BoundPort();
        await using var a = WireNode.Start("akka.remote.wire { idle-timeout = 300ms, keep-alive-interval = 50ms }");
        Assert.True(Answers(a, behind));

        cable.Freeze();

        await Eventually.Holds(() => a.Events.OfType<WireEvents.Disassociated>().Any(e =>
            e.Reason.Contains("idle-timeout", StringComparison.Ordinal)), "a connection given up for its silence");
    }

    [Fact]
    public async Task Unreachable_peer_costs_one_warning_and_dead_letters_but_no_retries_of_its_own()
    {
        var port = FreePort();
        await using var a = WireNode.Start("akka.remote { retry-gate-closed-for = 50ms, wire.retry-gate-maximum = 50ms }");
        var nobody = a.System.ActorSelection($"akka.tcp://test@127.0.0.1:{port}/user/echo");

        nobody.Tell(new Note("one"));
        await Eventually.Holds(() => a.Events.OfType<WireEvents.Disassociated>().Any(), "a failed attempt");
        var attempts = a.Events.OfType<WireEvents.Disassociated>().Count();
        await Task.Delay(500);   // ten times the gate: a retry would show

        Assert.Equal(attempts, a.Events.OfType<WireEvents.Disassociated>().Count());
        Assert.Equal(1, attempts);
        nobody.Tell(new Note("two"));
        await Eventually.Holds(() => a.Events.OfType<WireEvents.Disassociated>().Count() == 2, "a second attempt, on demand");
        nobody.Tell(new Note("gated"));
        await Eventually.Holds(() => a.Events.OfType<DeadLetter>().Any(l => l.Recipient.Path.Address.Port == port), "a dead letter");
        Assert.Single(a.Events.OfType<Warning>());
    }

    [Fact]
    public async Task Full_queue_makes_senders_wait_and_then_dead_letters()
    {
        using var cable = new Cable(0);
        await using var behind = WireNode.Start($"akka.remote.dot-netty.tcp.public-port = {cable.Port}");
        cable.Target = behind.BoundPort();
        await using var a = WireNode.Start("akka.remote.wire { send-queue-size = 64 KiB, send-queue-wait = 20ms }");
        var echo = await a.Resolve(behind);
        cable.Freeze();

        var message = new byte[32 * 1024];
        for (var i = 0; i < 1000 && !a.Events.OfType<DeadLetter>().Any(); i++)
        {
            echo.Tell(message, ActorRefs.NoSender);
        }

        Assert.Contains(a.Events.OfType<DeadLetter>(), letter => letter.Message is byte[]);
        Assert.Single(a.Events.OfType<Warning>(), w => w.Message.ToString()!.Contains("queue", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Older_process_at_the_same_address_is_refused()
    {
        var port = FreePort();
        await using var b = WireNode.Start();
        var first = WireNode.Start(port: port, incarnation: 2_000);
        Assert.True(Answers(first, b));
        await first.DisposeAsync();

        await using var leftover = WireNode.Start(port: port, incarnation: 1_000);

        Assert.False(Answers(leftover, b));
        await Eventually.Holds(() => leftover.Events.OfType<WireEvents.Superseded>().Any(), "the leftover learns that it is one");
        Assert.Equal(2_000, leftover.Events.OfType<WireEvents.Superseded>().First().NewestIncarnation);
        Assert.DoesNotContain(b.Events, e => e is WireEvents.PeerRestarted);
    }

    [Fact]
    public async Task Interceptor_handles_messages_before_the_mailbox_and_leaves_what_it_does_not_want()
    {
        await using var a = WireNode.Start();
        await using var b = WireNode.Start();
        var echo = await a.Resolve(b);
        await echo.Ask<Note>(new Note("first, to fill the caches"), Patience);
        var taker = new Taker();

        using (WireInterceptors.Of(b.System)!.ForRecipient(b.Echo, taker))
        {
            Assert.Equal("intercepted", (await echo.Ask<Note>(new Note("take"), Patience)).Text);
            Assert.Equal("echo: leave", (await echo.Ask<Note>(new Note("leave"), Patience)).Text);
        }

        Assert.Equal("echo: take", (await echo.Ask<Note>(new Note("take"), Patience)).Text);
        using (WireInterceptors.Of(b.System)!.ForManifest("note", taker))
        {
            Assert.Equal("intercepted", (await echo.Ask<Note>(new Note("take"), Patience)).Text);
        }

        Assert.Single(b.Seen, m => m.Equals(new Note("take")));
        Assert.All(taker.Threads, name => Assert.StartsWith("wire from", name, StringComparison.Ordinal));
    }

    private static bool Answers(WireNode from, WireNode to)
    {
        try
        {
            return from.SelectEcho(to).Ask<Note>(new Note("?"), TimeSpan.FromMilliseconds(500)).GetAwaiter().GetResult().Text == "echo: ?";
        }
        catch (AskTimeoutException)
        {
            return false;
        }
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    private sealed class Taker : IWireInterceptor
    {
        public System.Collections.Concurrent.ConcurrentBag<string> Threads { get; } = [];

        public bool TryHandle(in WireInbound message)
        {
            Threads.Add(Thread.CurrentThread.Name ?? "");
            if (!message.Body.SequenceEqual("take"u8))
            {
                return false;
            }

            Assert.Equal(NoteSerializer.Id, message.SerializerId);
            ((WireActorRef)message.Sender).TellEncoded(NoteSerializer.Id, "note", "intercepted"u8, message.Recipient);
            return true;
        }
    }
}
