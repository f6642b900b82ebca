using System.Buffers.Binary;
using FtAkka.KnownFailures;
using FtAkka.Machine.Virtio;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Machine.Virtio.Queues;

namespace FtAkka.Machine.Tests.Virtio;

/// <summary>A guest's driver cannot make the block device hold, or do, without end.</summary>
public sealed class ExhaustionTests
{
    private const byte Acknowledged = VirtioStatus.Acknowledge | VirtioStatus.Driver;
    private const byte Agreed = Acknowledged | VirtioStatus.FeaturesOk;

    private const ulong FirstTable = 0x30_0000, FirstAvailable = 0x30_1000, FirstUsed = 0x30_2000, Header = 0x30_3000, StatusByte = 0x30_4000;
    private const ulong SecondTable = 0x30_5000, SecondAvailable = 0x30_7000, SecondUsed = 0x30_8000;

    [KnownToFail(Issue.Isolation, "A reset of the device forgets the requests that the host has not finished: a guest that writes and resets in a loop makes its host grow by 5 GB in 29 s.", Shows = "the host holds")]
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

    [KnownToFail(Issue.Isolation, "A guest that lays its available ring over its used ring hangs the machine's thread for ever: each answer makes another buffer available.", Shows = "has not returned")]
    public void Notification_takes_at_most_as_many_buffers_as_the_queue_has()
    {
        (VirtioMmioDevice device, StoppingRam ram, DiskRequest flush) = WithFlushUnderWay();
        SetUp(device, 1, SecondTable, SecondAvailable, SecondAvailable);
        new Descriptor(0x30_6000, 1, Descriptor.FlagWrite, 0).Encode(ram.Span(SecondTable, Descriptor.SizeBytes));

        ((VirtioBlkDevice)device.Model).Complete(new DiskCompletion(flush.Id, DiskStatus.Ok, []));
        Write(device, VirtioMmioRegister.QueueNotify, 0);
    }

    [KnownToFail(Issue.Isolation, "The end of a request is put on the used ring of whatever queue has its number now, though the guest has set that queue up anew since.", Shows = "Assert.Equal() Failure")]
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
        var device = new VirtioMmioDevice(new VirtioBlkDevice(new BlockOptions { CapacitySectors = 2048 }, sinks), ram, new TestLine());
        foreach (byte status in new byte[] { 0, VirtioStatus.Acknowledge, Acknowledged })
        {
            Write(device, VirtioMmioRegister.Status, status);
        }
        Write(device, VirtioMmioRegister.DriverFeaturesSelect, 1);
        Write(device, VirtioMmioRegister.DriverFeatures, 1);   // VERSION_1, and nothing else
        Write(device, VirtioMmioRegister.Status, Agreed);
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

    private static void SetUp(VirtioMmioDevice device, uint size, ulong table, ulong available, ulong used)
    {
        Write(device, VirtioMmioRegister.QueueSelect, 0);
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
