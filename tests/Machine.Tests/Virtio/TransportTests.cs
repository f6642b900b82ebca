using FtAkka.Machine.Snapshots;
using FtAkka.Machine.Virtio;
using FtAkka.Machine.Virtio.Console;
using FtAkka.Machine.Virtio.Net;
using FtAkka.Machine.Virtio.Queues;
using FtAkka.Machine.Virtio.Rng;

namespace FtAkka.Machine.Tests.Virtio;

/// <summary>The virtio-mmio transport, seen through a network device unless a test needs another one.</summary>
public sealed class TransportTests
{
    private static readonly uint[] ControlRegistersWithoutPlainRead =
        [0x014, 0x020, 0x024, 0x030, 0x038, 0x050, 0x064, 0x080, 0x084, 0x090, 0x094, 0x0A0, 0x0A4, 0x0AC];

    private static VirtioNetDevice NewNet() =>
        new(new NetOptions { Mac = [0x52, 0x54, 0, 1, 2, 3] }, new RecordingSinks());

    private static VirtioRngDevice NewRng() => new(ChaChaGenerator.FromSeed(1));

    private static DriverHarness NetHarness() => new(NewNet);

    [Fact]
    public void Virtio_4_2_2_identification_registers_read_as_specified()
    {
        DriverHarness driver = NetHarness();
        Assert.Equal(0x74726976u, driver.Read(0x000));
        Assert.Equal(2u, driver.Read(0x004));
        Assert.Equal(1u, driver.Read(0x008));
        Assert.NotEqual(0u, driver.Read(0x00C));
    }

    [Fact]
    public void Virtio_4_2_2_write_only_registers_read_zero()
    {
        DriverHarness driver = NetHarness().Start();
        Assert.All(ControlRegistersWithoutPlainRead, register => Assert.Equal(0u, driver.Read(register)));
    }

    [Theory]
    [InlineData(0x000, 1)]
    [InlineData(0x000, 2)]
    [InlineData(0x000, 8)]
    [InlineData(0x002, 4)]
    public void Virtio_4_2_2_2_control_registers_answer_only_aligned_32_bit_reads(ulong offset, int size) =>
        Assert.Equal(0ul, NetHarness().Device.MmioRead(offset, size));

    [Fact]
    public void Virtio_4_2_2_2_narrow_status_write_is_ignored()
    {
        DriverHarness driver = NetHarness();
        driver.Device.MmioWrite(VirtioMmioRegister.Status, 1, VirtioStatus.Acknowledge);
        Assert.Equal(0, driver.Device.Status);
    }

    [Fact]
    public void Virtio_2_2_features_beyond_64_bits_read_zero()
    {
        DriverHarness driver = NetHarness();
        driver.Write(VirtioMmioRegister.DeviceFeaturesSelect, 2);
        Assert.Equal(0u, driver.Read(VirtioMmioRegister.DeviceFeatures));
    }

    [Fact]
    public void Virtio_3_1_1_all_offered_features_are_accepted() =>
        Assert.True(NetHarness().Negotiate(NewNet().OfferedFeatures));

    [Fact]
    public void Virtio_6_2_driver_without_version_1_is_refused() =>
        Assert.False(NetHarness().Negotiate(NewNet().OfferedFeatures & ~VirtioFeatures.Version1));

    [Fact]
    public void Virtio_2_2_2_feature_not_offered_is_refused() =>
        Assert.False(NetHarness().Negotiate(NewNet().OfferedFeatures | (1UL << 63)));

    [Fact]
    public void Virtio_2_2_2_a_subset_is_accepted_after_a_refusal()
    {
        DriverHarness driver = NetHarness();
        Assert.False(driver.Negotiate(ulong.MaxValue));
        driver.AcceptFeatures(VirtioFeatures.Version1);
        driver.Write(VirtioMmioRegister.Status, VirtioStatus.Acknowledge | VirtioStatus.Driver | VirtioStatus.FeaturesOk);
        Assert.Equal(VirtioFeatures.Version1, driver.Device.NegotiatedFeatures);
    }

