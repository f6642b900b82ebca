namespace FtAkka.Machine.Virtio.Net;

/// <summary>Constants of the network device (virtio 1.2 §5.1).</summary>
public static class NetProtocol
{
    /// <summary>Device type (§5.1.1).</summary>
    public const uint DeviceId = 1;

    /// <summary>Index of receiveq1 (§5.1.2).</summary>
    public const int ReceiveQueue = 0;

    /// <summary>Index of transmitq1 (§5.1.2).</summary>
    public const int TransmitQueue = 1;

    /// <summary><c>VIRTIO_NET_F_CSUM</c>: the device completes checksums of sent frames.</summary>
    public const ulong FeatureChecksum = 1UL << 0;

    /// <summary><c>VIRTIO_NET_F_GUEST_CSUM</c>: the driver takes frames whose checksum the device has checked.</summary>
    public const ulong FeatureGuestChecksum = 1UL << 1;

    /// <summary><c>VIRTIO_NET_F_MTU</c>: the device says the largest MTU.</summary>
    public const ulong FeatureMtu = 1UL << 3;

    /// <summary><c>VIRTIO_NET_F_MAC</c>: the device has a MAC address.</summary>
    public const ulong FeatureMac = 1UL << 5;

    /// <summary><c>VIRTIO_NET_F_HOST_TSO4</c>: the device cuts large TCP segments over IPv4.</summary>
    public const ulong FeatureHostTcp4 = 1UL << 11;

    /// <summary><c>VIRTIO_NET_F_HOST_TSO6</c>: the same over IPv6.</summary>
    public const ulong FeatureHostTcp6 = 1UL << 12;

    /// <summary><c>VIRTIO_NET_F_HOST_ECN</c>: also those with the flag that tells of a reduced window.</summary>
    public const ulong FeatureHostEcn = 1UL << 13;

    /// <summary><c>VIRTIO_NET_F_MRG_RXBUF</c>: a received frame may fill several buffers.</summary>
    public const ulong FeatureMergeableBuffers = 1UL << 15;

    /// <summary><c>VIRTIO_NET_F_STATUS</c>: the link state is readable.</summary>
    public const ulong FeatureStatus = 1UL << 16;

    /// <summary>Size of <c>struct virtio_net_config</c> up to and with <c>mtu</c> (§5.1.4).</summary>
    public const int ConfigurationBytes = 12;

    /// <summary><c>VIRTIO_NET_S_LINK_UP</c>.</summary>
    public const ushort StatusLinkUp = 1;

    /// <summary>Size of <c>struct virtio_net_hdr</c> with <c>num_buffers</c> (§5.1.6), in front of every frame.</summary>
    public const int HeaderBytes = 12;

    /// <summary><c>VIRTIO_NET_HDR_F_NEEDS_CSUM</c>: the checksum at csum_start + csum_offset is to be completed.</summary>
    public const byte HeaderNeedsChecksum = 1;

    /// <summary><c>VIRTIO_NET_HDR_F_DATA_VALID</c>: the checksum of the received frame was checked.</summary>
    public const byte HeaderDataValid = 2;

    /// <summary><c>VIRTIO_NET_HDR_GSO_NONE</c>: an ordinary frame.</summary>
    public const byte GsoNone = 0;

    /// <summary><c>VIRTIO_NET_HDR_GSO_TCPV4</c>: a TCP segment over IPv4 to be cut.</summary>
    public const byte GsoTcpIpv4 = 1;

    /// <summary><c>VIRTIO_NET_HDR_GSO_TCPV6</c>: the same over IPv6.</summary>
    public const byte GsoTcpIpv6 = 4;

    /// <summary><c>VIRTIO_NET_HDR_GSO_ECN</c>, beside one of the others: the segment has the flag CWR.</summary>
    public const byte GsoEcn = 0x80;

    /// <summary>Addresses and type of an Ethernet frame: nothing shorter is one.</summary>
    public const int EthernetHeaderBytes = 14;

    /// <summary>Room for an Ethernet header and two VLAN tags on top of the MTU.</summary>
    public const int FrameOverheadBytes = EthernetHeaderBytes + 8;
}
