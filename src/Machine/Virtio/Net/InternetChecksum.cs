using System.Buffers.Binary;

namespace FtAkka.Machine.Virtio.Net;

/// <summary>
/// The Internet checksum (RFC 1071) over frames of the guest. The guest's own loop over the bytes is translated code; this one is
/// native, which is why the device offers to do it in both directions.
/// </summary>
public static class InternetChecksum
{
    private const ushort EtherTypeIpv4 = 0x0800;
    private const ushort EtherTypeIpv6 = 0x86DD;
    private const byte ProtocolTcp = 6;
    private const byte ProtocolUdp = 17;

    /// <summary>
    /// Sum of the big-endian words of <paramref name="data"/>, an odd last byte padded with zero, not yet folded: 32 bits at a time, which
    /// folds to the same (RFC 1071 §2). Good for half a gigabyte.
    /// </summary>
    public static ulong Sum(ReadOnlySpan<byte> data)
    {
        ulong sum = 0;
        while (data.Length >= 8)
        {
            ulong word = BinaryPrimitives.ReadUInt64BigEndian(data);
            sum += (word >> 32) + (word & 0xFFFF_FFFF);
            data = data[8..];
        }
        while (data.Length >= 2)
        {
            sum += BinaryPrimitives.ReadUInt16BigEndian(data);
            data = data[2..];
        }
        return data.IsEmpty ? sum : sum + ((ulong)data[0] << 8);
    }

    /// <summary>Ones' complement sum in 16 bits.</summary>
    public static ushort Fold(ulong sum)
    {
        while (sum > 0xFFFF)
        {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }
        return (ushort)sum;
    }

    /// <summary>
    /// Completes a checksum whose field already holds the sum of the pseudo-header (virtio 1.2 §5.1.6.2). False, and nothing changed,
    /// if the positions lie outside the frame.
    /// </summary>
    public static bool TryComplete(Span<byte> frame, int start, int fieldOffset)
    {
        int field = start + fieldOffset;
        if (start < 0 || fieldOffset < 0 || start >= frame.Length || field + 2 > frame.Length)
        {
            return false;
        }
        ushort checksum = (ushort)~Fold(Sum(frame[start..]));
        // Zero means "no checksum" in UDP; all-ones is the same number in ones' complement.
        BinaryPrimitives.WriteUInt16BigEndian(frame[field..], checksum == 0 ? (ushort)0xFFFF : checksum);
        return true;
    }

    /// <summary>
    /// True if the frame is an unfragmented TCP or UDP packet over IPv4 or IPv6 (without extension headers) and its transport checksum is
    /// right. False for everything else: the guest then looks at it itself.
    /// </summary>
    public static bool HasValidTransportChecksum(ReadOnlySpan<byte> frame)
    {
        if (frame.Length < NetProtocol.EthernetHeaderBytes)
        {
            return false;
        }
        ReadOnlySpan<byte> packet = frame[NetProtocol.EthernetHeaderBytes..];
        return BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) switch
        {
            EtherTypeIpv4 => IsValidIpv4(packet),
            EtherTypeIpv6 => IsValidIpv6(packet),
            _ => false,
        };
    }

    private static bool IsValidIpv4(ReadOnlySpan<byte> packet)
    {
        if (packet.Length < 20 || packet[0] >> 4 != 4)
        {
            return false;
        }
        int headerBytes = (packet[0] & 0xF) * 4;
        int totalBytes = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]);
        bool fragment = (BinaryPrimitives.ReadUInt16BigEndian(packet[6..]) & 0x3FFF) != 0;
        if (headerBytes < 20 || totalBytes < headerBytes || totalBytes > packet.Length || fragment)
        {
            return false;
        }
        return IsValidTransport(packet[9], packet.Slice(12, 8), packet[headerBytes..totalBytes]);
    }

    private static bool IsValidIpv6(ReadOnlySpan<byte> packet)
    {
        if (packet.Length < 40 || packet[0] >> 4 != 6)
        {
            return false;
        }
        int payloadBytes = BinaryPrimitives.ReadUInt16BigEndian(packet[4..]);
        return 40 + payloadBytes <= packet.Length
            && IsValidTransport(packet[6], packet.Slice(8, 32), packet.Slice(40, payloadBytes));
    }

    private static bool IsValidTransport(byte protocol, ReadOnlySpan<byte> addresses, ReadOnlySpan<byte> segment)
    {
        bool known = protocol switch
        {
            ProtocolTcp => segment.Length >= 20,
            // A UDP checksum of zero was not computed by the sender: nothing to vouch for.
            ProtocolUdp => segment.Length >= 8 && (segment[6] | segment[7]) != 0,
            _ => false,
        };
        return known && Fold(Sum(addresses) + protocol + (ulong)segment.Length + Sum(segment)) == 0xFFFF;
    }
}
