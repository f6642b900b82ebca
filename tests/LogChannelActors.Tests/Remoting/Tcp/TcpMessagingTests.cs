using Akka.Actor;
using Akka.Event;
using FtAkka.VmmHost.Tests.Failover;

namespace FtAkka.LogChannelActors.Tests.Remoting.Tcp;

public sealed class TcpMessagingTests : IDisposable
{
    private const string BigFrames = "maximum-frame-size = 8 MiB";
    private readonly TestAuthority _authority = new();

    public void Dispose() => _authority.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Ask_by_selection_and_by_reference_is_answered(bool tls)
    {
        await using var a = Node("node-a", tls);
        await using var b = Node("node-b", tls);

        var answer = await a.SelectEcho(b).Ask<Note>(new Note("hello"), TcpNode.Patience);
        var echo = await a.Resolve(b);
        var again = await echo.Ask<Note>(new Note("again"), TcpNode.Patience);

        Assert.Equal("echo: hello", answer.Text);
        Assert.Equal("echo: again", again.Text);
        Assert.Equal("akka.tcp", b.Address.Protocol);
        Assert.Equal(b.Echo.Path.Uid, echo.Path.Uid);
        Assert.Equal(b.Address, echo.Path.Address);
    }

    [Fact]
    public async Task Identify_of_an_absent_actor_is_answered_with_nobody()
    {
        await using var a = Node("node-a", tls: false);
        await using var b = Node("node-b", tls: false);

        var identity = await a.System.ActorSelection($"{b.Address}/user/nobody").Ask<ActorIdentity>(new Identify(null), TcpNode.Patience);

        Assert.Null(identity.Subject);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Messages_of_one_sender_arrive_in_order_and_complete(bool tls)
    {
        const int Count = 20_000;
        await using var a = Node("node-a", tls);
        await using var b = Node("node-b", tls);
        var echo = await a.Resolve(b);

        for (var i = 0; i < Count; i++)
        {
            echo.Tell(new Note($"{i}"), ActorRefs.NoSender);
        }

        await Eventually.Holds(() => b.Seen.Count(m => m is Note) == Count, $"{Count} notes", () => b.Lines);
        Assert.Equal(Enumerable.Range(0, Count).Select(i => $"{i}"), b.Seen.OfType<Note>().Select(n => n.Text));
    }

    [Fact]
    public async Task Messages_of_many_threads_at_once_arrive_complete_and_in_order_for_each()
    {
        const int Senders = 8;
        const int Count = 2_000;
        await using var a = Node("node-a", tls: true);
        await using var b = Node("node-b", tls: true);
        var echo = await a.Resolve(b);

        await Task.WhenAll(Enumerable.Range(0, Senders).Select(sender => Task.Run(() =>
        {
            for (var i = 0; i < Count; i++)
            {
                echo.Tell(new Note($"{sender}:{i}"), ActorRefs.NoSender);
            }
        })));

        await Eventually.Holds(() => b.Seen.Count(m => m is Note) == Senders * Count, "all notes", () => b.Lines);
        foreach (var group in b.Seen.OfType<Note>().GroupBy(n => n.Text.Split(':')[0]))
        {
            Assert.Equal(Enumerable.Range(0, Count).Select(i => $"{group.Key}:{i}"), group.Select(n => n.Text));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Small_and_large_messages_arrive_whole_and_in_order(bool tls)
    {
        int[] sizes = [1, 5_000_000, 10, 65_536 - 300, 65_536, 200_000, 16_384, 3_000_000, 2];
        await using var a = Node("node-a", tls, BigFrames);
        await using var b = Node("node-b", tls, BigFrames);
        var echo = await a.Resolve(b);

        foreach (var size in sizes)
        {
            echo.Tell(new Note(Text(size)), ActorRefs.NoSender);
        }

        await Eventually.Holds(() => b.Seen.Count == sizes.Length, "all notes", () => b.Lines);
        Assert.Equal(sizes.Select(Text), b.Seen.OfType<Note>().Select(n => n.Text));

        static string Text(int size) => string.Create(size, size, static (span, seed) =>
        {
            for (var i = 0; i < span.Length; i++)
            {
                span[i] = (char)('a' + (((i * 31) + seed) % 26));
            }
        });
    }

    [Fact]
    public async Task Message_above_the_frame_size_is_dropped_with_an_error_and_harms_nothing()
    {
        await using var a = Node("node-a", tls: false);
        await using var b = Node("node-b", tls: false);
        var echo = await a.Resolve(b);

        echo.Tell(new Note(new string('x', 2_000_000)));
        var answer = await echo.Ask<Note>(new Note("small"), TcpNode.Patience);

        Assert.Equal("echo: small", answer.Text);
        Assert.Contains(a.Events.OfType<Error>(), line => line.ToString().Contains("oversized", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task Queued_messages_leave_before_an_orderly_stop()
    {
        const int Count = 5_000;
        await using var b = Node("node-b", tls: true);
        var a = Node("node-a", tls: true, "shutdown-flush-timeout = 60s", "akka.remote.flush-wait-on-shutdown = 60s");
        var echo = await a.Resolve(b);
        for (var i = 0; i < Count; i++)
        {
            echo.Tell(new Note("flush"), ActorRefs.NoSender);
        }

        await a.DisposeAsync();

        await Eventually.Holds(() => b.Seen.Count(m => m is Note) == Count, $"{Count} notes", () => $"{b.Seen.Count} came\n{b.Lines}");
    }

    [Fact]
    public async Task Bulk_messages_take_a_second_connection_and_do_not_hold_up_others()
    {
        var port = FreePort.Next();
        using var cable = new Cable(port);
        await using var b = Node("node-b", tls: true, $"public-port = {cable.Port}\nport = {port}");
        await using var a = Node("node-a", tls: true);
        var echo = await a.Resolve(b);
        Assert.Equal(1, cable.Accepted);

        echo.Tell(new BulkNote("0"), ActorRefs.NoSender);
        await Eventually.Holds(() => b.Seen.Contains(new BulkNote("0")), "the first bulk note", () => a.Lines);
        Assert.Equal(2, cable.Accepted);
        cable.Freeze(1);
        for (var i = 1; i < 100; i++)
        {
            echo.Tell(new BulkNote($"{i}"), ActorRefs.NoSender);
        }

        Assert.Equal("echo: past them", (await echo.Ask<Note>(new Note("past them"), TcpNode.Patience)).Text);
        cable.Mend();

        await Eventually.Holds(() => b.Seen.Count(m => m is BulkNote) == 100, "all bulk notes", () => a.Lines);
        Assert.Equal(Enumerable.Range(0, 100).Select(i => $"{i}"), b.Seen.OfType<BulkNote>().Select(n => n.Text));
        Assert.Equal(2, cable.Accepted);
    }

    [Fact]
    public async Task The_side_that_was_dialled_gets_a_second_connection_by_asking_for_it()
    {
        var port = FreePort.Next();
        using var cable = new Cable(port);
        await using var b = Node("node-b", tls: true, $"public-port = {cable.Port}\nport = {port}");
        await using var a = Node("node-a", tls: true);
        await a.Resolve(b);
        var back = await b.Resolve(a);

        for (var i = 0; i < 100; i++)
        {
            back.Tell(new BulkNote($"{i}"), ActorRefs.NoSender);
        }

        await Eventually.Holds(() => a.Seen.Count(m => m is BulkNote) == 100, "all bulk notes", () => a.Lines + b.Lines);
        Assert.Equal(Enumerable.Range(0, 100).Select(i => $"{i}"), a.Seen.OfType<BulkNote>().Select(n => n.Text));
        Assert.Equal(2, cable.Accepted);
    }

    private TcpNode Node(string name, bool tls, string tcp = "", string hocon = "") =>
        TcpNode.Start(tcp, tls ? _authority.Issue(name) : null, hocon: hocon);
}
