namespace FtAkka.Machine.Virtio.Console;

/// <summary>Constants of the console device with a single port (virtio 1.2 §5.3).</summary>
public static class ConsoleProtocol
{
    /// <summary>Device type (§5.3.1).</summary>
    public const uint DeviceId = 3;

    /// <summary>Index of receiveq of port 0 (§5.3.2).</summary>
    public const int ReceiveQueue = 0;

    /// <summary>Index of transmitq of port 0 (§5.3.2).</summary>
    public const int TransmitQueue = 1;

    /// <summary>Largest size of both queues.</summary>
    public const ushort QueueSize = 128;

    /// <summary><c>VIRTIO_CONSOLE_F_SIZE</c>: columns and rows are valid.</summary>
    public const ulong FeatureSize = 1UL << 0;

    /// <summary><c>VIRTIO_CONSOLE_F_EMERG_WRITE</c>: characters can be written without a queue.</summary>
    public const ulong FeatureEmergencyWrite = 1UL << 2;

    /// <summary>Size of <c>struct virtio_console_config</c> (§5.3.4).</summary>
    public const int ConfigurationBytes = 12;

    /// <summary>Offset of <c>emerg_wr</c> (§5.3.4).</summary>
    public const uint EmergencyWriteOffset = 8;

    /// <summary>Input bytes held while the guest has no buffers.</summary>
    public const int HeldBytesMax = 64 * 1024;

    /// <summary>Bytes taken at one notification; what is beyond is cut off. Far above what any driver sends at once.</summary>
    public const int BytesPerNotificationMax = 1024 * 1024;
}
