using FtAkka.Machine.Virtio.Queues;

namespace FtAkka.Machine.Tests.Virtio;

/// <summary>The device side of a split virtqueue.</summary>
public sealed class VirtqueueTests
{
    private const ushort Size = 8;
    private const ulong Buffers = 0x8000;
    private readonly TestRam ram = new(0x1_0000);
    private readonly DriverQueue driver;
    private readonly Virtqueue device;

    public VirtqueueTests()
    {
        driver = new DriverQueue(ram, 0x1000, Size);
        device = new Virtqueue(ram, 16) { IndirectDescriptors = true };
        device.Configure(Size, driver.DescriptorTable, driver.DriverArea, driver.DeviceArea);
        Assert.True(device.TryEnable());
    }

    [Fact]
    public void Virtio_2_7_13_chain_comes_back_as_the_driver_described_it()
    {
        ushort head = driver.Add(new(Buffers, 16, false), new(Buffers + 0x100, 512, true), new(Buffers + 0x400, 1, true));
        Assert.Equal(VirtqueuePop.Chain, device.Pop());
        Assert.Equal(head, device.Chain.Head);
        Assert.Equal([new GuestSegment(Buffers, 16)], device.Chain.Readable);
        Assert.Equal([new GuestSegment(Buffers + 0x100, 512), new GuestSegment(Buffers + 0x400, 1)], device.Chain.Writable);
        Assert.Equal(16ul, device.Chain.ReadableBytes);
        Assert.Equal(513ul, device.Chain.WritableBytes);
        Assert.Equal(VirtqueuePop.Empty, device.Pop());
    }

    [Fact]
    public void Virtio_2_7_5_3_indirect_table_is_one_chain()
    {
        driver.AddIndirect(0x3000, new(Buffers, 16, false), new(Buffers + 16, 32, true));
        Assert.Equal(VirtqueuePop.Chain, device.Pop());
        Assert.Equal([new GuestSegment(Buffers, 16)], device.Chain.Readable);
        Assert.Equal([new GuestSegment(Buffers + 16, 32)], device.Chain.Writable);
    }

    [Fact]
    public void Virtio_2_7_5_3_2_write_flag_of_an_indirect_descriptor_is_ignored()
    {
        new Descriptor(Buffers, 4, 0, 0).Encode(ram.Span(0x3000, 16));
        driver.WriteDescriptor(0, new Descriptor(0x3000, 16, Descriptor.FlagIndirect | Descriptor.FlagWrite, 0));
        driver.Publish(0);
        Assert.Equal(VirtqueuePop.Chain, device.Pop());
        Assert.Equal([new GuestSegment(Buffers, 4)], device.Chain.Readable);
    }

    [Fact]
    public void Virtio_2_7_5_3_2_direct_descriptors_before_an_indirect_one_are_allowed()
    {
        new Descriptor(Buffers + 64, 4, Descriptor.FlagWrite, 0).Encode(ram.Span(0x3000, 16));
        driver.WriteDescriptor(0, new Descriptor(Buffers, 8, Descriptor.FlagNext, 1));
        driver.WriteDescriptor(1, new Descriptor(0x3000, 16, Descriptor.FlagIndirect, 0));
        driver.Publish(0);
        Assert.Equal(VirtqueuePop.Chain, device.Pop());
        Assert.Equal((8ul, 4ul), (device.Chain.ReadableBytes, device.Chain.WritableBytes));
    }

    [Fact]
    public void Virtio_2_7_5_3_1_indirect_table_may_be_longer_than_the_queue_up_to_the_devices_largest()
    {
        DriverBuffer[] sixteen = [.. Enumerable.Range(0, 16).Select(i => new DriverBuffer(Buffers + (16ul * (ulong)i), 16, false))];
        driver.AddIndirect(0x3000, sixteen);
        Assert.Equal(VirtqueuePop.Chain, device.Pop());
        driver.AddIndirect(0x4000, [.. sixteen, new DriverBuffer(Buffers, 1, false)]);
        AssertFault(VirtqueueFault.ChainTooLong);
    }

    [Fact]
    public void Virtio_2_7_5_3_1_looping_chain_is_refused()
    {
        driver.WriteDescriptor(0, new Descriptor(Buffers, 1, Descriptor.FlagNext, 1));
        driver.WriteDescriptor(1, new Descriptor(Buffers, 1, Descriptor.FlagNext, 0));
        driver.Publish(0);
        AssertFault(VirtqueueFault.ChainTooLong);
    }

    [Fact]
    public void Virtio_2_7_5_3_1_looping_indirect_table_is_refused()
    {
        new Descriptor(Buffers, 1, Descriptor.FlagNext, 0).Encode(ram.Span(0x3000, 16));
        driver.WriteDescriptor(0, new Descriptor(0x3000, 16, Descriptor.FlagIndirect, 0));
        driver.Publish(0);
        AssertFault(VirtqueueFault.ChainTooLong);
    }

