using System.Globalization;
using Akka.Actor;
using FtAkka.LogChannelActors.Remoting;

namespace FtAkka.LogChannelActors.Tests.Remoting;

/// <summary>Which node stands behind an actor.</summary>
public sealed class RemotePeersTests : IDisposable
{
    private static readonly Address Origin = new("tcp", "ft", "host-a", 4053);
    private readonly ActorSystem system = ActorSystem.Create("test", "akka.loglevel = OFF\nakka.stdout-loglevel = OFF");

    private RemotePeers Peers => RemotePeers.For(system);

    public void Dispose() => system.Dispose();

    [Fact]
    public void Node_of_a_registered_origin_is_found_and_of_another_not()
    {
        Assert.True(Peers.Register(Origin, "a"));
        Assert.Equal("a", Peers.NodeOf(At(Origin)));
        Assert.Null(Peers.NodeOf(At(Origin.WithPort(4054))));
        Assert.Null(Peers.NodeOf(system.DeadLetters));
        Assert.Same(Peers, RemotePeers.For(system));
    }

    [Fact]
    public void Address_belongs_to_one_node_as_long_as_a_connection_stands()
    {
        Assert.True(Peers.Register(Origin, "a"));
        Assert.True(Peers.Register(Origin, "a"));
        Assert.False(Peers.Register(Origin, "c"));
        Peers.Unregister(Origin, "a");
        Assert.False(Peers.Register(Origin, "c"));
        Peers.Unregister(Origin, "c");
        Peers.Unregister(Origin, "a");
        Assert.Equal("a", Peers.NodeOf(At(Origin)));
        Assert.True(Peers.Register(Origin, "c"));
        Assert.Equal("c", Peers.NodeOf(At(Origin)));
    }

    [Fact]
    public void Closed_addresses_are_forgotten_one_day_and_open_ones_never()
    {
        Peers.Register(Origin, "a");
        Peers.Register(Origin.WithPort(5), "a");
        Peers.Unregister(Origin.WithPort(5), "a");
        for (var port = 10_000; port <= 10_000 + RemotePeers.MaximumClosed; port++)
        {
            Peers.Register(Origin.WithPort(port), "a");
            Peers.Unregister(Origin.WithPort(port), "a");
        }

        Assert.Equal("a", Peers.NodeOf(At(Origin)));
        Assert.Null(Peers.NodeOf(At(Origin.WithPort(5))));
        Assert.Equal("a", Peers.NodeOf(At(Origin.WithPort(10_000 + RemotePeers.MaximumClosed))));
    }

    private static Somewhere At(Address origin) =>
        new(new RootActorPath(origin.WithProtocol("akka.tcp")) / "user" / string.Create(CultureInfo.InvariantCulture, $"n{origin.Port}"));

    private sealed class Somewhere(ActorPath path) : MinimalActorRef
    {
        public override ActorPath Path => path;

        public override IActorRefProvider Provider => throw new NotSupportedException();
    }
}
