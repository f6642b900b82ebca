using System.Collections.Concurrent;
using Akka.Actor;
using FtAkka.LogChannelActors;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Replication.Messages;

namespace FtAkka.Nodes.VmProcesses;

/// <summary>
/// Reaches the process of the VM's other replica, once it is known where that is: nodes tell each other with the offer of a copy and with its acceptance. Offers go by the nodes, since
/// there is no other process yet. Messages may be sent on any thread.
/// </summary>
/// <param name="system">The actor system of this process.</param>
/// <param name="settings">The node's settings.</param>
/// <param name="vm">Name of the VM.</param>
/// <param name="sender">In whose name messages are sent: an actor of the system, by whose address receivers know the node.</param>
/// <param name="offer">Given each offer, with the address of this process, and the node that it is for.</param>
internal sealed class VmPort(ActorSystem system, NodeOptions settings, string vm, IActorRef sender, Action<string, CloneOffer> offer) : IReplicaPort
{
    private readonly ConcurrentDictionary<string, Way> ways = new(StringComparer.Ordinal);
    private readonly string own = VmAddress.Of(system).ToString();

    /// <summary>The way to the process on a node.</summary>
    private sealed record Way(VmAddress Address, IActorRef Receiver, MessageCutter Cutter);

    /// <summary>The process on a node is there from now on.</summary>
    public void Know(string node, VmAddress address)
    {
        if (!ways.TryGetValue(node, out Way? known) || known.Address != address)
        {
            IActorRef receiver = ((ExtendedActorSystem)system).Provider.ResolveActorRef(ReplicaEndpoint.PathOf(address.Root(system), vm));
            ways[node] = new Way(address, receiver, new MessageCutter(settings.Incarnation, settings.MessageBytesMax));
        }
    }

    /// <inheritdoc/>
    public void Send(string node, IChannelMessage message)
    {
        if (message is CloneOffer copy)
        {
            offer(node, copy with { Address = own });
            return;
        }
        if (!ways.TryGetValue(node, out Way? way))
        {
            return;
        }
        // The parts of two messages must not mix: the later one ends the earlier.
        lock (way.Cutter)
        {
            MessagePiece[] parts = way.Cutter.Cut(message);
            foreach (MessagePiece part in parts)
            {
                way.Receiver.Tell(part, sender);
            }
            if (parts.Length == 0)
            {
                way.Receiver.Tell(message, sender);
            }
        }
    }
}
