using System.Net;
using System.Net.Sockets;
using Akka.Actor;
using FtAkka.VmmHost.Tests.Failover;

namespace FtAkka.LogChannelActors.Tests.Remoting.Tcp;

/// <summary>A connection that this node dialled and that carries none of its messages belongs to nobody.</summary>
public sealed class TcpUnusedConnectionTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMilliseconds(300);

    /// <summary>
    /// The peer begins again while it is dialled: its new incarnation introduces itself before it answers the dial. Akka then stops the endpoint that
    /// dialled, and what the dial brings is nobody's.
    /// </summary>
    [Fact]
    public async Task Every_connection_with_a_peer_ends_when_one_that_was_dialled_is_not_used()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        await using var node = TcpNode.Start($"first-message-within = {Limit.TotalMilliseconds}ms");
        var peer = new Address("tcp", "test", "127.0.0.1", ((IPEndPoint)listener.LocalEndpoint).Port);
        ActorSelection echo = node.System.ActorSelection($"{peer.WithProtocol("akka.tcp")}/user/echo");
        echo.Tell(new Note("to the first"));
        await using (RawPeer first = await RawPeer.AcceptAsync(listener))
        {
            await first.ReadUnitAsync();
            await first.SendAsync(AkkaUnits.Associate(peer, uid: 1));
            await first.ReadUnitAsync();
        }

        await Eventually.Holds(() => node.Lines.Contains("Disassociated", StringComparison.Ordinal), "the end of the first connection", () => node.Lines);
        await Eventually.Holds(() => Told(echo, listener), "another dial");
        await using RawPeer dialled = await RawPeer.AcceptAsync(listener);
        await dialled.ReadUnitAsync();
        await using RawPeer dialling = await RawPeer.ConnectAsync(node);
        await dialling.GreetAsync();
        await dialling.SendAsync(AkkaUnits.Associate(peer, uid: 2));
        await dialling.ReadUnitAsync();
        await Task.Delay(Limit);   // for Akka to stop the endpoint

        await dialled.SendAsync(AkkaUnits.Associate(peer, uid: 2));

        Assert.True(await dialled.IsClosedAsync());
        Assert.True(await dialling.IsClosedAsync());
        await Eventually.Holds(() => node.Lines.Contains("was dialled and carried no message", StringComparison.Ordinal), "a line with the reason", () => node.Lines);
    }

    [Fact]
    public async Task Connection_that_carried_one_message_stays()
    {
        await using var a = TcpNode.Start($"first-message-within = {Limit.TotalMilliseconds}ms");
        await using var b = TcpNode.Start($"first-message-within = {Limit.TotalMilliseconds}ms");
        await a.Resolve(b);

        await Task.Delay(3 * Limit);

        Assert.DoesNotContain(a.Events.Concat(b.Events), e => e is Akka.Remote.DisassociatedEvent);
    }

    private static bool Told(ActorSelection echo, TcpListener listener)
    {
        echo.Tell(new Note("again"));
        return listener.Pending();
    }
}
