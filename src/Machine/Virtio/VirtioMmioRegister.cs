namespace FtAkka.Machine.Virtio;

/// <summary>Offsets of the control registers (virtio 1.2 §4.2.2, table "MMIO Device Register Layout"). All are 32 bits wide.</summary>
public static class VirtioMmioRegister
{
    /// <summary><c>MagicValue</c>, read.</summary>
    public const uint MagicValue = 0x000;

    /// <summary><c>Version</c>, read.</summary>
    public const uint Version = 0x004;

    /// <summary><c>DeviceID</c>, read.</summary>
    public const uint DeviceId = 0x008;

    /// <summary><c>VendorID</c>, read.</summary>
    public const uint VendorId = 0x00C;

    /// <summary><c>DeviceFeatures</c>, read: 32 bits of the offered features.</summary>
    public const uint DeviceFeatures = 0x010;

    /// <summary><c>DeviceFeaturesSel</c>, write.</summary>
    public const uint DeviceFeaturesSelect = 0x014;

    /// <summary><c>DriverFeatures</c>, write: 32 bits of the accepted features.</summary>
    public const uint DriverFeatures = 0x020;

    /// <summary><c>DriverFeaturesSel</c>, write.</summary>
    public const uint DriverFeaturesSelect = 0x024;

    /// <summary><c>QueueSel</c>, write.</summary>
    public const uint QueueSelect = 0x030;

    /// <summary><c>QueueNumMax</c>, read; 0 if there is no such queue.</summary>
    public const uint QueueNumMax = 0x034;

    /// <summary><c>QueueNum</c>, write.</summary>
    public const uint QueueNum = 0x038;

    /// <summary><c>QueueReady</c>, read and write.</summary>
    public const uint QueueReady = 0x044;

    /// <summary><c>QueueNotify</c>, write: the index of the queue with new buffers.</summary>
    public const uint QueueNotify = 0x050;

    /// <summary><c>InterruptStatus</c>, read.</summary>
    public const uint InterruptStatus = 0x060;

    /// <summary><c>InterruptACK</c>, write.</summary>
    public const uint InterruptAcknowledge = 0x064;

    /// <summary><c>Status</c>, read and write.</summary>
    public const uint Status = 0x070;

    /// <summary><c>QueueDescLow</c>, write.</summary>
    public const uint QueueDescriptorLow = 0x080;

    /// <summary><c>QueueDescHigh</c>, write.</summary>
    public const uint QueueDescriptorHigh = 0x084;

    /// <summary><c>QueueDriverLow</c>, write.</summary>
    public const uint QueueDriverLow = 0x090;

    /// <summary><c>QueueDriverHigh</c>, write.</summary>
    public const uint QueueDriverHigh = 0x094;

    /// <summary><c>QueueDeviceLow</c>, write.</summary>
    public const uint QueueDeviceLow = 0x0A0;

    /// <summary><c>QueueDeviceHigh</c>, write.</summary>
    public const uint QueueDeviceHigh = 0x0A4;

    /// <summary><c>SHMLenLow</c>, read; all-ones, with its high half: no shared memory region.</summary>
    public const uint SharedMemoryLengthLow = 0x0B0;

    /// <summary><c>SHMBaseHigh</c>, the last of the four shared memory registers.</summary>
    public const uint SharedMemoryBaseHigh = 0x0BC;

    /// <summary><c>ConfigGeneration</c>, read.</summary>
    public const uint ConfigGeneration = 0x0FC;

    /// <summary>Start of the configuration space of the device type.</summary>
    public const uint Configuration = 0x100;

    /// <summary>What <see cref="MagicValue"/> reads: "virt".</summary>
    public const uint Magic = 0x7472_6976;

    /// <summary>What <see cref="Version"/> reads: a device of virtio 1.0 or later.</summary>
    public const uint ModernVersion = 2;

    /// <summary>What <see cref="VendorId"/> reads: "FTAK".</summary>
    public const uint Vendor = 0x4B41_5446;
}
