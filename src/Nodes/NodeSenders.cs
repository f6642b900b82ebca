using Akka.Actor;
using FtAkka.LogChannelActors.Remoting;

namespace FtAkka.Nodes;

/// <summary>Knows whether a message comes from the node that it claims to be from. May be asked on any thread.</summary>
/// <param name="system">The node's actor system.</param>
/// <param name="proved">Whether connections prove who speaks; otherwise every claim is believed.</param>
internal sealed class NodeSenders(ActorSystem system, bool proved)
{
    private readonly RemotePeers? peers = proved ? RemotePeers.For(system) : null;

    /// <summary>Whether the sender of a message is an actor of a node.</summary>
    public bool IsFrom(IActorRef sender, string node) => peers is null || peers.NodeOf(sender) == node;

    /// <summary>The node that proved to be behind a sender, for people.</summary>
    public string Describe(IActorRef sender) => peers?.NodeOf(sender) ?? "nobody who is known";
}
