namespace FtAkka.Machine.Virtio;

/// <summary>Bits of InterruptStatus and InterruptACK (virtio 1.2 §4.2.2).</summary>
public static class VirtioInterrupt
{
    /// <summary>The device used a buffer of at least one queue.</summary>
    public const byte UsedBuffer = 1;

    /// <summary>The configuration changed, or the device needs a reset.</summary>
    public const byte ConfigurationChange = 2;
}
