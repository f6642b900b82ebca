using Akka.Actor;

namespace FtAkka.Wire;

/// <summary>What became of an envelope that was handed to a wire.</summary>
public enum WireSendResult
{
    /// <summary>Written or queued. At most once: a connection that breaks takes what it had queued with it.</summary>
    Accepted,

    /// <summary>The peer's queue stayed full for the whole back-pressure wait (<c>send-queue-wait</c>).</summary>
    Congested,

    /// <summary>The peer could not be reached a moment ago and the gate is still closed (<c>retry-gate-closed-for</c>).</summary>
    Gated,

    /// <summary>The envelope is longer than <c>maximum-frame-size</c>.</summary>
    TooLarge,

    /// <summary>The wire is stopping or has stopped.</summary>
    Closed,
}

/// <summary>Who sent an envelope, as proved by the handshake of the connection it came over.</summary>
/// <param name="Address">The address under which the peer is reached.</param>
/// <param name="Incarnation">The peer's incarnation number; a restarted process has a greater one.</param>
/// <param name="NodeName">The peer's node name; with TLS on, a name that stands in its certificate.</param>
public sealed record WirePeer(Address Address, long Incarnation, string NodeName);

/// <summary>The side of the actor system that takes what a wire has received.</summary>
public interface IWireReceiver
{
    /// <summary>Called when a peer's handshake has succeeded, once for each connection or incarnation.</summary>
    IWireSession Open(WirePeer peer);
}

/// <summary>Takes the envelopes of one peer over one connection. Used by one thread at a time.</summary>
public interface IWireSession
{
    /// <summary>
    /// Takes one envelope, on the thread that received it, in the order in which they came; the span is dead after return.
    /// </summary>
    /// <returns><see cref="WireRefusal.None"/>, or why the bytes are refused: the wire then closes the connection and logs once.</returns>
    WireRefusal Deliver(ReadOnlySpan<byte> envelope);
}

/// <summary>
/// Carries envelopes between actor systems: best effort, at most once, in order for one pair of incarnations unless the wire says
/// otherwise (the simulated one may reorder on request). It knows nothing of actors.
/// </summary>
public interface IWire
{
    /// <summary>Binds and starts listening. Called once, while the actor system starts.</summary>
    /// <returns>The address under which other systems reach this one.</returns>
    Address Start(IWireReceiver receiver);

    /// <summary>Sends a copy of <paramref name="envelope"/>. May write to the socket on the caller's thread.</summary>
    WireSendResult Send(Address destination, ReadOnlySpan<byte> envelope);

    /// <summary>Flushes what is queued, within the configured time, then closes everything. Called once.</summary>
    Task StopAsync();
}

/// <summary>What a wire is built from.</summary>
/// <param name="SystemName">Name of the actor system.</param>
/// <param name="Settings">Limits, addresses and TLS settings read from the configuration.</param>
/// <param name="Log">The system's log, for one line per refused or broken connection.</param>
/// <param name="Events">Where <see cref="WireEvents"/> are published.</param>
public sealed record WireContext(
    string SystemName, WireSettings Settings, Akka.Event.ILoggingAdapter Log, Akka.Event.EventStream Events);

/// <summary>Builds the wire that the configuration names under <c>akka.remote.wire.factory</c>; needs a public parameterless constructor.</summary>
public interface IWireFactory
{
    /// <summary>Builds the wire of one actor system.</summary>
    IWire Create(WireContext context);
}

/// <summary>Gives an actor system its wire from code, in place of the one that the configuration names.</summary>
/// <param name="create">Called once, while the system starts.</param>
public sealed class WireSetup(Func<WireContext, IWire> create) : Akka.Actor.Setup.Setup
{
    /// <summary>Builds the wire of the system.</summary>
    public Func<WireContext, IWire> Create { get; } = create;
}

/// <summary>Published on the event stream of the actor system by the wires.</summary>
public static class WireEvents
{
    /// <summary>A handshake with a peer has succeeded.</summary>
    public sealed record Associated(WirePeer Peer, bool Inbound);

    /// <summary>A connection with a peer is gone; queued envelopes of an outbound one were dropped.</summary>
    public sealed record Disassociated(Address Peer, bool Inbound, string Reason);

    /// <summary>The process at this address is another one than before: whatever was known of the old one is void.</summary>
    public sealed record PeerRestarted(Address Peer, long OldIncarnation, long NewIncarnation);

    /// <summary>The peer knows a newer process at our own address: this one is a leftover and should stop.</summary>
    public sealed record Superseded(Address Peer, long NewestIncarnation);
}
