using System.Buffers.Binary;
using FtAkka.Machine.Virtio;
using FtAkka.Machine.Virtio.Net;
using FtAkka.Machine.Virtio.Queues;

namespace FtAkka.Machine.Tests.Virtio;

/// <summary>The network device behind the transport.</summary>
public sealed class NetTests
{
    private const ulong NotMergeable = VirtioFeatures.Transport | NetProtocol.FeatureMac | NetProtocol.FeatureStatus | NetProtocol.FeatureGuestChecksum;

    private readonly RecordingSinks sinks = new();
    private readonly DriverHarness driver;
    private readonly NetOptions options = new()
    {
        Mac = [0x52, 0x54, 0, 1, 2, 3], HeldFramesMax = 4, HeldBytesMax = 4000,
    };

    public NetTests() => driver = new DriverHarness(Create);

    private VirtioNetDevice Net => (VirtioNetDevice)driver.Device.Model;

    private VirtioNetDevice Create() => new(options, sinks);

    private static byte[] Frame(int length, int seed) => [.. Enumerable.Range(0, length).Select(i => (byte)((i * 3) + seed))];

    /// <summary>An IPv4 UDP frame with a right checksum, computed here in the plainest way.</summary>
    private static byte[] UdpFrame(int payloadBytes)
    {
        byte[] frame = new byte[14 + 20 + 8 + payloadBytes];
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), 0x0800);
        Span<byte> ip = frame.AsSpan(14);
        ip[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(ip[2..], (ushort)(28 + payloadBytes));
        ip[9] = 17;
        new byte[] { 10, 0, 0, 1, 10, 0, 0, 2 }.CopyTo(ip[12..]);
        Span<byte> udp = ip[20..];
        BinaryPrimitives.WriteUInt16BigEndian(udp, 1234);
        BinaryPrimitives.WriteUInt16BigEndian(udp[2..], 80);
        BinaryPrimitives.WriteUInt16BigEndian(udp[4..], (ushort)(8 + payloadBytes));
        Frame(payloadBytes, 5).CopyTo(udp[8..]);
        byte[] pseudo = [.. ip.Slice(12, 8), 0, 17, .. udp.Slice(4, 2), .. udp];
        uint sum = 0;
        for (int i = 0; i < pseudo.Length; i++)
        {
            sum += i % 2 == 0 ? (uint)pseudo[i] << 8 : pseudo[i];
        }
        sum = (sum & 0xFFFF) + (sum >> 16);
        sum = (sum & 0xFFFF) + (sum >> 16);
        BinaryPrimitives.WriteUInt16BigEndian(udp[6..], (ushort)~sum);
        return frame;
    }

    private void Send(byte[] header, byte[] frame, bool notify = true)
    {
        ulong at = driver.Place(header);
        driver.Queues[1].Add(new(at, (uint)header.Length, false), new(driver.Place(frame), (uint)frame.Length, false));
        if (notify)
        {
            driver.Notify(1);
        }
    }

    private ulong Post(int bytes)
    {
        ulong at = driver.Reserve(bytes);
        driver.Queues[0].Add(new DriverBuffer(at, (uint)bytes, DeviceWrites: true));
        return at;
    }

    [Fact]
    public void Frames_beyond_the_bytes_of_one_notification_are_dropped_and_counted()
    {
        var limited = new DriverHarness(() => new VirtioNetDevice(options with { NotificationBytesMax = 100 }, sinks)).Start();
        var net = (VirtioNetDevice)limited.Device.Model;
        ulong buffer = limited.Place([.. new byte[NetProtocol.HeaderBytes], .. Frame(60, 1)]);
        foreach (ulong round in new ulong[] { 1, 2 })
        {
            for (int i = 0; i < 4; i++)
            {
                limited.Queues[1].Add(new DriverBuffer(buffer, NetProtocol.HeaderBytes + 60, false));
            }
            limited.Notify(1);
            Assert.Equal(2, sinks.Batches[^1].Length);
            Assert.Equal((2 * round, 2 * round), (net.TransmittedFrames, net.TransmitDrops));
            Assert.Equal(4, limited.Queues[1].TakeUsed().Count);
        }
    }

    [Fact]
    public void Virtio_5_1_4_configuration_holds_mac_link_and_mtu()
    {
        Assert.Equal([0x52, 0x54, 0, 1, 2, 3], Enumerable.Range(0, 6).Select(i => (byte)driver.Device.MmioRead(0x100 + (ulong)i, 1)));
        Assert.Equal(1ul, driver.Device.MmioRead(0x106, 2));
        Assert.Equal(1500ul, driver.Device.MmioRead(0x10A, 2));
    }

    [Fact]
    public void Virtio_5_1_6_2_frames_of_one_notification_leave_as_one_batch_in_order()
    {
        driver.Start();
        Send(new byte[12], Frame(60, 1), notify: false);
        Send(new byte[12], Frame(61, 2), notify: false);
        Send(new byte[12], Frame(1514, 3));
        Assert.Equal([Frame(60, 1), Frame(61, 2), Frame(1514, 3)], Assert.Single(sinks.Batches).Select(f => f.ToArray()));
        Assert.Equal(3, driver.Queues[1].UsedIndex);
        Assert.True(driver.Queues[1].MustNotify(added: 3) is false);
    }

    [Fact]
    public void Virtio_5_1_6_2_transmit_buffer_is_free_at_once_and_the_frame_a_copy()
    {
        driver.Start();
        byte[] frame = Frame(100, 1);
        ulong at = driver.Place([.. new byte[12], .. frame]);
        driver.Queues[1].Add(new DriverBuffer(at, 112, false));   // header and frame in one segment
        driver.Notify(1);
        driver.Ram.Span(at, 112).Clear();
        Assert.Equal(frame, sinks.Batches[0][0].ToArray());
    }

    [Fact]
    public void Virtio_5_1_6_2_device_completes_a_checksum_the_driver_left_open()
    {
        driver.Start();
        byte[] right = UdpFrame(37);
        byte[] open = [.. right];
        byte[] pseudo = [.. right.AsSpan(26, 8), 0, 17, .. right.AsSpan(38, 2)];
        BinaryPrimitives.WriteUInt16BigEndian(open.AsSpan(40), InternetChecksum.Fold(InternetChecksum.Sum(pseudo)));
        byte[] header = new byte[12];
        header[0] = NetProtocol.HeaderNeedsChecksum;
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(6), 34);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(8), 6);
        Send(header, open);
        Assert.Equal(right, sinks.Batches[0][0].ToArray());
    }

    [Theory]
    [InlineData(34, 7)]          // field half outside a frame of 42 bytes
    [InlineData(42, 0)]
    [InlineData(0xFFFF, 0xFFFF)]
    public void Virtio_5_1_6_2_1_checksum_position_outside_the_frame_drops_it(int start, int offset)
    {
        driver.Start();
        byte[] header = new byte[12];
        header[0] = NetProtocol.HeaderNeedsChecksum;
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(6), (ushort)start);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(8), (ushort)offset);
        Send(header, Frame(42, 1));
        Assert.Empty(sinks.Batches);
        Assert.Equal(1ul, Net.TransmitDrops);
        Assert.Equal(1, driver.Queues[1].UsedIndex);
    }

    [Theory]
    [InlineData(13, 0)]                                 // shorter than an Ethernet header
    [InlineData(1523, 0)]                               // longer than the MTU allows
    [InlineData(60, 1)]                                 // segmentation, which is not offered
    public void Virtio_5_1_6_2_what_is_not_a_frame_is_dropped_and_returned(int length, byte gsoType)
    {
        driver.Start();
        byte[] header = new byte[12];
        header[1] = gsoType;
        Send(header, Frame(length, 1));
        Assert.Empty(sinks.Batches);
        Assert.Equal((1ul, 1), (Net.TransmitDrops, driver.Queues[1].UsedIndex));
    }

    [Fact]
    public void Virtio_5_1_6_writable_buffer_on_the_transmit_queue_needs_a_reset()
    {
        driver.Start();
        driver.Queues[1].Add(new DriverBuffer(driver.Reserve(100), 100, DeviceWrites: true));
        driver.Notify(1);
        Assert.Equal(VirtqueueFault.WrongDirection, driver.Device.LastFault);
    }

    [Fact]
    public void Virtio_5_1_6_4_received_frame_goes_behind_a_header_with_one_buffer()
    {
        driver.Start();
        ulong at = Post(2048);
        Assert.True(Net.Receive(Frame(100, 7)));
        Assert.Equal([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0], driver.Ram.Span(at, 12).ToArray());
        Assert.Equal(Frame(100, 7), driver.Ram.Span(at + 12, 100).ToArray());
        Assert.Equal(0xA5, driver.Ram.Span(at + 112, 1)[0]);
        Assert.Equal([new UsedElement(0, 112)], driver.Queues[0].TakeUsed());
        Assert.Equal(VirtioInterrupt.UsedBuffer, (int)driver.TakeInterrupt());
    }

    [Fact]
    public void Virtio_5_1_6_4_1_frame_is_spread_over_mergeable_buffers()
    {
        driver.Start();
        ulong[] at = [Post(500), Post(500), Post(500)];
        byte[] frame = Frame(1200, 4);
        Assert.True(Net.Receive(frame));
        Assert.Equal(3, driver.Ram.Span(at[0] + 10, 1)[0]);
        byte[] got = [.. driver.Ram.Span(at[0] + 12, 488), .. driver.Ram.Span(at[1], 500), .. driver.Ram.Span(at[2], 212)];
        Assert.Equal(frame, got);
        Assert.Equal([500u, 500u, 212u], driver.Queues[0].TakeUsed().Select(u => u.WrittenBytes));
    }

    [Fact]
    public void Virtio_5_1_6_4_1_frame_waits_until_there_are_enough_mergeable_buffers()
    {
        driver.Start();
        Post(500);
        Assert.True(Net.Receive(Frame(1200, 4)));
        Assert.Equal((0, 1), (driver.Queues[0].UsedIndex, Net.HeldFrames));
        Post(500);
        Post(500);
        Assert.True(driver.Queues[0].MustNotify(added: 2));
        driver.Notify(0);
        Assert.Equal((3, 0), (driver.Queues[0].UsedIndex, Net.HeldFrames));
    }

    [Fact]
    public void Virtio_5_1_6_4_1_frame_larger_than_the_whole_ring_is_dropped()
    {
        driver.Start(queueSize: 2);
        Post(100);
        Post(100);
        Assert.False(Net.Receive(Frame(1200, 4)));
        Assert.Equal((1ul, 0), (Net.ReceiveDrops, Net.HeldFrames));
        Assert.True(Net.Receive(Frame(150, 5)));   // the buffers are still there
        Assert.Equal(2, driver.Queues[0].UsedIndex);
    }

    [Fact]
    public void Virtio_5_1_6_3_1_too_small_a_buffer_without_merging_drops_the_frame_and_stays()
    {
        driver.Start(NotMergeable);
        Post(100);
        Assert.False(Net.Receive(Frame(200, 1)));
        Assert.True(Net.Receive(Frame(80, 2)));
        Assert.Equal([92u], driver.Queues[0].TakeUsed().Select(u => u.WrittenBytes));
    }

    [Fact]
    public void Frames_without_buffers_are_held_in_order_up_to_the_limit_and_then_dropped()
    {
        driver.Start();
        for (int i = 0; i < 6; i++)
        {
            Net.Receive(Frame(60, i));
        }
        Assert.Equal((4, 2ul), (Net.HeldFrames, Net.ReceiveDrops));
        ulong[] at = [.. Enumerable.Range(0, 5).Select(_ => Post(2048))];
        driver.Notify(0);
        Assert.Equal(0, Net.HeldFrames);
        Assert.Equal([0, 1, 2, 3], at.Take(4).Select(a => (int)driver.Ram.Span(a + 12, 1)[0]));
        Assert.Equal(4, driver.Queues[0].UsedIndex);
    }

    [Fact]
    public void Held_bytes_are_limited_too()
    {
        driver.Start();
        Assert.True(Net.Receive(Frame(1500, 0)));
        Assert.True(Net.Receive(Frame(1500, 0)));
        Assert.False(Net.Receive(Frame(1500, 0)));
        Assert.True(Net.Receive(Frame(1000, 0)));
    }

    [Fact]
    public void Virtio_2_7_10_receive_queue_asks_for_notifications_only_when_starved()
    {
        driver.Start();
        Post(2048);
        Assert.False(driver.Queues[0].MustNotify(added: 1));
        Assert.True(Net.Receive(Frame(60, 0)));
        Assert.True(Net.Receive(Frame(60, 1)));   // held: no buffer left
        Post(2048);
        Assert.True(driver.Queues[0].MustNotify(added: 1));
        driver.Notify(0);
        Post(2048);
        Assert.False(driver.Queues[0].MustNotify(added: 1));
    }

    [Theory]
    [InlineData(13)]
    [InlineData(1523)]
    public void Received_bytes_that_are_no_frame_are_dropped(int length)
    {
        driver.Start();
        Post(2048);
        Assert.False(Net.Receive(new byte[length]));
        Assert.Equal(0, driver.Queues[0].UsedIndex);
    }

    [Fact]
    public void Frames_before_the_driver_is_up_or_with_the_link_down_are_dropped()
    {
        Assert.False(Net.Receive(Frame(60, 0)));
        driver.Start();
        Post(2048);
        Net.SetLink(false);
        Assert.False(Net.Receive(Frame(60, 0)));
        Net.SetLink(true);
        Assert.True(Net.Receive(Frame(60, 0)));
        Assert.Equal(2ul, Net.ReceiveDrops);
    }

    [Fact]
    public void Virtio_5_1_6_4_1_right_checksum_is_vouched_for_and_a_wrong_one_is_not()
    {
        driver.Start();
        ulong right = Post(2048);
        ulong wrong = Post(2048);
        byte[] frame = UdpFrame(101);
        Net.Receive(frame);
        frame[^1] ^= 1;
        Net.Receive(frame);
        Assert.Equal((NetProtocol.HeaderDataValid, (byte)0), (driver.Ram.Span(right, 1)[0], driver.Ram.Span(wrong, 1)[0]));
    }

    [Fact]
    public void Virtio_5_1_6_4_1_checksum_is_not_vouched_for_unless_negotiated()
    {
        driver.Start(NotMergeable & ~NetProtocol.FeatureGuestChecksum);
        ulong at = Post(2048);
        Net.Receive(UdpFrame(10));
        Assert.Equal(0, driver.Ram.Span(at, 1)[0]);
    }

    [Fact]
    public void Checksum_check_never_throws_on_cut_or_scrambled_packets()
    {
        byte[] frame = UdpFrame(64);
        var random = new Random(7);
        int valid = 0;
        for (int i = 0; i < 20_000; i++)
        {
            byte[] scrambled = frame[..random.Next(frame.Length + 1)];
            for (int change = 0; change < 3 && scrambled.Length > 0; change++)
            {
                scrambled[random.Next(scrambled.Length)] = (byte)random.Next(256);
            }
            valid += InternetChecksum.HasValidTransportChecksum(scrambled) ? 1 : 0;
        }
        Assert.InRange(valid, 0, 2000);
        Assert.True(InternetChecksum.HasValidTransportChecksum(frame));
    }

    [Fact]
    public void Snapshot_carries_held_frames()
    {
        driver.Start();
        Net.Receive(Frame(60, 1));
        Net.Receive(Frame(70, 2));
        var net = (VirtioNetDevice)driver.MoveTo(Create);
        Assert.Equal(2, net.HeldFrames);
        ulong first = Post(2048);
        ulong second = Post(2048);
        Assert.True(driver.Queues[0].MustNotify(added: 2));
        driver.Notify(0);
        Assert.Equal(Frame(60, 1), driver.Ram.Span(first + 12, 60).ToArray());
        Assert.Equal(Frame(70, 2), driver.Ram.Span(second + 12, 70).ToArray());
        Assert.Equal(2ul, net.ReceivedFrames);
    }
}
