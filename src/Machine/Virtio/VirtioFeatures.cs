namespace FtAkka.Machine.Virtio;

/// <summary>Feature bits of every device type (virtio 1.2 §6).</summary>
public static class VirtioFeatures
{
    /// <summary><c>VIRTIO_F_INDIRECT_DESC</c> (bit 28): a descriptor may name a table of descriptors.</summary>
    public const ulong IndirectDescriptors = 1UL << 28;

    /// <summary><c>VIRTIO_F_EVENT_IDX</c> (bit 29): both sides say at which index they want to hear of the other.</summary>
    public const ulong EventIndex = 1UL << 29;

    /// <summary><c>VIRTIO_F_VERSION_1</c> (bit 32): not a legacy driver. Without it the device refuses FEATURES_OK (§6.2).</summary>
    public const ulong Version1 = 1UL << 32;

    /// <summary>What the transport offers on behalf of every device.</summary>
    public const ulong Transport = IndirectDescriptors | EventIndex | Version1;
}
