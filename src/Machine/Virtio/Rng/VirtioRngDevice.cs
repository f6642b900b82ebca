using FtAkka.Machine.Snapshots;
using FtAkka.Machine.Virtio.Queues;

namespace FtAkka.Machine.Virtio.Rng;

/// <summary>
/// The entropy device (virtio 1.2 §5.4). Answers inside the notification from a seeded generator, so that it needs no input events:
/// the bytes are a function of the key and of how many the guest has drawn.
/// </summary>
public sealed class VirtioRngDevice : VirtioModel
{
    private readonly ChaChaGenerator generator;
    private readonly byte[] buffer = new byte[RngProtocol.BytesPerBufferMax];

    /// <summary>A device that draws from <paramref name="generator"/>, whose state is part of the device's from now on.</summary>
    public VirtioRngDevice(ChaChaGenerator generator)
        : base(RngProtocol.DeviceId, 0, RngProtocol.QueueSize)
    {
        ArgumentNullException.ThrowIfNull(generator);
        this.generator = generator;
    }

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> Configuration => [];

    /// <inheritdoc/>
    protected internal override void Notified(int queue)
    {
        // Not until it is empty: a driver may lay its rings so that each answer makes another buffer available.
        for (uint left = Queue(queue).Size; left > 0 && TryPop(queue, out DescriptorChain chain); left--)
        {
            if (chain.ReadableBytes != 0)   // §5.4.6.1: buffers are device-writable only.
            {
                NeedsReset(VirtqueueFault.WrongDirection);
                return;
            }
            Span<byte> bytes = buffer.AsSpan(0, (int)Math.Min(chain.WritableBytes, (ulong)buffer.Length));
            generator.Fill(bytes);
            chain.Write(Memory, 0, bytes);
            Push(queue, chain.Head, (uint)bytes.Length);
        }
        WantNotifications(queue, wanted: true);
        SignalUsed(queue);
    }

    /// <inheritdoc/>
    protected internal override void Reset()
    {
        // The stream goes on: a guest that resets the device must not see the same bytes twice.
    }

    /// <inheritdoc/>
    public override void Snapshot(StateWriter writer) => generator.Snapshot(writer);

    /// <inheritdoc/>
    public override SnapshotError Restore(StateReader reader) => generator.Restore(reader);
}