    [Fact]
    public void Virtio_3_1_1_features_are_frozen_by_FEATURES_OK()
    {
        DriverHarness driver = NetHarness();
        Assert.True(driver.Negotiate(VirtioFeatures.Version1));
        driver.AcceptFeatures(VirtioFeatures.Version1 | VirtioFeatures.EventIndex);
        Assert.Equal(VirtioFeatures.Version1, driver.Device.NegotiatedFeatures);
    }

    [Fact]
    public void Virtio_2_1_1_driver_cannot_clear_single_status_bits()
    {
        DriverHarness driver = NetHarness();
        driver.Write(VirtioMmioRegister.Status, VirtioStatus.Acknowledge | VirtioStatus.Driver);
        driver.Write(VirtioMmioRegister.Status, VirtioStatus.Driver);
        Assert.Equal(VirtioStatus.Acknowledge | VirtioStatus.Driver, driver.Device.Status);
    }

    [Fact]
    public void Virtio_2_1_only_the_device_sets_DEVICE_NEEDS_RESET()
    {
        DriverHarness driver = NetHarness();
        driver.Write(VirtioMmioRegister.Status, VirtioStatus.Acknowledge | VirtioStatus.DeviceNeedsReset);
        Assert.Equal(VirtioStatus.Acknowledge, driver.Device.Status);
    }

    [Fact]
    public void Virtio_3_1_1_DRIVER_OK_without_FEATURES_OK_does_not_start_the_device()
    {
        DriverHarness driver = NetHarness();
        driver.Write(VirtioMmioRegister.Status, VirtioStatus.Acknowledge | VirtioStatus.Driver | VirtioStatus.DriverOk);
        Assert.False(driver.Device.IsLive);
    }

    [Fact]
    public void Virtio_4_2_2_queue_that_does_not_exist_has_size_zero()
    {
        DriverHarness driver = NetHarness();
        driver.Write(VirtioMmioRegister.QueueSelect, 2);
        Assert.Equal(0u, driver.Read(VirtioMmioRegister.QueueNumMax));
        driver.Write(VirtioMmioRegister.QueueReady, 1);
        Assert.Equal(0u, driver.Read(VirtioMmioRegister.QueueReady));
        Assert.Equal(0, driver.Device.Status);
    }

    [Fact]
    public void Virtio_4_2_2_queue_ready_reads_back()
    {
        DriverHarness driver = NetHarness().Start();
        driver.Write(VirtioMmioRegister.QueueSelect, 1);
        Assert.Equal(1u, driver.Read(VirtioMmioRegister.QueueReady));
        driver.Write(VirtioMmioRegister.QueueReady, 0);
        Assert.Equal(0u, driver.Read(VirtioMmioRegister.QueueReady));
    }

    [Fact]
    public void Virtio_4_2_2_2_a_ready_queue_cannot_be_moved()
    {
        DriverHarness driver = NetHarness().Start();
        driver.Write(VirtioMmioRegister.QueueSelect, 0);
        driver.Write(VirtioMmioRegister.QueueDescriptorLow, 0xDEAD_0000);
        driver.Write(VirtioMmioRegister.QueueNum, 2);
        Assert.Equal(driver.Queues[0].DescriptorTable, driver.Device.Queue(0).DescriptorTable);
        Assert.Equal(64u, driver.Device.Queue(0).Size);
    }

    [Theory]
    [InlineData(0u, 0x10000ul, 0x11000ul, 0x12000ul)]             // size 0
    [InlineData(3u, 0x10000ul, 0x11000ul, 0x12000ul)]             // not a power of two
    [InlineData(512u, 0x10000ul, 0x13000ul, 0x14000ul)]           // above QueueNumMax
    [InlineData(64u, 0x10008ul, 0x11000ul, 0x12000ul)]            // descriptor table not 16-aligned
    [InlineData(64u, 0x10000ul, 0x11001ul, 0x12000ul)]            // available ring not 2-aligned
    [InlineData(64u, 0x10000ul, 0x11000ul, 0x12002ul)]            // used ring not 4-aligned
    public void Virtio_2_7_illegal_queue_setup_needs_a_reset(uint size, ulong table, ulong driverArea, ulong deviceArea)
    {
        DriverHarness driver = SetUpRaw(size, table, driverArea, deviceArea);
        Assert.Equal(VirtqueueFault.IllegalQueueSetup, driver.Device.LastFault);
        Assert.Equal(0u, driver.Read(VirtioMmioRegister.QueueReady));
        Assert.NotEqual(0u, driver.Read(VirtioMmioRegister.Status) & VirtioStatus.DeviceNeedsReset);
    }

