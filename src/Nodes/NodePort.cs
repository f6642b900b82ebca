using System.Collections.Concurrent;
using Akka.Actor;
using FtAkka.Actors.Protection;
using FtAkka.LogChannelActors;
using FtAkka.Replication.Messages;

namespace FtAkka.Nodes;

/// <summary>Reaches the replica of one VM on other nodes, by their addresses and agreed names.</summary>
public sealed class NodePort(ActorSystem system, NodeOptions settings, string vm) : IReplicaPort
{
    private readonly ConcurrentDictionary<(string Node, bool ToNode), IActorRef> known = new();

    /// <inheritdoc/>
    public void Send(string node, IChannelMessage message) =>
        known.GetOrAdd((node, message is CloneOffer), Resolve).Tell(message, ActorRefs.NoSender);

    private IActorRef Resolve((string Node, bool ToNode) key)
    {
        if (RootOf(system, settings, key.Node) is not { } root)
        {
            return system.DeadLetters;
        }
        ActorPath path = key.ToNode ? root / "user" / NodeActor.Name : ReplicaEndpoint.PathOf(root, vm);
        return ((ExtendedActorSystem)system).Provider.ResolveActorRef(path);
    }

    /// <summary>Root of another node's actors; null if it is no peer.</summary>
    public static ActorPath? RootOf(ActorSystem system, NodeOptions settings, string node)
    {
        if (!settings.Peers.TryGetValue(node, out string? address))
        {
            return null;
        }
        int colon = address.LastIndexOf(':');
        return new RootActorPath(new Address(((ExtendedActorSystem)system).Provider.DefaultAddress.Protocol, NodeOptions.SystemName, address[..colon],
            int.Parse(address.AsSpan(colon + 1), System.Globalization.CultureInfo.InvariantCulture)));
    }
}
