using System.Buffers.Binary;
using FtAkka.Machine.Virtio;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Machine.Virtio.Queues;

namespace FtAkka.Machine.Tests.Virtio;

/// <summary>The block device behind the transport.</summary>
public sealed class BlockTests
{
    private const ulong CapacitySectors = 2048;
    private static readonly byte[] Untouched = [0xA5];

    private readonly RecordingSinks sinks = new();
    private readonly DriverHarness driver;
    private BlockOptions options = new() { CapacitySectors = CapacitySectors, Identity = "disk-one" };

    public BlockTests() => driver = new DriverHarness(Create);

    private VirtioBlkDevice Blk => (VirtioBlkDevice)driver.Device.Model;

    private VirtioBlkDevice Create() => new(options, sinks);

    private static DriverHarness WithOptions(BlockOptions options, RecordingSinks sinks) =>
        new DriverHarness(() => new VirtioBlkDevice(options, sinks)).Start();

    private static byte[] Header(uint type, ulong sector)
    {
        byte[] header = new byte[16];
        BinaryPrimitives.WriteUInt32LittleEndian(header, type);
        BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(8), sector);
        return header;
    }

    private static byte[] Pattern(int length, int seed) => [.. Enumerable.Range(0, length).Select(i => (byte)((i * 7) + seed))];

    private readonly record struct Sent(ushort Head, ulong Data, ulong Status);

    private static Sent Read(DriverHarness driver, ulong sector, int bytes, int queue = 0)
    {
        ulong data = driver.Reserve(bytes);
        ulong status = driver.Reserve(1);
        ushort head = driver.Queues[queue].Add(
            new(driver.Place(Header(BlockProtocol.TypeRead, sector)), 16, false), new(data, (uint)bytes, true), new(status, 1, true));
        driver.Notify(queue);
        return new Sent(head, data, status);
    }

    private static Sent Write(DriverHarness driver, ulong sector, byte[] content, int queue = 0)
    {
        ulong data = driver.Place(content);
        ulong status = driver.Reserve(1);
        ushort head = driver.Queues[queue].Add(
            new(driver.Place(Header(BlockProtocol.TypeWrite, sector)), 16, false), new(data, (uint)content.Length, false), new(status, 1, true));
        driver.Notify(queue);
        return new Sent(head, data, status);
    }

    private static Sent Other(DriverHarness driver, uint type, byte[] payload)
    {
        ulong status = driver.Reserve(1);
        byte[] message = [.. Header(type, 0), .. payload];
        ushort head = driver.Queues[0].Add(new(driver.Place(message), (uint)message.Length, false), new(status, 1, true));
        driver.Notify(0);
        return new Sent(head, 0, status);
    }

    private static byte[] Range(ulong sector, uint sectors, uint flags)
    {
        byte[] range = new byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(range, sector);
        BinaryPrimitives.WriteUInt32LittleEndian(range.AsSpan(8), sectors);
        BinaryPrimitives.WriteUInt32LittleEndian(range.AsSpan(12), flags);
        return range;
    }

    private static byte StatusOf(DriverHarness driver, Sent sent) => driver.Ram.Span(sent.Status, 1)[0];

    [Fact]
    public void Virtio_5_2_4_configuration_holds_capacity_limits_and_topology()
    {
        Assert.Equal(CapacitySectors, driver.Device.MmioRead(0x100, 8));
        Assert.Equal(65536ul, driver.Device.MmioRead(0x108, 4));
        Assert.Equal(254ul, driver.Device.MmioRead(0x10C, 4));     // seg_max: queue size less header and status
        Assert.Equal(512ul, driver.Device.MmioRead(0x114, 4));     // blk_size
        Assert.Equal(3ul, driver.Device.MmioRead(0x118, 1));       // 4096 = 512 << 3
        Assert.Equal(1ul, driver.Device.MmioRead(0x128, 4));       // max_discard_seg
    }

    [Fact]
    public void Virtio_5_2_6_read_data_reaches_memory_only_with_the_completion()
    {
        driver.Start();
        Sent sent = Read(driver, sector: 8, bytes: 1024);
        DiskRequest request = Assert.Single(sinks.Requests);
        Assert.Equal((DiskRequestKind.Read, 8ul, 1024ul, true), (request.Kind, request.Sector, request.LengthBytes, request.Data.IsEmpty));
        Assert.Equal(0, driver.Queues[0].UsedIndex);
        Assert.Equal(Untouched[0], StatusOf(driver, sent));
        Assert.False(driver.Line.Asserted);

        byte[] content = Pattern(1024, 1);
        Assert.True(Blk.Complete(new DiskCompletion(request.Id, DiskStatus.Ok, [.. content])));
        Assert.Equal(content, driver.Ram.Span(sent.Data, 1024).ToArray());
        Assert.Equal(BlockProtocol.StatusOk, StatusOf(driver, sent));
        Assert.Equal([new UsedElement(sent.Head, 1025)], driver.Queues[0].TakeUsed());
        Assert.Equal(VirtioInterrupt.UsedBuffer, (int)driver.TakeInterrupt());
    }

    [Fact]
    public void Paper_3_4_write_data_is_copied_when_submitted()
    {
        driver.Start();
        byte[] content = Pattern(512, 2);
        Sent sent = Write(driver, 1, content);
        driver.Ram.Span(sent.Data, 512).Clear();   // the guest scribbles over the buffer while the write is in flight
        DiskRequest request = Assert.Single(sinks.Requests);
        Assert.Equal(content, request.Data);
        Blk.Complete(new DiskCompletion(request.Id, DiskStatus.Ok, []));
        Assert.Equal([new UsedElement(sent.Head, 1)], driver.Queues[0].TakeUsed());
        Assert.Equal(BlockProtocol.StatusOk, StatusOf(driver, sent));
    }

    [Fact]
    public void Virtio_2_7_4_header_data_and_status_may_be_cut_anywhere()
    {
        driver.Start();
        byte[] content = Pattern(512, 3);
        byte[] message = [.. Header(BlockProtocol.TypeWrite, 3), .. content];
        ulong address = driver.Place(message);
        ulong status = driver.Reserve(1);
        driver.Queues[0].Add(new(address, 5, false), new(address + 5, 20, false), new(address + 25, 503, false), new(status, 1, true));
        driver.Notify(0);
        Assert.Equal(content, Assert.Single(sinks.Requests).Data);
    }

    [Fact]
    public void Virtio_5_2_6_status_byte_may_share_a_segment_with_the_data()
    {
        driver.Start();
        ulong target = driver.Reserve(513);
        driver.Queues[0].Add(new(driver.Place(Header(BlockProtocol.TypeRead, 0)), 16, false), new(target, 513, true));
        driver.Notify(0);
        Blk.Complete(new DiskCompletion(sinks.Requests[0].Id, DiskStatus.Ok, [.. Pattern(512, 4)]));
        Assert.Equal([.. Pattern(512, 4), BlockProtocol.StatusOk], driver.Ram.Span(target, 513).ToArray());
    }

    [Fact]
    public void Many_requests_are_outstanding_and_complete_in_any_order()
    {
        driver.Start(queueSize: 256);
        Sent[] sent = [.. Enumerable.Range(0, 80).Select(i => Read(driver, (ulong)i, 512))];
        Assert.Equal(80, sinks.Requests.Count);
        Assert.Equal(Enumerable.Range(0, 80).Select(i => (ulong)i), sinks.Requests.Select(r => r.Id));
        foreach (DiskRequest request in Enumerable.Reverse(sinks.Requests))
        {
            Assert.True(Blk.Complete(new DiskCompletion(request.Id, DiskStatus.Ok, [.. Pattern(512, (int)request.Id)])));
        }
        Assert.Equal(sent.Reverse().Select(s => (uint)s.Head), driver.Queues[0].TakeUsed().Select(u => u.Head));
        Assert.All(sent, (s, i) => Assert.Equal(Pattern(512, i), driver.Ram.Span(s.Data, 512).ToArray()));
        Assert.Empty(Blk.Outstanding);
    }

    [Fact]
    public void Virtio_5_2_6_flush_leaves_the_machine_and_completes()
    {
        driver.Start();
        Sent sent = Other(driver, BlockProtocol.TypeFlush, []);
        DiskRequest request = Assert.Single(sinks.Requests);
        Assert.Equal(DiskRequestKind.Flush, request.Kind);
        Blk.Complete(new DiskCompletion(request.Id, DiskStatus.Ok, []));
        Assert.Equal(BlockProtocol.StatusOk, StatusOf(driver, sent));
    }

    [Fact]
    public void Virtio_5_2_6_get_id_answers_at_once()
    {
        driver.Start();
        ulong target = driver.Reserve(20);
        ulong status = driver.Reserve(1);
        ushort head = driver.Queues[0].Add(
            new(driver.Place(Header(BlockProtocol.TypeGetIdentity, 0)), 16, false), new(target, 20, true), new(status, 1, true));
        driver.Notify(0);
        Assert.Equal([.. "disk-one"u8, .. new byte[12]], driver.Ram.Span(target, 20).ToArray());
        Assert.Equal([new UsedElement(head, 21)], driver.Queues[0].TakeUsed());
        Assert.Empty(sinks.Requests);
    }

    [Theory]
    [InlineData(BlockProtocol.TypeDiscard, 0u, DiskRequestKind.Discard, false)]
    [InlineData(BlockProtocol.TypeWriteZeroes, 0u, DiskRequestKind.WriteZeroes, false)]
    [InlineData(BlockProtocol.TypeWriteZeroes, 1u, DiskRequestKind.WriteZeroes, true)]
    public void Virtio_5_2_6_discard_and_write_zeroes_name_their_range(uint type, uint flags, DiskRequestKind kind, bool mayUnmap)
    {
        driver.Start();
        Sent sent = Other(driver, type, Range(16, 8, flags));
        Assert.Equal(new DiskRequest(0, kind, 16, 4096, [], mayUnmap), Assert.Single(sinks.Requests) with { Data = [] });
        Blk.Complete(new DiskCompletion(0, DiskStatus.Ok, []));
        Assert.Equal(BlockProtocol.StatusOk, StatusOf(driver, sent));
    }

    [Theory]
    [InlineData(BlockProtocol.TypeDiscard, 1u)]
    [InlineData(BlockProtocol.TypeDiscard, 2u)]
    [InlineData(BlockProtocol.TypeWriteZeroes, 2u)]
    public void Virtio_5_2_6_2_unknown_range_flags_are_unsupported(uint type, uint flags)
    {
        driver.Start();
        Sent sent = Other(driver, type, Range(0, 1, flags));
        Assert.Equal(BlockProtocol.StatusUnsupported, StatusOf(driver, sent));
        Assert.Empty(sinks.Requests);
    }

    [Theory]
    [InlineData(CapacitySectors, 1u)]
    [InlineData(CapacitySectors - 1, 2u)]
    [InlineData(ulong.MaxValue, 2u)]
    [InlineData(0ul, 0u)]
    [InlineData(0ul, uint.MaxValue)]
    public void Virtio_5_2_6_2_discard_outside_the_disk_is_an_io_error(ulong sector, uint sectors)
    {
        driver.Start();
        Assert.Equal(BlockProtocol.StatusIoError, StatusOf(driver, Other(driver, BlockProtocol.TypeDiscard, Range(sector, sectors, 0))));
        Assert.Empty(sinks.Requests);
    }

    [Fact]
    public void Virtio_5_2_6_2_two_discard_segments_exceed_max_discard_seg()
    {
        driver.Start();
        byte[] two = [.. Range(0, 1, 0), .. Range(1, 1, 0)];
        Assert.Equal(BlockProtocol.StatusIoError, StatusOf(driver, Other(driver, BlockProtocol.TypeDiscard, two)));
    }

    [Theory]
    [InlineData(2u)]
    [InlineData(14u)]
    [InlineData(0xFFFF_FFFFu)]
    public void Virtio_5_2_6_1_unknown_request_is_unsupported(uint type)
    {
        driver.Start();
        Assert.Equal(BlockProtocol.StatusUnsupported, StatusOf(driver, Other(driver, type, [])));
    }

    [Theory]
    [InlineData(CapacitySectors, 512)]
    [InlineData(CapacitySectors - 1, 1024)]
    [InlineData(ulong.MaxValue, 512)]
    [InlineData(0ul, 511)]
    [InlineData(0ul, 513)]
    public void Virtio_5_2_6_bad_reads_are_io_errors(ulong sector, int bytes)
    {
        driver.Start();
        Sent sent = Read(driver, sector, bytes);
        Assert.Equal(BlockProtocol.StatusIoError, StatusOf(driver, sent));
        Assert.Equal([new UsedElement(sent.Head, 0)], driver.Queues[0].TakeUsed());
        Assert.All(driver.Ram.Span(sent.Data, bytes).ToArray(), b => Assert.Equal(Untouched[0], b));
        Assert.Empty(sinks.Requests);
    }

    [Fact]
    public void Virtio_5_2_6_short_header_is_an_io_error()
    {
        driver.Start();
        ulong status = driver.Reserve(1);
        driver.Queues[0].Add(new(driver.Place(new byte[15]), 15, false), new(status, 1, true));
        driver.Notify(0);
        Assert.Equal(BlockProtocol.StatusIoError, driver.Ram.Span(status, 1)[0]);
    }

    [Fact]
    public void Virtio_5_2_6_request_without_status_byte_needs_a_reset()
    {
        driver.Start();
        driver.Queues[0].Add(new DriverBuffer(driver.Place(Header(BlockProtocol.TypeFlush, 0)), 16, false));
        driver.Notify(0);
        Assert.Equal(VirtqueueFault.RequestWithoutStatus, driver.Device.LastFault);
    }

    [Fact]
    public void Virtio_5_2_6_2_writes_to_a_read_only_disk_are_io_errors()
    {
        options = options with { ReadOnly = true };
        DriverHarness readOnly = WithOptions(options, sinks);
        Assert.NotEqual(0ul, readOnly.OfferedFeatures() & BlockProtocol.FeatureReadOnly);
        Assert.Equal(0ul, readOnly.OfferedFeatures() & (BlockProtocol.FeatureDiscard | BlockProtocol.FeatureWriteZeroes));
        Assert.Equal(BlockProtocol.StatusIoError, StatusOf(readOnly, Write(readOnly, 0, new byte[512])));
        Assert.Equal(BlockProtocol.StatusIoError, StatusOf(readOnly, Other(readOnly, BlockProtocol.TypeDiscard, Range(0, 1, 0))));
        Assert.Equal(BlockProtocol.StatusIoError, StatusOf(readOnly, Other(readOnly, BlockProtocol.TypeWriteZeroes, Range(0, 1, 0))));
        Assert.Empty(sinks.Requests);
    }

    [Theory]
    [InlineData(DiskStatus.IoError, BlockProtocol.StatusIoError)]
    [InlineData(DiskStatus.Unsupported, BlockProtocol.StatusUnsupported)]
    public void Virtio_5_2_6_backend_errors_reach_the_guest_and_leave_its_buffer(DiskStatus status, byte expected)
    {
        driver.Start();
        Sent sent = Read(driver, 0, 512);
        Blk.Complete(new DiskCompletion(0, status, []));
        Assert.Equal(expected, StatusOf(driver, sent));
        Assert.All(driver.Ram.Span(sent.Data, 512).ToArray(), b => Assert.Equal(Untouched[0], b));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(511)]
    [InlineData(1024)]
    public void Completion_of_another_length_than_asked_is_an_io_error(int length)
    {
        driver.Start();
        Sent sent = Read(driver, 0, 512);
        Blk.Complete(new DiskCompletion(0, DiskStatus.Ok, [.. new byte[length]]));
        Assert.Equal(BlockProtocol.StatusIoError, StatusOf(driver, sent));
    }

    [Fact]
    public void Completion_after_a_reset_touches_nothing_and_ids_are_not_reused()
    {
        driver.Start();
        Read(driver, 0, 512);
        driver.Start();
        byte[] before = driver.Ram.Copy();
        Assert.False(Blk.Complete(new DiskCompletion(0, DiskStatus.Ok, [.. new byte[512]])));
        Assert.Equal(before, driver.Ram.Copy());
        Read(driver, 0, 512);
        Assert.Equal(1ul, sinks.Requests[1].Id);
    }

    [Fact]
    public void Completion_is_taken_once()
    {
        driver.Start();
        Read(driver, 0, 512);
        var completion = new DiskCompletion(0, DiskStatus.Ok, [.. new byte[512]]);
        Assert.True(Blk.Complete(completion));
        Assert.False(Blk.Complete(completion));
        Assert.Equal(1, driver.Queues[0].UsedIndex);
    }

    [Fact]
    public void Limit_on_bytes_in_flight_leaves_requests_in_the_queue_until_completions_come()
    {
        options = options with { InFlightBytesMax = 1024 };
        DriverHarness limited = WithOptions(options, sinks);
        var blk = (VirtioBlkDevice)limited.Device.Model;
        for (int i = 0; i < 4; i++)
        {
            Read(limited, (ulong)i, 512);
        }
        Assert.Equal([0ul, 1ul], sinks.Requests.Select(r => r.Id));
        blk.Complete(new DiskCompletion(0, DiskStatus.Ok, [.. new byte[512]]));
        Assert.Equal([0ul, 1ul, 2ul], sinks.Requests.Select(r => r.Id));
        blk.Complete(new DiskCompletion(1, DiskStatus.Ok, [.. new byte[512]]));
        Assert.Equal(4, sinks.Requests.Count);
    }

    [Fact]
    public void Requests_from_before_a_reset_keep_their_room_until_they_end()
    {
        options = options with { InFlightBytesMax = 1024 };
        DriverHarness limited = WithOptions(options, sinks);
        var blk = (VirtioBlkDevice)limited.Device.Model;
        Read(limited, 0, 512);
        Read(limited, 1, 512);
        limited.Start();
        Sent sent = Read(limited, 2, 512);
        Assert.Equal([0ul, 1ul], sinks.Requests.Select(r => r.Id));

        Assert.False(blk.Complete(new DiskCompletion(0, DiskStatus.Ok, [.. new byte[512]])));
        Assert.Equal([0ul, 1ul, 2ul], sinks.Requests.Select(r => r.Id));
        Assert.Equal(0, limited.Queues[0].UsedIndex);
        Assert.True(blk.Complete(new DiskCompletion(2, DiskStatus.Ok, [.. Pattern(512, 1)])));
        Assert.Equal([new UsedElement(sent.Head, 513)], limited.Queues[0].TakeUsed());
    }

    [Fact]
    public void Requests_from_before_a_reset_go_with_the_snapshot_and_are_issued_again()
    {
        driver.Start();
        Write(driver, 6, Pattern(1024, 9));
        driver.Start();
        Sent read = Read(driver, 5, 512);

        var blk = (VirtioBlkDevice)driver.MoveTo(Create);
        Assert.Equal([(0ul, DiskRequestKind.Write), (1ul, DiskRequestKind.Read)], blk.Outstanding.Select(r => (r.Id, r.Kind)));
        Assert.Equal(Pattern(1024, 9), blk.Outstanding.First().Data);
        byte[] before = driver.Ram.Copy();
        Assert.False(blk.Complete(new DiskCompletion(0, DiskStatus.Ok, [])));
        Assert.Equal(before, driver.Ram.Copy());
        Assert.True(blk.Complete(new DiskCompletion(1, DiskStatus.Ok, [.. Pattern(512, 8)])));
        Assert.Equal(Pattern(512, 8), driver.Ram.Span(read.Data, 512).ToArray());
        Assert.Empty(blk.Outstanding);
    }

    [Fact]
    public void Virtio_5_2_2_several_queues_complete_on_their_own()
    {
        options = options with { QueueCount = 3 };
        DriverHarness multi = WithOptions(options, sinks);
        Assert.Equal(3ul, multi.Device.MmioRead(0x122, 2));
        Read(multi, 0, 512, queue: 2);
        Read(multi, 1, 512, queue: 1);
        ((VirtioBlkDevice)multi.Device.Model).Complete(new DiskCompletion(0, DiskStatus.Ok, [.. new byte[512]]));
        Assert.Equal([0, 0, 1], multi.Queues.Select(q => (int)q.UsedIndex));
    }

    [Fact]
    public void Virtio_5_2_5_new_capacity_comes_with_a_configuration_interrupt()
    {
        driver.Start();
        Blk.ChangeCapacity(4096);
        Assert.Equal(4096ul, driver.Device.MmioRead(0x100, 8));
        Assert.Equal(VirtioInterrupt.ConfigurationChange, (int)driver.TakeInterrupt());
        Read(driver, 4095, 512);
        Assert.Single(sinks.Requests);
    }

    [Fact]
    public void Snapshot_carries_requests_in_flight_to_the_replica_that_goes_live()
    {
        driver.Start();
        Sent read = Read(driver, 5, 512);
        Sent write = Write(driver, 6, Pattern(1024, 9));
        Other(driver, BlockProtocol.TypeWriteZeroes, Range(7, 1, 1));
        DiskRequest[] issued = [.. sinks.Requests];

        var blk = (VirtioBlkDevice)driver.MoveTo(Create);
        Assert.Equal(3, issued.Length);
        Assert.All(blk.Outstanding.Zip(issued), pair =>
        {
            Assert.Equal(pair.Second with { Data = [] }, pair.First with { Data = [] });
            Assert.Equal(pair.Second.Data.AsEnumerable(), pair.First.Data.AsEnumerable());
        });
        Assert.True(blk.Complete(new DiskCompletion(1, DiskStatus.Ok, [])));
        Assert.True(blk.Complete(new DiskCompletion(0, DiskStatus.Ok, [.. Pattern(512, 8)])));
        Assert.Equal(Pattern(512, 8), driver.Ram.Span(read.Data, 512).ToArray());
        Assert.Equal([new UsedElement(write.Head, 1), new UsedElement(read.Head, 513)], driver.Queues[0].TakeUsed());
    }

    [Fact]
    public void Virtio_2_7_10_completions_interrupt_as_the_driver_asked()
    {
        driver.Start();
        driver.Queues[0].UsedEvent = 1;
        Read(driver, 0, 512);
        Read(driver, 1, 512);
        Blk.Complete(new DiskCompletion(0, DiskStatus.Ok, [.. new byte[512]]));
        Assert.False(driver.Line.Asserted);
        Blk.Complete(new DiskCompletion(1, DiskStatus.Ok, [.. new byte[512]]));
        Assert.True(driver.Line.Asserted);
    }
}
