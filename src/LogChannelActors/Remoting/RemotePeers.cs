using Akka.Actor;

namespace FtAkka.LogChannelActors.Remoting;

/// <summary>Knows which authenticated node stands behind a remote actor. Transports register what a <see cref="PduGuard"/> has proved.</summary>
/// <remarks>
/// An address stays known after its last connection has ended, for messages of that connection may still wait in mailboxes. Of such addresses at
/// most <see cref="MaximumClosed"/> are kept.
/// </remarks>
public sealed class RemotePeers : IExtension
{
    /// <summary>Addresses without a connection that are remembered at most.</summary>
    public const int MaximumClosed = 1024;

    private readonly Lock gate = new();
    private readonly System.Collections.Concurrent.ConcurrentDictionary<Address, Entry> entries = new();
    private readonly Queue<(Address Address, Entry Entry)> closed = new();

    private RemotePeers()
    {
    }

    /// <summary>The peers of an actor system.</summary>
    public static RemotePeers For(ActorSystem system)
    {
        ArgumentNullException.ThrowIfNull(system);
        return system.WithExtension<RemotePeers, Provider>();
    }

    /// <summary>The node that proved to be behind an actor's address, or null for a local actor and for one of which nothing is proved.</summary>
    public string? NodeOf(IActorRef sender)
    {
        ArgumentNullException.ThrowIfNull(sender);
        var address = sender.Path.Address;
        return address.Port is not null && entries.TryGetValue(address, out var entry) ? entry.Node : null;
    }

    /// <summary>Says that a connection proved an origin. Counts: each call needs an <see cref="Unregister"/> when its connection ends.</summary>
    /// <param name="origin">As <see cref="PduGuard.Origin"/> gives it.</param>
    /// <param name="node">Name of the node.</param>
    /// <returns>False if another node holds this address by a connection that still stands; then nothing is registered.</returns>
    public bool Register(Address origin, string node)
    {
        ArgumentNullException.ThrowIfNull(origin);
        ArgumentException.ThrowIfNullOrEmpty(node);
        var address = AsActorsSeeIt(origin);
        lock (gate)
        {
            if (entries.TryGetValue(address, out var known) && (known.Node == node || known.Connections > 0))
            {
                known.Connections += known.Node == node ? 1 : 0;
                return known.Node == node;
            }

            entries[address] = new Entry(node) { Connections = 1 };
            return true;
        }
    }

    /// <summary>Says that a connection which was registered has ended.</summary>
    public void Unregister(Address origin, string node)
    {
        ArgumentNullException.ThrowIfNull(origin);
        var address = AsActorsSeeIt(origin);
        lock (gate)
        {
            if (!entries.TryGetValue(address, out var entry) || entry.Node != node || entry.Connections == 0)
            {
                return;
            }

            if (--entry.Connections == 0 && !entry.Queued)
            {
                entry.Queued = true;
                closed.Enqueue((address, entry));
            }

            while (closed.Count > MaximumClosed)
            {
                Forget(closed.Dequeue());
            }
        }
    }

    private static Address AsActorsSeeIt(Address origin) => origin.WithProtocol(PduGuard.SchemeOfActors(origin.Protocol));

    private void Forget((Address Address, Entry Entry) oldest)
    {
        oldest.Entry.Queued = false;
        if (oldest.Entry.Connections == 0 && entries.TryGetValue(oldest.Address, out var entry) && ReferenceEquals(entry, oldest.Entry))
        {
            entries.TryRemove(oldest.Address, out _);
        }
    }

    private sealed class Entry(string node)
    {
        public string Node { get; } = node;

        public int Connections { get; set; }

        public bool Queued { get; set; }
    }

    private sealed class Provider : ExtensionIdProvider<RemotePeers>
    {
        public override RemotePeers CreateExtension(ExtendedActorSystem system) => new();
    }
}
