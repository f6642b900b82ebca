using System.Collections.Immutable;

namespace FtAkka.LogChannelActors.Remoting;

/// <summary>What the far end of a connection proved: from its certificate (TCP), or by the simulated host on which it runs.</summary>
/// <param name="Node">Name of the node.</param>
/// <param name="Hosts">Host names and addresses under which that node may be reached.</param>
public sealed record PeerIdentity(string Node, ImmutableArray<string> Hosts)
{
    /// <summary>Whether the node may speak from this host; case does not matter.</summary>
    public bool Names(string host) => !Hosts.IsDefault && Hosts.Contains(host, StringComparer.OrdinalIgnoreCase);

    /// <inheritdoc/>
    public override string ToString() => $"{Node} ({(Hosts.IsDefault ? string.Empty : string.Join(", ", Hosts))})";
}
