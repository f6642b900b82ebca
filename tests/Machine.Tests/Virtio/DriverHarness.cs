using System.Collections.Immutable;
using FtAkka.Machine.Bus;
using FtAkka.Machine.Snapshots;
using FtAkka.Machine.Virtio;

namespace FtAkka.Machine.Tests.Virtio;

/// <summary>The wire a test looks at.</summary>
internal sealed class TestLine : IInterruptLine
{
    public bool Asserted { get; private set; }

    public void Drive(bool asserted) => Asserted = asserted;
}

/// <summary>
/// A driver for one virtio-mmio device: initialisation as virtio 1.2 §3.1.1 demands, queues, interrupts, and room for buffers.
/// RAM layout: queue rings from 64 KiB on, buffers from 1 MiB on.
/// </summary>
internal sealed class DriverHarness
{
    public const int RamBytes = 4 * 1024 * 1024;
    public const ulong RingBase = 0x1_0000;
    public const ulong BufferBase = 0x10_0000;

    private ulong nextBuffer = BufferBase;

    public DriverHarness(Func<VirtioModel> create, TestRam? ram = null)
    {
        Ram = ram ?? new TestRam(RamBytes);
        Device = new VirtioMmioDevice(create(), Ram, Line);
    }

    public TestRam Ram { get; }

    public TestLine Line { get; } = new();

    public VirtioMmioDevice Device { get; private set; }

    public ImmutableArray<DriverQueue> Queues { get; private set; } = [];

    public uint Read(uint register) => (uint)Device.MmioRead(register, 4);

    public void Write(uint register, uint value) => Device.MmioWrite(register, 4, value);

    public ulong OfferedFeatures()
    {
        Write(VirtioMmioRegister.DeviceFeaturesSelect, 0);
        ulong low = Read(VirtioMmioRegister.DeviceFeatures);
        Write(VirtioMmioRegister.DeviceFeaturesSelect, 1);
        return low | ((ulong)Read(VirtioMmioRegister.DeviceFeatures) << 32);
    }

    public void AcceptFeatures(ulong features)
    {
        Write(VirtioMmioRegister.DriverFeaturesSelect, 0);
        Write(VirtioMmioRegister.DriverFeatures, (uint)features);
        Write(VirtioMmioRegister.DriverFeaturesSelect, 1);
        Write(VirtioMmioRegister.DriverFeatures, (uint)(features >> 32));
    }

    /// <summary>Steps 1 to 6 of §3.1.1. True if the device took the features.</summary>
    public bool Negotiate(ulong features)
    {
        Write(VirtioMmioRegister.Status, 0);
        Write(VirtioMmioRegister.Status, VirtioStatus.Acknowledge);
        Write(VirtioMmioRegister.Status, VirtioStatus.Acknowledge | VirtioStatus.Driver);
        AcceptFeatures(features);
        Write(VirtioMmioRegister.Status, VirtioStatus.Acknowledge | VirtioStatus.Driver | VirtioStatus.FeaturesOk);
        return (Read(VirtioMmioRegister.Status) & VirtioStatus.FeaturesOk) != 0;
    }

    /// <summary>Whole initialisation with every offered feature, or with <paramref name="features"/>, and queues of the given size.</summary>
    public DriverHarness Start(ulong? features = null, ushort queueSize = 64)
    {
        Assert.True(Negotiate(features ?? OfferedFeatures()));
        ulong ring = RingBase;
        ImmutableArray<DriverQueue>.Builder queues = ImmutableArray.CreateBuilder<DriverQueue>();
        for (int i = 0; i < Device.Model.QueueSizesMax.Count; i++)
        {
            ushort size = Math.Min(queueSize, Device.Model.QueueSizesMax[i]);
            var queue = new DriverQueue(Ram, ring, size);
            Ram.Span(ring, (int)(queue.End - ring)).Clear();
            SetUp(i, queue);
            queues.Add(queue);
            ring = (queue.End + 4095) & ~4095UL;
        }
        Queues = queues.ToImmutable();
        Write(VirtioMmioRegister.Status, (uint)(Read(VirtioMmioRegister.Status) | VirtioStatus.DriverOk));
        return this;
    }

    public void SetUp(int index, DriverQueue queue)
    {
        Write(VirtioMmioRegister.QueueSelect, (uint)index);
        Write(VirtioMmioRegister.QueueNum, queue.Size);
        Write(VirtioMmioRegister.QueueDescriptorLow, (uint)queue.DescriptorTable);
        Write(VirtioMmioRegister.QueueDescriptorHigh, (uint)(queue.DescriptorTable >> 32));
        Write(VirtioMmioRegister.QueueDriverLow, (uint)queue.DriverArea);
        Write(VirtioMmioRegister.QueueDriverHigh, (uint)(queue.DriverArea >> 32));
        Write(VirtioMmioRegister.QueueDeviceLow, (uint)queue.DeviceArea);
        Write(VirtioMmioRegister.QueueDeviceHigh, (uint)(queue.DeviceArea >> 32));
        Write(VirtioMmioRegister.QueueReady, 1);
    }

    public void Notify(int queue) => Write(VirtioMmioRegister.QueueNotify, (uint)queue);

    /// <summary>Room for a buffer, 16-byte aligned, with the given content.</summary>
    public ulong Place(ReadOnlySpan<byte> content)
    {
        ulong address = Reserve(content.Length);
        content.CopyTo(Ram.Span(address, content.Length));
        return address;
    }

    /// <summary>Room for a buffer filled with 0xA5, so that an untouched byte shows.</summary>
    public ulong Reserve(int length)
    {
        ulong address = nextBuffer;
        nextBuffer = (nextBuffer + (ulong)length + 15) & ~15UL;
        Ram.Span(address, length).Fill(0xA5);
        return address;
    }

    /// <summary>Reads and clears the interrupt status, as an interrupt handler does.</summary>
    public uint TakeInterrupt()
    {
        uint status = Read(VirtioMmioRegister.InterruptStatus);
        Write(VirtioMmioRegister.InterruptAcknowledge, status);
        return status;
    }

    public byte[] Snapshot()
    {
        var writer = new StateWriter();
        Device.Snapshot(writer);
        return writer.Written.ToArray();
    }

    /// <summary>Replaces the device by a new one restored from the old one's snapshot; the guest's memory stays.</summary>
    public VirtioModel MoveTo(Func<VirtioModel> create)
    {
        byte[] state = Snapshot();
        Device = new VirtioMmioDevice(create(), Ram, Line);
        var reader = new StateReader(state);
        Assert.Equal(SnapshotError.None, Device.Restore(reader));
        Assert.Equal(SnapshotError.None, reader.End());
        Assert.Equal(state, Snapshot());
        return Device.Model;
    }
}
