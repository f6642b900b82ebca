using System.Buffers.Binary;
using System.Collections.Immutable;

namespace FtAkka.DeviceActors.Nics;

/// <summary>
/// The broadcast that makes switches and bridges learn the port of a MAC address: a reverse-ARP request (RFC 903) for it. The host does
/// not know the guest's IP addresses, and RARP needs none; QEMU announces a migrated guest in the same way.
/// </summary>
public static class RarpAnnouncement
{
    private const int FrameBytes = 60;          // the Ethernet minimum without FCS
    private const int MacBytes = 6;
    private const ushort EtherTypeRarp = 0x8035;
    private const ushort HardwareEthernet = 1;
    private const ushort ProtocolIpv4 = 0x0800;
    private const ushort OperationRequestReverse = 3;

    /// <summary>The frame for this address of six bytes.</summary>
    public static ImmutableArray<byte> Build(ReadOnlySpan<byte> mac)
    {
        if (mac.Length != MacBytes)
        {
            throw new ArgumentException($"A MAC address has {MacBytes} bytes, not {mac.Length}.", nameof(mac));
        }
        Span<byte> frame = stackalloc byte[FrameBytes];
        frame.Clear();
        frame[..MacBytes].Fill(0xFF);
        mac.CopyTo(frame[6..]);
        BinaryPrimitives.WriteUInt16BigEndian(frame[12..], EtherTypeRarp);
        BinaryPrimitives.WriteUInt16BigEndian(frame[14..], HardwareEthernet);
        BinaryPrimitives.WriteUInt16BigEndian(frame[16..], ProtocolIpv4);
        frame[18] = MacBytes;
        frame[19] = 4;
        BinaryPrimitives.WriteUInt16BigEndian(frame[20..], OperationRequestReverse);
        mac.CopyTo(frame[22..]);    // sender hardware address
        mac.CopyTo(frame[32..]);    // target hardware address: the one asked about
        return ImmutableArray.Create(frame);
    }
}
