using System.Buffers.Binary;
using FtAkka.Machine.Virtio;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Machine.Virtio.Console;
using FtAkka.Machine.Virtio.Net;
using FtAkka.Machine.Virtio.Queues;
using FtAkka.Machine.Virtio.Rng;

namespace FtAkka.Machine.Tests.Virtio;

/// <summary>A guest's driver cannot make a device hold, or do, without end.</summary>
public sealed class ExhaustionTests
{
    private const byte Acknowledged = VirtioStatus.Acknowledge | VirtioStatus.Driver;
    private const byte Agreed = Acknowledged | VirtioStatus.FeaturesOk;

    private const ulong FirstTable = 0x30_0000, FirstAvailable = 0x30_1000, FirstUsed = 0x30_2000, Header = 0x30_3000, StatusByte = 0x30_4000;
    private const ulong SecondTable = 0x30_5000, SecondAvailable = 0x30_7000, SecondUsed = 0x30_8000;

    [Fact]
    public void Requests_that_the_host_has_not_finished_count_after_a_reset_too()
    {
        const int requestBytes = 32 << 10;
        var options = new BlockOptions { CapacitySectors = 2048, InFlightBytesMax = 2 * requestBytes };
        var sinks = new RecordingSinks();
        var driver = new DriverHarness(() => new VirtioBlkDevice(options, sinks));
        ulong header = driver.Place(HeaderOf(BlockProtocol.TypeWrite)), data = driver.Reserve(requestBytes), status = driver.Reserve(1);
        for (int round = 0; round < 8; round++)
        {
            driver.Start();   // resets the device first
            for (int i = 0; i < 4; i++)
            {
                driver.Queues[0].Add(new(header, 16, false), new(data, requestBytes, false), new(status, 1, true));
            }
            driver.Notify(0);
        }
        long held = sinks.Requests.Sum(request => (long)request.LengthBytes);
        Assert.True(held <= (long)options.InFlightBytesMax + requestBytes, $"the host holds {held} bytes of requests, {options.InFlightBytesMax} are allowed");
    }

    [Fact]
    public void Requests_of_no_bytes_count_after_a_reset_too()
    {
        var options = new BlockOptions { CapacitySectors = 2048, QueueSize = 16 };
        var sinks = new RecordingSinks();
        var driver = new DriverHarness(() => new VirtioBlkDevice(options, sinks));
        ulong header = driver.Place(HeaderOf(BlockProtocol.TypeFlush)), status = driver.Reserve(1);
        for (int round = 0; round < 20; round++)
        {
            driver.Start(queueSize: 16);
            for (int i = 0; i < 8; i++)
            {
                driver.Queues[0].Add(new(header, 16, false), new(status, 1, true));
            }
            driver.Notify(0);
        }
        Assert.Equal(options.RequestsInFlightMax, sinks.Requests.Count);

        // The end of one from before the reset makes room for one that waits.
        Assert.False(((VirtioBlkDevice)driver.Device.Model).Complete(new DiskCompletion(0, DiskStatus.Ok, [])));
        Assert.Equal(options.RequestsInFlightMax + 1, sinks.Requests.Count);
    }

    [Theory]
    [InlineData("blk", 0)]
    [InlineData("net", NetProtocol.TransmitQueue)]
    [InlineData("console", ConsoleProtocol.TransmitQueue)]
    [InlineData("rng", 0)]
    public void Notification_ends_though_each_answer_makes_another_buffer_available(string kind, int queue)
    {
        const ushort size = 8;
        var sinks = new RecordingSinks();
        VirtioModel model = kind switch
        {
            "blk" => new VirtioBlkDevice(new BlockOptions { CapacitySectors = 2048 }, sinks),
            "net" => new VirtioNetDevice(new NetOptions { Mac = [2, 0, 0, 0, 0, 1] }, sinks),
            "console" => new VirtioConsoleDevice(sinks),
            _ => new VirtioRngDevice(ChaChaGenerator.FromSeed(1)),
        };
        var ram = new StoppingRam(4 << 20, writesMax: 10_000);
        VirtioMmioDevice device = Negotiated(model, ram);
        HeaderOf(BlockProtocol.TypeGetIdentity).CopyTo(ram.Span(Header, 16));
        // One buffer, which each entry of the ring names: for the disk a request, for the others something to send or to fill.
        uint bytes = kind == "blk" ? (uint)BlockProtocol.HeaderBytes : 100;
        new Descriptor(Header, bytes, kind switch { "blk" => Descriptor.FlagNext, "rng" => Descriptor.FlagWrite, _ => (ushort)0 }, 1).Encode(ram.Span(FirstTable, Descriptor.SizeBytes));
        new Descriptor(StatusByte, 32, Descriptor.FlagWrite, 0).Encode(ram.Span(FirstTable + Descriptor.SizeBytes, Descriptor.SizeBytes));
        SetUp(device, size, FirstTable, FirstAvailable, FirstUsed, queue);
        Write(device, VirtioMmioRegister.Status, Agreed | VirtioStatus.DriverOk);
        BinaryPrimitives.WriteUInt16LittleEndian(ram.Span(FirstAvailable + 2, 2), 1);
        ram.Written = address =>
        {
            if (address == FirstUsed + 2)
            {
                Span<byte> index = ram.Span(FirstAvailable + 2, 2);
                BinaryPrimitives.WriteUInt16LittleEndian(index, (ushort)(BinaryPrimitives.ReadUInt16LittleEndian(index) + 1));
            }
        };

        for (ushort notification = 1; notification <= 3; notification++)
        {
            Write(device, VirtioMmioRegister.QueueNotify, (uint)queue);
            Assert.True(device.IsLive, $"{device.LastFault}");
            Assert.Equal(notification * size, BinaryPrimitives.ReadUInt16LittleEndian(ram.Span(FirstUsed + 2, 2)));
        }
    }

