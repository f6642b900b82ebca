using System.Buffers.Binary;
using FtAkka.Machine.Virtio;
using FtAkka.Machine.Virtio.Net;

namespace FtAkka.Machine.Tests.Virtio;

/// <summary>Large TCP segments that the network device cuts (virtio 1.2 §5.1.6.2).</summary>
public sealed class TcpSegmentationTests
{
    private const int EthernetBytes = 14;
    private const int Mss = 1448;
    private const uint Sequence = 0xFFFF_F000;   // wraps in the middle
    private const byte Acknowledge = 0x10, Push = 0x08, Fin = 0x01, WindowReduced = 0x80;

    private readonly RecordingSinks sinks = new();
    private readonly NetOptions options = new() { Mac = [0x52, 0x54, 0, 1, 2, 3], Segmentation = true };
    private readonly DriverHarness driver;

    public TcpSegmentationTests() => driver = new DriverHarness(() => new VirtioNetDevice(options, sinks));

    private static byte[] Payload(int bytes) => [.. Enumerable.Range(0, bytes).Select(i => (byte)((i * 7) + (i >> 8)))];

    /// <summary>A segment with TCP options, its checksum field as a driver leaves it.</summary>
    private static byte[] Segment(bool ipv6, int payloadBytes, byte flags, int vlanTags = 0)
    {
        int ipBytes = ipv6 ? 40 : 20, ethernetBytes = EthernetBytes + (4 * vlanTags);
        byte[] frame = new byte[ethernetBytes + ipBytes + 32 + payloadBytes];
        for (int tag = 0; tag < vlanTags; tag++)
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12 + (4 * tag)), 0x8100);
        }
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(ethernetBytes - 2), (ushort)(ipv6 ? 0x86DD : 0x0800));
        Span<byte> ip = frame.AsSpan(ethernetBytes);
        if (ipv6)
        {
            ip[0] = 0x60;
            ip[6] = 6;
            Payload(32).CopyTo(ip[8..]);
        }
        else
        {
            ip[0] = 0x45;
            BinaryPrimitives.WriteUInt16BigEndian(ip[4..], 0xFFFE);   // identification, wraps as well
            ip[9] = 6;
            new byte[] { 10, 0, 0, 1, 10, 0, 0, 2 }.CopyTo(ip[12..]);
        }
        Span<byte> tcp = ip[ipBytes..];
        BinaryPrimitives.WriteUInt32BigEndian(tcp[4..], Sequence);
        tcp[12] = 8 << 4;
        tcp[13] = flags;
        Payload(12).CopyTo(tcp[20..]);
        Payload(payloadBytes).CopyTo(tcp[32..]);
        return frame;
    }

    private static byte[] Header(bool ipv6, int mss, int tcpAt, byte extra = 0)
    {
        byte[] header = new byte[NetProtocol.HeaderBytes];
        header[0] = NetProtocol.HeaderNeedsChecksum;
        header[1] = (byte)((ipv6 ? NetProtocol.GsoTcpIpv6 : NetProtocol.GsoTcpIpv4) | extra);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(4), (ushort)mss);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(6), (ushort)tcpAt);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(8), 16);
        return header;
    }

    private byte[][] Send(byte[] header, byte[] frame)
    {
        driver.Queues[1].Add(new(driver.Place(header), (uint)header.Length, false), new(driver.Place(frame), (uint)frame.Length, false));
        driver.Notify(1);
        return [.. sinks.Batches.SelectMany(batch => batch).Select(sent => sent.ToArray())];
    }

    /// <summary>The Internet checksum in the plainest way; zero over what holds a right one.</summary>
    private static ushort Checksum(IEnumerable<byte> bytes)
    {
        uint sum = 0;
        foreach ((byte value, int i) in bytes.Select((value, i) => (value, i)))
        {
            sum += i % 2 == 0 ? (uint)value << 8 : value;
            sum = (sum & 0xFFFF) + (sum >> 16);
        }
        return (ushort)~sum;
    }

    private static bool IsRight(byte[] frame, bool ipv6)
    {
        byte[] ip = frame[EthernetBytes..];
        byte[] tcp = ip[(ipv6 ? 40 : 20)..];
        byte[] addresses = ipv6 ? ip[8..40] : ip[12..20];
        return (ipv6 || Checksum(ip[..20]) == 0) && Checksum([.. addresses, 0, 6, (byte)(tcp.Length >> 8), (byte)tcp.Length, .. tcp]) == 0;
    }

    [Theory]
    [InlineData(false, (3 * Mss) + 100)]
    [InlineData(true, (3 * Mss) + 101)]
    [InlineData(false, 4 * Mss)]
    [InlineData(false, 20)]
    [InlineData(false, 65535 - 52)]
    public void Parts_together_are_the_segment_and_each_is_right_by_itself(bool ipv6, int payloadBytes)
    {
        driver.Start();
        int mss = ipv6 ? Mss - 20 : Mss, tcpAt = EthernetBytes + (ipv6 ? 40 : 20), dataAt = tcpAt + 32;
        byte[][] frames = Send(Header(ipv6, mss, tcpAt), Segment(ipv6, payloadBytes, Acknowledge | Push | Fin | WindowReduced));

        Assert.Equal((payloadBytes + mss - 1) / mss, frames.Length);
        Assert.Single(sinks.Batches);
        Assert.Equal(Payload(payloadBytes), frames.SelectMany(frame => frame[dataAt..]));
        uint next = Sequence;
        for (int i = 0; i < frames.Length; i++)
        {
            byte[] frame = frames[i], ip = frame[EthernetBytes..], tcp = frame[tcpAt..];
            Assert.True(IsRight(frame, ipv6), $"checksum of part {i}");
            Assert.Equal(ipv6 ? tcp.Length : ip.Length, BinaryPrimitives.ReadUInt16BigEndian(ip.AsSpan(ipv6 ? 4 : 2)));
            Assert.Equal(ipv6 ? 0 : (ushort)(0xFFFE + i), ipv6 ? 0 : BinaryPrimitives.ReadUInt16BigEndian(ip.AsSpan(4)));
            Assert.Equal(next, BinaryPrimitives.ReadUInt32BigEndian(tcp.AsSpan(4)));
            Assert.Equal(Payload(12), tcp[20..32]);
            int expected = Acknowledge | (i == 0 ? WindowReduced : 0) | (i == frames.Length - 1 ? Push | Fin : 0);
            Assert.Equal(expected, tcp[13]);
            next = unchecked(next + (uint)(frame.Length - dataAt));
        }
        Assert.Equal((ulong)frames.Length, ((VirtioNetDevice)driver.Device.Model).TransmittedFrames);
    }

    [Fact]
    public void Tagged_frame_keeps_its_tags()
    {
        driver.Start();
        byte[][] frames = Send(Header(false, Mss, EthernetBytes + 8 + 20), Segment(false, 2000, Acknowledge, vlanTags: 2));
        Assert.Equal(2, frames.Length);
        Assert.All(frames, frame => Assert.Equal("81000000810000000800", Convert.ToHexString(frame[12..22])));
        Assert.All(frames, frame => Assert.True(IsRight([.. frame[..12], .. frame[20..]], ipv6: false)));
    }

    [Theory]
    [InlineData("no checksum asked for", 0, 0)]
    [InlineData("UDP", 1, 3)]
    [InlineData("IPv6 in the header, IPv4 in the frame", 1, NetProtocol.GsoTcpIpv6)]
    [InlineData("a part of one byte", 4, 1)]
    [InlineData("no part", 4, 0)]
    [InlineData("TCP elsewhere", 6, 35)]
    [InlineData("TCP behind the end", 7, 0xFF)]
    public void What_is_no_TCP_segment_as_announced_is_dropped(string what, int field, int value)
    {
        driver.Start();
        byte[] header = Header(false, Mss, EthernetBytes + 20);
        header[field] = (byte)value;
        header[5] = field == 4 ? (byte)0 : header[5];
        Assert.True(Send(header, Segment(false, 3000, Acknowledge)).Length == 0, what);
        Assert.Equal(1ul, ((VirtioNetDevice)driver.Device.Model).TransmitDrops);
        Assert.Equal(1, driver.Queues[1].UsedIndex);
    }

    [Fact]
    public void Parts_longer_than_the_network_carries_and_ordinary_frames_longer_are_dropped()
    {
        driver.Start();
        Assert.Empty(Send(Header(false, 1600, EthernetBytes + 20), Segment(false, 3000, Acknowledge)));
        Assert.Empty(Send(new byte[NetProtocol.HeaderBytes], Segment(false, 3000, Acknowledge)));
    }

    [Fact]
    public void Driver_that_did_not_negotiate_it_gets_nothing_cut()
    {
        driver.Start(VirtioFeatures.Transport | NetProtocol.FeatureMac | NetProtocol.FeatureChecksum);
        Assert.Empty(Send(Header(false, Mss, EthernetBytes + 20), Segment(false, 3000, Acknowledge)));
    }

    [Fact]
    public void Scrambled_segments_never_break_the_device_nor_make_long_frames()
    {
        driver.Start();
        var random = new Random(41);
        ulong headerAt = driver.Reserve(NetProtocol.HeaderBytes), frameAt = driver.Reserve(8192);
        for (int round = 0; round < 2000; round++)
        {
            bool ipv6 = random.Next(2) == 0;
            byte[] header = Header(ipv6, random.Next(1, 2000), EthernetBytes + (ipv6 ? 40 : 20));
            byte[] frame = Segment(ipv6, random.Next(0, 4000), (byte)random.Next(256));
            for (int i = random.Next(4); i > 0; i--)
            {
                header[random.Next(header.Length)] = (byte)random.Next(256);
                frame[random.Next(Math.Min(frame.Length, 100))] = (byte)random.Next(256);
            }
            header.CopyTo(driver.Ram.Span(headerAt, header.Length));
            frame.CopyTo(driver.Ram.Span(frameAt, frame.Length));
            driver.Queues[1].Add(new(headerAt, (uint)header.Length, false), new(frameAt, (uint)random.Next(1, frame.Length + 1), false));
            driver.Notify(1);
            Assert.Single(driver.Queues[1].TakeUsed());
        }
        Assert.All(sinks.Batches.SelectMany(batch => batch), frame => Assert.InRange(frame.Length, EthernetBytes, 1500 + 22));
        Assert.NotEmpty(sinks.Batches);
    }
}