    [Theory]
    [InlineData(0x3F_FFF0ul, 0x11000ul, 0x12000ul)]
    [InlineData(0x10000ul, 0x3F_FFFEul, 0x12000ul)]
    [InlineData(0x10000ul, 0x11000ul, 0xFFFF_FFFF_FFFF_FFF0ul)]
    [InlineData(0xC000_0000ul, 0x11000ul, 0x12000ul)]             // the device hole
    public void Virtio_2_7_ring_outside_ram_needs_a_reset(ulong table, ulong driverArea, ulong deviceArea)
    {
        DriverHarness driver = SetUpRaw(64, table, driverArea, deviceArea);
        Assert.Equal(VirtqueueFault.RingOutsideRam, driver.Device.LastFault);
        Assert.Equal(0, driver.Ram.RefusedAccesses);
    }

    private static DriverHarness SetUpRaw(uint size, ulong table, ulong driverArea, ulong deviceArea)
    {
        DriverHarness driver = NetHarness();
        Assert.True(driver.Negotiate(VirtioFeatures.Transport));
        driver.Write(VirtioMmioRegister.QueueSelect, 0);
        driver.Write(VirtioMmioRegister.QueueNum, size);
        driver.Write(VirtioMmioRegister.QueueDescriptorLow, (uint)table);
        driver.Write(VirtioMmioRegister.QueueDescriptorHigh, (uint)(table >> 32));
        driver.Write(VirtioMmioRegister.QueueDriverLow, (uint)driverArea);
        driver.Write(VirtioMmioRegister.QueueDriverHigh, (uint)(driverArea >> 32));
        driver.Write(VirtioMmioRegister.QueueDeviceLow, (uint)deviceArea);
        driver.Write(VirtioMmioRegister.QueueDeviceHigh, (uint)(deviceArea >> 32));
        driver.Write(VirtioMmioRegister.QueueReady, 1);
        return driver;
    }

    [Fact]
    public void Virtio_2_1_2_notification_before_DRIVER_OK_consumes_nothing()
    {
        var driver = new DriverHarness(NewRng);
        Assert.True(driver.Negotiate(VirtioFeatures.Transport));
        var queue = new DriverQueue(driver.Ram, DriverHarness.RingBase, 16);
        driver.SetUp(0, queue);
        queue.Add(new DriverBuffer(driver.Reserve(8), 8, DeviceWrites: true));
        driver.Notify(0);
        Assert.Equal(0, queue.UsedIndex);
        driver.Write(VirtioMmioRegister.Status, (uint)(driver.Device.Status | VirtioStatus.DriverOk));
        Assert.Equal(1, queue.UsedIndex);   // what was exposed early is served at the start
    }

    [Fact]
    public void Virtio_4_2_2_interrupt_is_level_and_acknowledged_bit_by_bit()
    {
        var driver = new DriverHarness(NewNet).Start();
        var net = (VirtioNetDevice)driver.Device.Model;
        driver.Queues[0].Add(new DriverBuffer(driver.Reserve(2048), 2048, DeviceWrites: true));
        Assert.True(net.Receive(new byte[60]));
        net.SetLink(false);
        Assert.Equal(VirtioInterrupt.UsedBuffer | VirtioInterrupt.ConfigurationChange, (int)driver.Read(VirtioMmioRegister.InterruptStatus));
        driver.Write(VirtioMmioRegister.InterruptAcknowledge, VirtioInterrupt.UsedBuffer);
        Assert.True(driver.Line.Asserted);
        driver.Write(VirtioMmioRegister.InterruptAcknowledge, VirtioInterrupt.ConfigurationChange);
        Assert.False(driver.Line.Asserted);
    }

    [Fact]
    public void Virtio_4_2_2_1_configuration_change_changes_the_generation()
    {
        var driver = new DriverHarness(NewNet);
        uint before = driver.Read(VirtioMmioRegister.ConfigGeneration);
        ((VirtioNetDevice)driver.Device.Model).SetLink(false);
        Assert.NotEqual(before, driver.Read(VirtioMmioRegister.ConfigGeneration));
        Assert.False(driver.Line.Asserted);   // no driver, no interrupt (§2.1.2)
    }

