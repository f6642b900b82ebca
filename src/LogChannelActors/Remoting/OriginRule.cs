using Akka.Actor;

namespace FtAkka.LogChannelActors.Remoting;

/// <summary>Decides whether the far end of a connection may call itself by the address in its handshake.</summary>
internal static class OriginRule
{
    /// <summary>
    /// An origin is the address of one process: host, port and the name of its actor system. The certificate names the node and its hosts; the
    /// table of nodes says which ports of a host belong to a node. Within a node's own addresses any system name will do, because each virtual
    /// machine may be a process with an actor system of its own.
    /// </summary>
    /// <returns>Null, or why not.</returns>
    public static string? Judge(GuardRules rules, PeerIdentity? peer, Address local, Address? dialled, Address origin)
    {
        if (origin.Protocol != local.Protocol)
        {
            return $"handshake of {origin}: the scheme here is {local.Protocol}";
        }

        if (origin.Equals(local))
        {
            return $"handshake of {origin}, which is our own address";
        }

        if (dialled is not null && !origin.Equals(dialled))
        {
            return $"handshake of {origin} after {dialled} was dialled";
        }

        if (peer is not null && !peer.Names(origin.Host))
        {
            return $"handshake of {origin} with the certificate of {peer}, which does not name {origin.Host}";
        }

        if (!rules.HasOwners)
        {
            return null;
        }

        var owner = rules.OwnerOf(origin.Host, origin.Port ?? 0);
        return owner is null ? $"handshake of {origin}, which is no node's address in {GuardRules.Section}.nodes"
            : peer is not null && owner != peer.Node ? $"handshake of {origin}, which is an address of {owner}, with the certificate of {peer}"
            : null;
    }
}
