namespace FtAkka.Machine.Virtio.Queues;

/// <summary>
/// Why a virtqueue cannot be used any further. All are mistakes of the driver; the device answers with
/// <c>DEVICE_NEEDS_RESET</c> (virtio 1.2 §2.1.2) and touches nothing until it is reset.
/// </summary>
public enum VirtqueueFault
{
    /// <summary>No fault.</summary>
    None,

    /// <summary>A ring or the descriptor table lies outside RAM (§2.7).</summary>
    RingOutsideRam,

    /// <summary>The available index is more than the queue size ahead of what the device has taken (§2.7.13).</summary>
    AvailableIndexJump,

    /// <summary>The available ring names a descriptor beyond the table (§2.7.6).</summary>
    HeadOutOfRange,

    /// <summary>A <c>next</c> field names a descriptor beyond the table (§2.7.5).</summary>
    NextOutOfRange,

    /// <summary>The chain has more descriptors than the queue, as a loop has (§2.7.5.3.1).</summary>
    ChainTooLong,

    /// <summary>The buffers of the chain add up to more than 2^32 bytes (§2.7.5).</summary>
    ChainTooLarge,

    /// <summary>A descriptor of length zero, which no request of any device has a use for.</summary>
    EmptyDescriptor,

    /// <summary>A device-readable descriptor follows a device-writable one (§2.7.4.2).</summary>
    ReadableAfterWritable,

    /// <summary>A buffer lies wholly or in part outside RAM.</summary>
    BufferOutsideRam,

    /// <summary>An indirect descriptor without <c>VIRTIO_F_INDIRECT_DESC</c> (§2.7.5.3.1).</summary>
    IndirectNotNegotiated,

    /// <summary>An indirect descriptor inside an indirect table, or one with <c>NEXT</c> set (§2.7.5.3.1).</summary>
    IndirectNested,

    /// <summary>The length of an indirect table is zero or not a multiple of 16 (§2.7.5.3.2).</summary>
    IndirectLength,

    /// <summary>A chain lacks the parts the device type demands, so that not even a status can be written (e.g. §5.2.6).</summary>
    RequestWithoutStatus,

    /// <summary>A chain on a queue that carries only device-writable buffers has a readable one, or the reverse.</summary>
    WrongDirection,

    /// <summary>QueueReady was set on a queue whose size or alignment is illegal (§2.7, §4.2.2).</summary>
    IllegalQueueSetup,
}
