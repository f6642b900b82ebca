using System.Collections.Immutable;

namespace FtAkka.Machine.Virtio.Net;

/// <summary>Shape and limits of one network device. Part of the machine's configuration: equal on both replicas.</summary>
public sealed record NetOptions
{
    /// <summary>Six bytes; the guest keeps the address over a failover.</summary>
    public required ImmutableArray<byte> Mac { get; init; }

    /// <summary>Largest IP packet, 1280 to 65535.</summary>
    public ushort Mtu { get; init; } = 1500;

    /// <summary>Largest size of both queues, a power of two.</summary>
    public ushort QueueSize { get; init; } = 256;

    /// <summary>Frames held while the guest has no receive buffer; further ones are dropped and counted.</summary>
    public int HeldFramesMax { get; init; } = 256;

    /// <summary>Bytes held while the guest has no receive buffer.</summary>
    public int HeldBytesMax { get; init; } = 512 * 1024;

    /// <summary>
    /// Bytes of frames that the guest may hand over at one notification; once they are reached, its further frames are dropped and counted, as a card does whose memory
    /// is full. A driver in order stays far below: it notifies of each frame, or of a few.
    /// </summary>
    public int NotificationBytesMax { get; init; } = 4 * 1024 * 1024;

    /// <summary>Whether the device cuts large TCP segments (<c>HOST_TSO4</c>, <c>HOST_TSO6</c>). Off in machines of old recordings, whose guests were not offered it.</summary>
    public bool Segmentation { get; init; }

    /// <summary>Longest frame a guest may hand over.</summary>
    internal int TransmitBytesMax => Segmentation ? Math.Max(TcpSegmentation.FrameBytesMax, FrameBytesMax) : FrameBytesMax;

    internal int FrameBytesMax => Mtu + NetProtocol.FrameOverheadBytes;

    internal void Validate()
    {
        if (Mac.IsDefault || Mac.Length != 6 || (Mac[0] & 1) != 0)
        {
            throw new ArgumentException("A MAC address has six bytes and is not a multicast address.");
        }
        if (Mtu < 1280 || HeldFramesMax < 1 || HeldBytesMax < FrameBytesMax || NotificationBytesMax < 1)
        {
            throw new ArgumentException("MTU below 1280, or no room to hold a single received frame or to send one.");
        }
    }
}

/// <summary>Where the network device puts its effects. Implemented by the machine, which stamps them with the icount.</summary>
public interface INetTransmitSink
{
    /// <summary>
    /// Ethernet frames without checksum still to fill in, in order: all that one queue notification brought, so that one output mark covers
    /// them. Called synchronously from inside the guest's notification.
    /// </summary>
    void Transmit(ImmutableArray<ImmutableArray<byte>> frames);
}