    [Fact]
    public void Notification_takes_at_most_as_many_buffers_as_the_queue_has()
    {
        (VirtioMmioDevice device, StoppingRam ram, DiskRequest flush) = WithFlushUnderWay();
        SetUp(device, 1, SecondTable, SecondAvailable, SecondAvailable);
        new Descriptor(0x30_6000, 1, Descriptor.FlagWrite, 0).Encode(ram.Span(SecondTable, Descriptor.SizeBytes));

        ((VirtioBlkDevice)device.Model).Complete(new DiskCompletion(flush.Id, DiskStatus.Ok, []));
        Write(device, VirtioMmioRegister.QueueNotify, 0);
    }

    [Fact]
    public void Completion_belongs_to_the_queue_that_it_came_from()
    {
        (VirtioMmioDevice device, StoppingRam ram, DiskRequest flush) = WithFlushUnderWay();
        SetUp(device, 4, SecondTable, SecondAvailable, SecondUsed);

        ((VirtioBlkDevice)device.Model).Complete(new DiskCompletion(flush.Id, DiskStatus.Ok, []));
        Assert.Equal(0, BinaryPrimitives.ReadUInt16LittleEndian(ram.Span(SecondUsed + 2, 2)));
    }

    /// <summary>A block device whose driver has asked for a flush and then taken its queue back.</summary>
    private static (VirtioMmioDevice Device, StoppingRam Ram, DiskRequest Flush) WithFlushUnderWay()
    {
        var sinks = new RecordingSinks();
        var ram = new StoppingRam(4 << 20, writesMax: 10_000);
        VirtioMmioDevice device = Negotiated(new VirtioBlkDevice(new BlockOptions { CapacitySectors = 2048 }, sinks), ram);
        HeaderOf(BlockProtocol.TypeFlush).CopyTo(ram.Span(Header, 16));
        new Descriptor(Header, 16, Descriptor.FlagNext, 1).Encode(ram.Span(FirstTable, Descriptor.SizeBytes));
        new Descriptor(StatusByte, 1, Descriptor.FlagWrite, 0).Encode(ram.Span(FirstTable + Descriptor.SizeBytes, Descriptor.SizeBytes));
        BinaryPrimitives.WriteUInt16LittleEndian(ram.Span(FirstAvailable + 2, 2), 1);
        SetUp(device, 4, FirstTable, FirstAvailable, FirstUsed);
        Write(device, VirtioMmioRegister.Status, Agreed | VirtioStatus.DriverOk);
        DiskRequest flush = Assert.Single(sinks.Requests);
        Write(device, VirtioMmioRegister.QueueReady, 0);
        return (device, ram, flush);
    }

    /// <summary>A device whose driver has accepted VERSION_1, and nothing else.</summary>
    private static VirtioMmioDevice Negotiated(VirtioModel model, StoppingRam ram)
    {
        var device = new VirtioMmioDevice(model, ram, new TestLine());
        foreach (byte status in new byte[] { 0, VirtioStatus.Acknowledge, Acknowledged })
        {
            Write(device, VirtioMmioRegister.Status, status);
        }
        Write(device, VirtioMmioRegister.DriverFeaturesSelect, 1);
        Write(device, VirtioMmioRegister.DriverFeatures, 1);
        Write(device, VirtioMmioRegister.Status, Agreed);
        return device;
    }

    private static void SetUp(VirtioMmioDevice device, uint size, ulong table, ulong available, ulong used, int queue = 0)
    {
        Write(device, VirtioMmioRegister.QueueSelect, (uint)queue);
        Write(device, VirtioMmioRegister.QueueNum, size);
        Write(device, VirtioMmioRegister.QueueDescriptorLow, (uint)table);
        Write(device, VirtioMmioRegister.QueueDriverLow, (uint)available);
        Write(device, VirtioMmioRegister.QueueDeviceLow, (uint)used);
        Write(device, VirtioMmioRegister.QueueReady, 1);
    }

    private static void Write(VirtioMmioDevice device, uint register, uint value) => device.MmioWrite(register, 4, value);

    private static byte[] HeaderOf(uint type)
    {
        byte[] header = new byte[BlockProtocol.HeaderBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(header, type);
        return header;
    }
}
