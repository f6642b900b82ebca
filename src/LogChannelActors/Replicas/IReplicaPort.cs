using FtAkka.Replication.Messages;

namespace FtAkka.LogChannelActors.Replicas;

/// <summary>The way from one replica of a VM to the other. Must not block; a message may get lost, or come twice after a reconnect.</summary>
public interface IReplicaPort
{
    /// <summary>Sends to the replica of this VM on a node; a <see cref="CloneOffer"/> goes to the node itself, which may have no replica yet.</summary>
    void Send(string node, IChannelMessage message);
}
