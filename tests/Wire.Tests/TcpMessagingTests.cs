using Akka.Actor;

namespace FtAkka.Wire.Tests;

public sealed class TcpMessagingTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task Ask_by_selection_is_answered()
    {
        await using var a = WireNode.Start();
        await using var b = WireNode.Start();

        var answer = await a.SelectEcho(b).Ask<Note>(new Note("hello"), Patience);

        Assert.Equal("echo: hello", answer.Text);
        Assert.Equal("akka.tcp", b.Address.Protocol);
    }

    [Fact]
    public async Task Resolved_reference_carries_the_uid_and_is_answered()
    {
        await using var a = WireNode.Start();
        await using var b = WireNode.Start();

        var echo = await a.Resolve(b);
        var answer = await echo.Ask<Note>(new Note("again"), Patience);

        Assert.Equal("echo: again", answer.Text);
        Assert.Equal(b.Echo.Path.Uid, echo.Path.Uid);
        Assert.Equal(b.Address, echo.Path.Address);
    }

    [Fact]
    public async Task Identify_of_an_absent_actor_is_answered_with_nobody()
    {
        await using var a = WireNode.Start();
        await using var b = WireNode.Start();

        var identity = await a.System.ActorSelection($"{b.Address}/user/nobody").Ask<ActorIdentity>(new Identify("who"), Patience);

        Assert.Null(identity.Subject);
        Assert.Equal("who", identity.MessageId);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("text")]
    [InlineData(7)]
    [InlineData(7_000_000_000L)]
    public async Task Identify_returns_its_correlation_value(object? id)
    {
        await using var a = WireNode.Start();
        await using var b = WireNode.Start();

        var identity = await a.SelectEcho(b).Ask<ActorIdentity>(new Identify(id), Patience);

        Assert.Equal(id, identity.MessageId);
        Assert.NotNull(identity.Subject);
    }

    [Fact]
    public async Task Wildcard_selection_reaches_every_match()
    {
        await using var a = WireNode.Start();
        await using var b = WireNode.Start();
        var second = new System.Collections.Concurrent.ConcurrentQueue<object>();
        b.System.ActorOf(Props.Create(() => new EchoActor(second)), "echo2");

        a.System.ActorSelection($"{b.Address}/user/echo*").Tell(new Note("all"), ActorRefs.NoSender);

        await Eventually.Holds(() => b.Seen.Contains(new Note("all")) && second.Contains(new Note("all")), "both echoes got the note");
    }

    [Fact]
    public async Task Message_to_a_predecessor_does_not_reach_the_successor_of_the_same_name()
    {
        await using var a = WireNode.Start();
        await using var b = WireNode.Start();
        var seen = new System.Collections.Concurrent.ConcurrentQueue<object>();
        var first = b.System.ActorOf(Props.Create(() => new EchoActor(seen)), "child");
        var remote = await a.System.ActorSelection($"{b.Address}/user/child").ResolveOne(Patience);
        await remote.Ask<Note>(new Note("to the first"), Patience);
        await first.GracefulStop(Patience);
        await Eventually.Holds(() => TryStart("child"), "the name is free again");

        remote.Tell(new Note("to the first, too late"));

        await Eventually.Holds(() => b.Events.OfType<Akka.Event.DeadLetter>().Any(letter =>
            letter.Message is Note { Text: "to the first, too late" }), "a dead letter at the receiver");
        Assert.DoesNotContain(new Note("to the first, too late"), seen);

        bool TryStart(string name)
        {
            try
            {
                b.System.ActorOf(Props.Create(() => new EchoActor(seen)), name);
                return true;
            }
            catch (InvalidActorNameException)
            {
                return false;   // the guardian has not yet forgotten the first
            }
        }
    }

    [Fact]
    public async Task Messages_of_one_sender_arrive_in_order_and_complete()
    {
        const int Count = 50_000;
        await using var a = WireNode.Start();
        await using var b = WireNode.Start();
        var echo = await a.Resolve(b);

        for (var i = 0; i < Count; i++)
        {
            echo.Tell(new Note($"{i}"), ActorRefs.NoSender);
        }

        await Eventually.Holds(() => b.Seen.Count(m => m is Note) == Count, $"{Count} notes");
        Assert.Equal(Enumerable.Range(0, Count).Select(i => $"{i}"), b.Seen.OfType<Note>().Select(n => n.Text));
    }

    [Fact]
    public async Task Messages_of_many_senders_at_once_arrive_complete_and_in_order_for_each()
    {
        const int Senders = 8;
        const int Count = 5_000;
        await using var a = WireNode.Start();
        await using var b = WireNode.Start();
        var echo = await a.Resolve(b);

        await Task.WhenAll(Enumerable.Range(0, Senders).Select(sender => Task.Run(() =>
        {
            for (var i = 0; i < Count; i++)
            {
                echo.Tell(new Note($"{sender}:{i}"), ActorRefs.NoSender);
            }
        })));

        await Eventually.Holds(() => b.Seen.Count(m => m is Note) == Senders * Count, "all notes");
        foreach (var group in b.Seen.OfType<Note>().GroupBy(n => n.Text.Split(':')[0]))
        {
            Assert.Equal(Enumerable.Range(0, Count).Select(i => $"{group.Key}:{i}"), group.Select(n => n.Text));
        }
    }

    [Fact]
    public async Task Message_larger_than_the_read_buffer_arrives_whole()
    {
        await using var a = WireNode.Start("akka.remote.dot-netty.tcp.maximum-frame-size = 4 MiB");
        await using var b = WireNode.Start("akka.remote.dot-netty.tcp.maximum-frame-size = 4 MiB");
        var echo = await a.Resolve(b);
        var text = string.Concat(Enumerable.Range(0, 300_000).Select(i => $"{i},"));

        var answer = await echo.Ask<Note>(new Note(text), Patience);

        Assert.Equal("echo: " + text, answer.Text);
    }

    [Fact]
    public async Task Message_above_the_frame_size_is_a_dead_letter_of_the_sender_and_harms_nothing()
    {
        await using var a = WireNode.Start();
        await using var b = WireNode.Start();
        var echo = await a.Resolve(b);

        echo.Tell(new Note(new string('x', 200_000)));
        var answer = await echo.Ask<Note>(new Note("small"), Patience);

        Assert.Equal("echo: small", answer.Text);
        Assert.Contains(a.Events.OfType<Akka.Event.DeadLetter>(), letter => letter.Message is Note { Text.Length: 200_000 });
        Assert.DoesNotContain(a.Events, e => e is WireEvents.Disassociated);
    }

    [Fact]
    public async Task Message_without_an_accepted_serializer_is_not_sent_and_reported_once()
    {
        await using var a = WireNode.Start();
        await using var b = WireNode.Start();
        var echo = await a.Resolve(b);

        echo.Tell(new Unlisted(1));
        echo.Tell(new Unlisted(2));
        await echo.Ask<Note>(new Note("after"), Patience);
        await Eventually.Holds(() => a.Events.OfType<Akka.Event.DeadLetter>().Count(l => l.Message is Unlisted) == 2, "two dead letters");

        Assert.DoesNotContain(b.Seen, m => m is Unlisted);
        Assert.Single(a.Events.OfType<Akka.Event.Error>());
    }

    [Fact]
    public async Task Reference_in_a_forwarded_message_answers_a_third_system()
    {
        await using var a = WireNode.Start();
        await using var b = WireNode.Start();
        await using var c = WireNode.Start();
        var echoOfC = await b.Resolve(c);
        var echoOfA = await b.Resolve(a);

        // B speaks in A's name: C must answer A.
        echoOfC.Tell(new Note("from a, by b"), echoOfA);

        await Eventually.Holds(() => a.Seen.Contains(new Note("echo: from a, by b")), "C's answer at A");
    }

    [Fact]
    public async Task Queued_messages_leave_before_an_orderly_stop()
    {
        const int Count = 20_000;
        await using var b = WireNode.Start();
        var a = WireNode.Start();
        var echo = await a.Resolve(b);
        for (var i = 0; i < Count; i++)
        {
            echo.Tell(new Note("flush"), ActorRefs.NoSender);
        }

        await a.DisposeAsync();

        await Eventually.Holds(() => b.Seen.Count(m => m is Note) == Count, $"{Count} notes");
        Assert.DoesNotContain(b.Events, e => e is Akka.Event.Warning);
    }

    [Fact]
    public async Task Watch_of_a_remote_actor_is_reported_as_unanswered()
    {
        await using var a = WireNode.Start();
        await using var b = WireNode.Start();
        var echo = await a.Resolve(b);

        a.System.ActorOf(Props.Create(() => new Watcher(echo)));

        await Eventually.Holds(() => a.Events.OfType<Akka.Event.Warning>().Any(w => w.Message.ToString()!.Contains("Death watch")), "a warning");
    }

    private sealed class Watcher : ReceiveActor
    {
        public Watcher(IActorRef target) => Context.Watch(target);
    }
}