    [Theory]
    [InlineData(Descriptor.FlagIndirect, 0)]
    [InlineData(Descriptor.FlagIndirect | Descriptor.FlagNext, 15)]
    [InlineData(Descriptor.FlagIndirect, 15)]
    public void Virtio_2_7_5_3_1_malformed_indirect_descriptor_is_refused(int flags, uint lengthBytes)
    {
        driver.WriteDescriptor(0, new Descriptor(0x3000, lengthBytes, (ushort)flags, 1));
        driver.Publish(0);
        Assert.Equal(VirtqueuePop.Fault, device.Pop());
        Assert.Contains(device.Fault, new[] { VirtqueueFault.IndirectLength, VirtqueueFault.IndirectNested });
    }

    [Fact]
    public void Virtio_2_7_5_3_1_indirect_table_inside_an_indirect_table_is_refused()
    {
        new Descriptor(0x3000, 16, Descriptor.FlagIndirect, 0).Encode(ram.Span(0x3000, 16));
        driver.WriteDescriptor(0, new Descriptor(0x3000, 16, Descriptor.FlagIndirect, 0));
        driver.Publish(0);
        AssertFault(VirtqueueFault.IndirectNested);
    }

    [Fact]
    public void Virtio_2_7_5_3_1_indirect_descriptor_without_the_feature_is_refused()
    {
        device.IndirectDescriptors = false;
        driver.AddIndirect(0x3000, new DriverBuffer(Buffers, 16, false));
        AssertFault(VirtqueueFault.IndirectNotNegotiated);
    }

    [Theory]
    [InlineData(0x1_0000ul, 1u)]                    // first byte behind RAM
    [InlineData(0xFFFFul, 2u)]                      // runs out of RAM
    [InlineData(0ul, 0x1_0001u)]                    // larger than RAM
    [InlineData(0xFFFF_FFFF_FFFF_FFFFul, 2u)]       // wraps around
    [InlineData(0xFEB0_0000ul, 4u)]                 // a device window
    public void Virtio_2_7_5_buffer_outside_ram_is_refused_before_anything_is_touched(ulong address, uint lengthBytes)
    {
        driver.WriteDescriptor(0, new Descriptor(Buffers, 4, Descriptor.FlagNext | Descriptor.FlagWrite, 1));
        driver.WriteDescriptor(1, new Descriptor(address, lengthBytes, Descriptor.FlagWrite, 0));
        driver.Publish(0);
        byte[] before = ram.Copy();
        AssertFault(VirtqueueFault.BufferOutsideRam);
        Assert.Equal(0, ram.RefusedAccesses);
        Assert.Equal(0, ram.Writes);
        Assert.Equal(before, ram.Copy());
    }

    [Fact]
    public void Virtio_2_7_5_indirect_table_outside_ram_is_refused()
    {
        driver.WriteDescriptor(0, new Descriptor(0xFFF0, 32, Descriptor.FlagIndirect, 0));
        driver.Publish(0);
        AssertFault(VirtqueueFault.BufferOutsideRam);
    }

    [Fact]
    public void Virtio_2_7_4_2_readable_after_writable_is_refused()
    {
        driver.Add(new DriverBuffer(Buffers, 1, true), new DriverBuffer(Buffers, 1, false));
        AssertFault(VirtqueueFault.ReadableAfterWritable);
    }

    [Fact]
    public void Virtio_2_7_5_empty_descriptor_is_refused()
    {
        driver.Add(new DriverBuffer(Buffers, 0, false));
        AssertFault(VirtqueueFault.EmptyDescriptor);
    }

    [Fact]
    public void Virtio_2_7_5_next_beyond_the_table_is_refused()
    {
        driver.WriteDescriptor(0, new Descriptor(Buffers, 1, Descriptor.FlagNext, Size));
        driver.Publish(0);
        AssertFault(VirtqueueFault.NextOutOfRange);
    }

    [Theory]
    [InlineData(9)]
    [InlineData(0x8000)]
    [InlineData(0xFFFF)]
    public void Virtio_2_7_13_available_index_far_ahead_is_refused(int index)
    {
        driver.AvailableIndex = (ushort)index;
        AssertFault(VirtqueueFault.AvailableIndexJump);
    }

    [Fact]
    public void Virtio_2_7_13_more_chains_than_the_queue_holds_are_refused()
    {
        driver.WriteDescriptor(0, new Descriptor(Buffers, 1, 0, 0));
        for (int i = 0; i < Size; i++)
        {
            driver.Publish(0);
            Assert.Equal(VirtqueuePop.Chain, device.Pop());
        }
        driver.Publish(0);
        AssertFault(VirtqueueFault.AvailableIndexJump);
    }

    [Fact]
    public void Virtio_2_7_indices_wrap_around_at_65536()
    {
        for (int i = 0; i < 70_000; i++)
        {
            ushort head = driver.Add(new DriverBuffer(Buffers, 1, true));
            Assert.Equal(VirtqueuePop.Chain, device.Pop());
            Assert.True(device.TryPush(head, 1));
            Assert.Equal([new UsedElement(head, 1)], driver.TakeUsed());
        }
    }

