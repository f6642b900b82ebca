namespace FtAkka.Machine.Virtio.Rng;

/// <summary>Constants of the entropy device (virtio 1.2 §5.4).</summary>
public static class RngProtocol
{
    /// <summary>Device type (§5.4.1).</summary>
    public const uint DeviceId = 4;

    /// <summary>Largest size of requestq, the only queue (§5.4.2).</summary>
    public const ushort QueueSize = 64;

    /// <summary>Bytes put into one buffer at most; the device need not fill a buffer (§5.4.6.2). Bounds the work of one notification.</summary>
    public const int BytesPerBufferMax = 4096;
}
