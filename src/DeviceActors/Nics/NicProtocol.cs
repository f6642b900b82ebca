using System.Collections.Immutable;

namespace FtAkka.DeviceActors.Nics;

/// <summary>Messages of <see cref="NicActor"/>.</summary>
public static class NicProtocol
{
    /// <summary>Machine or replica to NIC: frames that may leave now, in order. Not answered; Ethernet may lose them.</summary>
    public sealed record Transmit(ImmutableArray<ImmutableArray<byte>> Frames);

    /// <summary>
    /// Machine or replica to NIC: the sender gets received frames from now on. Reading from the link begins with the first
    /// <see cref="Attach"/>: before it nothing is taken from the network.
    /// </summary>
    public sealed record Attach;

    /// <summary>NIC to the attached actor: frames that arrived, in order. The next come only after <see cref="ReceiveMore"/>.</summary>
    public sealed record Received(ImmutableArray<ImmutableArray<byte>> Frames);

    /// <summary>Attached actor to NIC: the last <see cref="Received"/> is worked off. Meanwhile further frames wait in the host's queue.</summary>
    public sealed record ReceiveMore;

    /// <summary>NIC to the attached actor: a peer came or went.</summary>
    public sealed record LinkState(bool Connected);

    /// <summary>NIC to the attached actor: the link cannot work any more; stop this NIC and start another to go on.</summary>
    public sealed record LinkFailed(string Reason);

    /// <summary>
    /// Replica that goes live to NIC: tell the network where this MAC address is now. Bridges and switches learn it from the frame.
    /// </summary>
    public sealed record Announce(ImmutableArray<byte> Mac);
}