    [Fact]
    public void Virtio_2_7_8_completions_may_come_out_of_order()
    {
        ushort first = driver.Add(new DriverBuffer(Buffers, 1, true));
        ushort second = driver.Add(new DriverBuffer(Buffers + 1, 1, true));
        Assert.Equal(VirtqueuePop.Chain, device.Pop());
        Assert.Equal(VirtqueuePop.Chain, device.Pop());
        Assert.True(device.TryPush(second, 1));
        Assert.True(device.TryPush(first, 0));
        Assert.Equal([new UsedElement(second, 1), new UsedElement(first, 0)], driver.TakeUsed());
    }

    [Fact]
    public void Virtio_2_7_7_no_interrupt_flag_is_honoured()
    {
        Assert.True(PushOne());
        driver.AvailableFlags = 1;
        Assert.False(PushOne());
        driver.AvailableFlags = 0;
        Assert.True(PushOne());
    }

    [Fact]
    public void Virtio_2_7_10_interrupt_comes_when_the_used_index_passes_used_event()
    {
        device.EventIndex = true;
        driver.UsedEvent = 2;
        Assert.False(PushOne());   // entry 0
        Assert.False(PushOne());   // entry 1
        Assert.True(PushOne());    // entry 2
        Assert.False(PushOne());   // entry 3: not asked for again
    }

    [Fact]
    public void Virtio_2_7_10_a_batch_gives_one_interrupt_decision()
    {
        device.EventIndex = true;
        driver.UsedEvent = 1;
        for (int i = 0; i < 3; i++)
        {
            ushort head = driver.Add(new DriverBuffer(Buffers, 1, true));
            Assert.Equal(VirtqueuePop.Chain, device.Pop());
            Assert.True(device.TryPush(head, 1));
        }
        Assert.True(device.TakeInterruptDecision());
        Assert.False(device.TakeInterruptDecision());
    }

    [Fact]
    public void Virtio_2_7_10_avail_event_suppresses_and_asks_for_notifications()
    {
        device.EventIndex = true;
        Assert.True(device.TryWantNotifications(false));
        driver.Add(new DriverBuffer(Buffers, 1, true));
        Assert.False(driver.MustNotify(added: 1));
        Assert.Equal(VirtqueuePop.Chain, device.Pop());
        Assert.True(device.TryWantNotifications(true));
        driver.Add(new DriverBuffer(Buffers, 1, true));
        Assert.True(driver.MustNotify(added: 1));
    }

    [Fact]
    public void Virtio_2_7_9_no_notify_flag_without_event_index()
    {
        Assert.True(device.TryWantNotifications(false));
        Assert.Equal(1, driver.UsedFlags);
        Assert.True(device.TryWantNotifications(true));
        Assert.Equal(0, driver.UsedFlags);
    }

    [Fact]
    public void Unpopped_chains_are_popped_again()
    {
        driver.Add(new DriverBuffer(Buffers, 1, true));
        ushort second = driver.Add(new DriverBuffer(Buffers, 2, true));
        Assert.Equal(VirtqueuePop.Chain, device.Pop());
        Assert.Equal(VirtqueuePop.Chain, device.Pop());
        device.Unpop(1);
        Assert.Equal(VirtqueuePop.Chain, device.Pop());
        Assert.Equal(second, device.Chain.Head);
    }

    [Fact]
    public void Overlapping_segments_are_written_in_chain_order()
    {
        driver.Add(new DriverBuffer(Buffers, 4, true), new DriverBuffer(Buffers + 2, 4, true));
        Assert.Equal(VirtqueuePop.Chain, device.Pop());
        Assert.Equal(8, device.Chain.Write(ram, 0, [1, 2, 3, 4, 5, 6, 7, 8]));
        Assert.Equal([1, 2, 5, 6, 7, 8], ram.Span(Buffers, 6).ToArray());
    }

    [Fact]
    public void Chain_is_read_across_segments_from_any_offset()
    {
        byte[] expected = [.. Enumerable.Range(1, 6).Select(i => (byte)i)];
        expected.AsSpan(0, 2).CopyTo(ram.Span(Buffers, 2));
        expected.AsSpan(2).CopyTo(ram.Span(Buffers + 0x100, 4));
        driver.Add(new DriverBuffer(Buffers, 2, false), new DriverBuffer(Buffers + 0x100, 4, false));
        Assert.Equal(VirtqueuePop.Chain, device.Pop());
        byte[] all = new byte[6];
        Assert.Equal(6, device.Chain.Read(ram, 0, all));
        Assert.Equal(expected, all);
        byte[] tail = new byte[10];
        Assert.Equal(3, device.Chain.Read(ram, 3, tail));
        Assert.Equal(expected[3..], tail[..3]);
    }

    private bool PushOne()
    {
        ushort head = driver.Add(new DriverBuffer(Buffers, 1, true));
        Assert.Equal(VirtqueuePop.Chain, device.Pop());
        Assert.True(device.TryPush(head, 1));
        driver.TakeUsed();
        return device.TakeInterruptDecision();
    }

    private void AssertFault(VirtqueueFault expected)
    {
        Assert.Equal(VirtqueuePop.Fault, device.Pop());
        Assert.Equal(expected, device.Fault);
    }
}
