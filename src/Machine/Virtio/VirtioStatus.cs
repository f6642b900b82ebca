namespace FtAkka.Machine.Virtio;

/// <summary>Bits of the device status field (virtio 1.2 §2.1).</summary>
public static class VirtioStatus
{
    /// <summary><c>ACKNOWLEDGE</c>: the guest has found the device.</summary>
    public const byte Acknowledge = 1;

    /// <summary><c>DRIVER</c>: the guest has a driver for it.</summary>
    public const byte Driver = 2;

    /// <summary><c>DRIVER_OK</c>: the driver is set up; the device may work.</summary>
    public const byte DriverOk = 4;

    /// <summary><c>FEATURES_OK</c>: both sides agree on the features.</summary>
    public const byte FeaturesOk = 8;

    /// <summary><c>DEVICE_NEEDS_RESET</c>: the device met an error from which only a reset helps. Set by the device alone.</summary>
    public const byte DeviceNeedsReset = 64;

    /// <summary><c>FAILED</c>: the driver has given up.</summary>
    public const byte Failed = 128;

    /// <summary>The bits a driver may set.</summary>
    public const byte DriverBits = Acknowledge | Driver | DriverOk | FeaturesOk | Failed;
}
