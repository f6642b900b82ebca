using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace FtAkka.Machine.Virtio.Net;

/// <summary>
/// Cuts one large TCP segment of the guest into frames that fit the network (virtio 1.2 §5.1.6.2, GSO), with checksums. The guest then goes through
/// its network stack, which is translated code, once for up to 64 KiB; the cutting is native, and nothing outside the device knows of it.
/// </summary>
internal static class TcpSegmentation
{
    /// <summary>Largest frame a guest may hand over: an IP packet of 64 KiB.</summary>
    public const int FrameBytesMax = 65535 + NetProtocol.FrameOverheadBytes;

    /// <summary>Least payload of a segment: smaller ones (no TCP has them) would let a hostile guest multiply its frames by a thousand and more.</summary>
    public const int SegmentBytesMin = 48;

    private const ushort EtherTypeIpv4 = 0x0800;
    private const ushort EtherTypeIpv6 = 0x86DD;
    private const ushort EtherTypeVlan = 0x8100;
    private const ushort EtherTypeServiceVlan = 0x88A8;
    private const int Ipv4HeaderBytes = 20;
    private const int Ipv6HeaderBytes = 40;
    private const int TcpHeaderBytes = 20;
    private const byte ProtocolTcp = 6;
    private const byte FlagFin = 0x01;
    private const byte FlagPush = 0x08;
    private const byte FlagWindowReduced = 0x80;   // CWR

    /// <summary>Where the headers of a frame are.</summary>
    private readonly record struct Layout(int Ip, int Tcp, int Payload, bool IsIpv6);

    /// <summary>Cuts <paramref name="frame"/>.</summary>
    /// <param name="frame">Frame without the virtio header.</param>
    /// <param name="header">The virtio header, which asks for segmentation.</param>
    /// <param name="frameBytesMax">Longest frame the network carries.</param>
    /// <param name="frames">Gets the frames in order.</param>
    /// <returns>False, and no frame, if this is no TCP segment as the header says, or one whose parts would not fit.</returns>
    public static bool TryCut(
        ReadOnlySpan<byte> frame, ReadOnlySpan<byte> header, int frameBytesMax, ImmutableArray<ImmutableArray<byte>>.Builder frames)
    {
        int segmentBytes = BinaryPrimitives.ReadUInt16LittleEndian(header[4..]);
        int tcp = BinaryPrimitives.ReadUInt16LittleEndian(header[6..]);
        bool wantsIpv6 = (header[1] & ~NetProtocol.GsoEcn) == NetProtocol.GsoTcpIpv6;
        if ((header[0] & NetProtocol.HeaderNeedsChecksum) == 0
            || segmentBytes < SegmentBytesMin
            || !TryFindHeaders(frame, tcp, wantsIpv6, out Layout layout)
            || layout.Payload >= frame.Length
            || layout.Payload + Math.Min(segmentBytes, frame.Length - layout.Payload) > frameBytesMax)
        {
            return false;
        }
        int payloadBytes = frame.Length - layout.Payload;
        for (int done = 0, index = 0; done < payloadBytes; done += segmentBytes, index++)
        {
            int length = Math.Min(segmentBytes, payloadBytes - done);
            byte[] part = new byte[layout.Payload + length];
            frame[..layout.Payload].CopyTo(part);
            frame.Slice(layout.Payload + done, length).CopyTo(part.AsSpan(layout.Payload));
            WriteTcpHeader(part.AsSpan(layout.Tcp), (uint)done, isFirst: done == 0, isLast: done + length == payloadBytes);
            WriteIpHeader(part, layout, index);
            frames.Add(ImmutableCollectionsMarshal.AsImmutableArray(part));
        }
        return true;
    }

    private static bool TryFindHeaders(ReadOnlySpan<byte> frame, int tcp, bool wantsIpv6, out Layout layout)
    {
        layout = default;
        int ip = NetProtocol.EthernetHeaderBytes;
        ushort type = BinaryPrimitives.ReadUInt16BigEndian(frame[(ip - 2)..]);
        while (type is EtherTypeVlan or EtherTypeServiceVlan && frame.Length >= ip + 4)
        {
            ip += 4;
            type = BinaryPrimitives.ReadUInt16BigEndian(frame[(ip - 2)..]);
        }
        if (frame.Length < tcp + TcpHeaderBytes || tcp < ip + (wantsIpv6 ? Ipv6HeaderBytes : Ipv4HeaderBytes))
        {
            return false;
        }
        ReadOnlySpan<byte> packet = frame[ip..];
        // No extension headers: a guest sends what has them in ordinary frames.
        bool isIp = wantsIpv6
            ? type == EtherTypeIpv6 && packet[0] >> 4 == 6 && packet[6] == ProtocolTcp && tcp == ip + Ipv6HeaderBytes
            : type == EtherTypeIpv4 && packet[0] >> 4 == 4 && packet[9] == ProtocolTcp && tcp == ip + ((packet[0] & 0xF) * 4);
        int tcpHeaderBytes = (frame[tcp + 12] >> 4) * 4;
        layout = new Layout(ip, tcp, tcp + tcpHeaderBytes, wantsIpv6);
        return isIp && tcpHeaderBytes >= TcpHeaderBytes && layout.Payload <= frame.Length;
    }

    private static void WriteTcpHeader(Span<byte> tcp, uint sequenceOffset, bool isFirst, bool isLast)
    {
        BinaryPrimitives.WriteUInt32BigEndian(tcp[4..], BinaryPrimitives.ReadUInt32BigEndian(tcp[4..]) + sequenceOffset);
        byte keep = 0xFF;
        keep &= isLast ? (byte)0xFF : unchecked((byte)~(FlagFin | FlagPush));
        keep &= isFirst ? (byte)0xFF : unchecked((byte)~FlagWindowReduced);
        tcp[13] &= keep;
        tcp[16..18].Clear();   // the checksum, computed anew
    }

    /// <summary>Lengths and checksums, of TCP as well, since that covers the addresses.</summary>
    private static void WriteIpHeader(Span<byte> frame, Layout layout, int index)
    {
        Span<byte> ip = frame[layout.Ip..];
        Span<byte> tcp = frame[layout.Tcp..];
        ReadOnlySpan<byte> addresses;
        if (layout.IsIpv6)
        {
            BinaryPrimitives.WriteUInt16BigEndian(ip[4..], (ushort)tcp.Length);
            addresses = ip.Slice(8, 32);
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(ip[2..], (ushort)ip.Length);
            BinaryPrimitives.WriteUInt16BigEndian(ip[4..], (ushort)(BinaryPrimitives.ReadUInt16BigEndian(ip[4..]) + index));
            ip[10..12].Clear();
            int ipHeaderBytes = layout.Tcp - layout.Ip;
            BinaryPrimitives.WriteUInt16BigEndian(ip[10..], (ushort)~InternetChecksum.Fold(InternetChecksum.Sum(ip[..ipHeaderBytes])));
            addresses = ip.Slice(12, 8);
        }
        ulong sum = InternetChecksum.Sum(addresses) + ProtocolTcp + (ulong)tcp.Length + InternetChecksum.Sum(tcp);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[16..], (ushort)~InternetChecksum.Fold(sum));
    }
}