    [Fact]
    public void Virtio_4_2_2_configuration_space_is_readable_in_any_width_and_zero_beyond()
    {
        DriverHarness driver = NetHarness();
        Assert.Equal(0x52ul, driver.Device.MmioRead(0x100, 1));
        Assert.Equal(0x5452ul, driver.Device.MmioRead(0x100, 2));
        Assert.Equal(0x0100_5452ul, driver.Device.MmioRead(0x100, 4));
        Assert.Equal(0x0001_0302_0100_5452ul, driver.Device.MmioRead(0x100, 8));
        Assert.Equal(0ul, driver.Device.MmioRead(0x100 + 12, 8));
        Assert.Equal(0ul, driver.Device.MmioRead(0xFF8, 8));
    }

    [Fact]
    public void Virtio_4_2_2_shared_memory_region_that_does_not_exist_has_length_all_ones()
    {
        DriverHarness driver = NetHarness();
        Assert.Equal(uint.MaxValue, driver.Read(0x0B0));
        Assert.Equal(uint.MaxValue, driver.Read(0x0B4));
    }

    [Fact]
    public void Virtio_2_4_reset_forgets_everything()
    {
        var driver = new DriverHarness(NewNet).Start();
        ((VirtioNetDevice)driver.Device.Model).SetLink(false);
        Assert.True(driver.Line.Asserted);
        driver.Write(VirtioMmioRegister.Status, 0);
        Assert.Equal(0u, driver.Read(VirtioMmioRegister.Status));
        Assert.Equal(0u, driver.Read(VirtioMmioRegister.InterruptStatus));
        Assert.False(driver.Line.Asserted);
        Assert.Equal(0u, driver.Read(VirtioMmioRegister.QueueReady));
        Assert.Equal(0ul, driver.Device.NegotiatedFeatures);
    }

    [Fact]
    public void Virtio_2_1_2_broken_queue_tells_the_driver_and_stops_until_reset()
    {
        var driver = new DriverHarness(NewRng).Start();
        driver.Queues[0].Publish(head: 64);
        driver.Notify(0);
        Assert.Equal(VirtqueueFault.HeadOutOfRange, driver.Device.LastFault);
        Assert.Equal(VirtioInterrupt.ConfigurationChange, (int)driver.TakeInterrupt());
        driver.Queues[0].Add(new DriverBuffer(driver.Reserve(8), 8, DeviceWrites: true));
        driver.Notify(0);
        Assert.Equal(0, driver.Queues[0].UsedIndex);
        driver.Start();
        driver.Queues[0].Add(new DriverBuffer(driver.Reserve(8), 8, DeviceWrites: true));
        driver.Notify(0);
        Assert.Equal(1, driver.Queues[0].UsedIndex);
    }

    [Fact]
    public void Snapshot_of_another_device_type_is_refused()
    {
        byte[] state = new DriverHarness(NewRng).Snapshot();
        var console = new DriverHarness(() => new VirtioConsoleDevice(new RecordingSinks()));
        Assert.Equal(SnapshotError.OtherMachine, console.Device.Restore(new StateReader(state)));
    }

    [Fact]
    public void Snapshot_cut_anywhere_is_refused()
    {
        byte[] state = new DriverHarness(NewNet).Start().Snapshot();
        for (int length = 0; length < state.Length; length++)
        {
            var fresh = new DriverHarness(NewNet);
            var reader = new StateReader(state.AsMemory(0, length));
            Assert.NotEqual(SnapshotError.None, fresh.Device.Restore(reader));
        }
    }

    [Fact]
    public void Snapshot_with_a_flipped_byte_is_refused_or_restored_without_an_exception()
    {
        var driver = new DriverHarness(NewNet).Start();
        byte[] state = driver.Snapshot();
        int refused = 0;
        for (int i = 0; i < state.Length; i++)
        {
            byte[] broken = [.. state];
            broken[i] ^= 0xFF;
            var fresh = new DriverHarness(NewNet);
            refused += fresh.Device.Restore(new StateReader(broken)) == SnapshotError.None ? 0 : 1;
        }
        Assert.InRange(refused, 1, state.Length);
    }
}
