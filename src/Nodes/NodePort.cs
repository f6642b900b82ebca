using System.Collections.Concurrent;
using Akka.Actor;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.LogChannelActors;
using FtAkka.Replication.Messages;

namespace FtAkka.Nodes;

/// <summary>Reaches the replica of one VM on other nodes, by their addresses and agreed names. Messages may be sent on any thread.</summary>
/// <param name="system">The node's actor system.</param>
/// <param name="settings">The node's settings.</param>
/// <param name="vm">Name of the VM.</param>
/// <param name="sender">In whose name messages are sent: an actor of the system, by whose address receivers know the node.</param>
public sealed class NodePort(ActorSystem system, NodeOptions settings, string vm, IActorRef sender) : IReplicaPort
{
    private readonly ConcurrentDictionary<(string Node, bool ToNode), IActorRef> known = new();
    private readonly ConcurrentDictionary<string, MessageCutter> cutters = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public void Send(string node, IChannelMessage message)
    {
        IActorRef receiver = known.GetOrAdd((node, message is CloneOffer), Resolve);
        MessageCutter cutter = cutters.GetOrAdd(node, _ => new MessageCutter(settings.Incarnation, settings.MessageBytesMax));
        // The parts of two messages must not mix: the later one ends the earlier.
        lock (cutter)
        {
            MessagePiece[] parts = cutter.Cut(message);
            foreach (MessagePiece part in parts)
            {
                receiver.Tell(part, sender);
            }
            if (parts.Length == 0)
            {
                receiver.Tell(message, sender);
            }
        }
    }

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
