using System.Text;
using Akka.Actor;
using Akka.Event;

namespace FtAkka.LogChannelActors.Tests.Remoting.Tcp;

public sealed class TcpHostileBytesTests
{
    private const int Seed = 20261122;
    private static readonly Address Stranger = new("akka.tcp", "test", "127.0.0.1", 9);

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: somewhere.example\r\n\r\n")]
    [InlineData("FTAK\u0002                                  ")]
    [InlineData("short")]
    public async Task Stranger_is_cut_off_with_one_line(string greeting)
    {
        await using var a = TcpNode.Start("connection-timeout = 2s");
        await using var stranger = await RawPeer.ConnectAsync(a);

        await stranger.WriteAsync(Encoding.Latin1.GetBytes(greeting));

        Assert.True(await stranger.IsClosedAsync());
        await Eventually.Holds(() => a.Warnings.Any(), "a line in the log");
        Assert.Single(a.Warnings);
        Assert.DoesNotContain(a.Events, e => e is Error);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Stranger_who_says_little_or_nothing_is_cut_off_after_the_connection_timeout(bool drip)
    {
        await using var a = TcpNode.Start("connection-timeout = 300ms");
        await using var stranger = await RawPeer.ConnectAsync(a);
        if (drip)
        {
            await stranger.GreetAsync();
            for (var i = 0; i < 100 && !a.Warnings.Any(); i++)
            {
                await stranger.WriteAsync([1]);   // the least significant byte of a length, and then the rest, slowly
                await Task.Delay(50);
            }
        }

        Assert.True(await stranger.IsClosedAsync());
        await Eventually.Holds(() => a.Warnings.Any(), "a line in the log");
    }

    [Fact]
    public async Task Many_strangers_neither_fill_the_log_nor_shut_members_out()
    {
        await using var a = TcpNode.Start("maximum-half-open = 4\nmaximum-connections = 16");
        await using var b = TcpNode.Start();
        var silent = new List<RawPeer>();
        for (var i = 0; i < 300; i++)
        {
            var stranger = await RawPeer.ConnectAsync(a);
            if (i % 3 == 0)
            {
                silent.Add(stranger);   // and stays
                continue;
            }

            await stranger.WriteAsync("nonsense, and more of it than a greeting has"u8.ToArray());
            Assert.True(await stranger.IsClosedAsync());
            await stranger.DisposeAsync();
        }

        Assert.Equal("echo: still here", (await b.SelectEcho(a).Ask<Note>(new Note("still here"), TcpNode.Patience)).Text);
        Assert.InRange(a.Warnings.Count(), 1, 120);   // 20 in ten seconds, and the test may take a minute
        foreach (var stranger in silent)
        {
            await stranger.DisposeAsync();
        }
    }

    [Fact]
    public async Task Connections_from_one_address_are_bounded()
    {
        await using var a = TcpNode.Start("maximum-connections-per-address = 2");
        await using var first = await MemberAsync(a, 1);
        await using var second = await MemberAsync(a, 2);

        await using var third = await RawPeer.ConnectAsync(a);

        Assert.True(await third.IsClosedAsync());
        await Eventually.Holds(
            () => a.Warnings.Any(line => line.Contains("maximum-connections-per-address is reached", StringComparison.Ordinal)), "a line in the log", () => a.Lines);
    }

    /// <summary>Each stranger announces a unit of the largest size that is allowed to it, sends a part, and waits.</summary>
    [Fact]
    public async Task Strangers_who_announce_much_and_send_little_take_little_memory()
    {
        await using var a = TcpNode.Start("maximum-half-open = 64\nconnection-timeout = 120s");
        var strangers = new List<RawPeer>();
        long before = GC.GetTotalMemory(forceFullCollection: true);
        for (var i = 0; i < 64; i++)
        {
            var stranger = await RawPeer.ConnectAsync(a);
            await stranger.GreetAsync();
            await stranger.WriteAsync([.. BitConverter.GetBytes(4096), 1, 2, 3]);
            strangers.Add(stranger);
        }

        long taken = GC.GetTotalMemory(forceFullCollection: true) - before;
        Assert.True(taken < 64 * 256 * 1024, $"{taken} bytes for 64 strangers");
        foreach (var stranger in strangers)
        {
            await stranger.DisposeAsync();
        }
    }

    [Theory]
    [InlineData(0x7FFF_FFFF)]
    [InlineData(2_000_000)]
    [InlineData(0)]
    [InlineData(unchecked((int)0xFFFF_FF63))]
    public async Task Length_outside_the_limits_ends_the_connection(int length)
    {
        await using var a = TcpNode.Start();
        await using var member = await MemberAsync(a, 1);

        await member.WriteAsync(BitConverter.GetBytes(length));

        Assert.True(await member.IsClosedAsync());
        await Eventually.Holds(() => a.Warnings.Any(line => line.Contains($"0x{length:X8}", StringComparison.Ordinal)), "a line in the log", () => a.Lines);
    }

    [Fact]
    public async Task Before_the_handshake_only_small_units_are_taken()
    {
        await using var a = TcpNode.Start();
        await using var stranger = await RawPeer.ConnectAsync(a);
        await stranger.GreetAsync();

        await stranger.WriteAsync(BitConverter.GetBytes(100_000));

        Assert.True(await stranger.IsClosedAsync());
    }

    [Fact]
    public async Task Body_that_the_serializer_refuses_ends_the_connection()
    {
        await using var a = TcpNode.Start();
        await using var member = await MemberAsync(a, 1);

        await member.SendAsync(AkkaUnits.Message(a.Address, "/user/echo", NoteSerializer.Id, "note", "unreadable"u8.ToArray()));

        Assert.True(await member.IsClosedAsync());
        await Eventually.Holds(() => a.Warnings.Any(line => line.Contains("refused: an unreadable note", StringComparison.Ordinal)), "a line in the log", () => a.Lines);
        Assert.Empty(a.Seen);
    }

    [Fact]
    public async Task Mutated_frames_on_sockets_cost_their_sender_the_connection_and_nobody_else()
    {
        const int Connections = 150;
        await using var a = TcpNode.Start();
        await using var b = TcpNode.Start();
        var random = new Random(Seed);
        var message = AkkaUnits.Message(a.Address, "/user/echo", NoteSerializer.Id, "note", "hello"u8.ToArray());

        for (var i = 0; i < Connections; i++)
        {
            await using var peer = await MemberAsync(a, 10 + i);
            byte[] frame = [.. BitConverter.GetBytes(message.Length), .. message];
            await peer.WriteAsync([.. MutatedBytes.Mutate(random, frame), .. MutatedBytes.Mutate(random, frame)]);
        }

        Assert.Equal("echo: alive", (await b.SelectEcho(a).Ask<Note>(new Note("alive"), TcpNode.Patience)).Text);
    }

    /// <summary>A raw peer whose handshake has been answered.</summary>
    private static async Task<RawPeer> MemberAsync(TcpNode node, int port)
    {
        var member = await RawPeer.ConnectAsync(node);
        await member.GreetAsync();
        await member.SendAsync(AkkaUnits.Associate(Stranger.WithPort(port)));
        await member.ReadUnitAsync();
        return member;
    }
}
