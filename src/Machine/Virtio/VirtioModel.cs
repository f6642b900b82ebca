using FtAkka.Cpu.Memory;
using FtAkka.Machine.Snapshots;
using FtAkka.Machine.Virtio.Queues;

namespace FtAkka.Machine.Virtio;

/// <summary>
/// One device type behind a <see cref="VirtioMmioDevice"/>: its feature bits, its configuration space and what it does with its
/// queues. It runs only inside the guest's own register access (<see cref="Notified"/>, <see cref="Reset"/>) or inside the delivery of
/// an input event, so that guest memory never changes at any other moment.
/// </summary>
public abstract class VirtioModel : ISnapshotable
{
    private VirtioMmioDevice? transport;

    /// <param name="deviceId">Device type (virtio 1.2 §5).</param>
    /// <param name="deviceFeatures">Offered feature bits of the device type, without those of the transport.</param>
    /// <param name="queueSizesMax">Largest size of each queue.</param>
    protected VirtioModel(uint deviceId, ulong deviceFeatures, params ReadOnlySpan<ushort> queueSizesMax)
    {
        DeviceId = deviceId;
        OfferedFeatures = deviceFeatures | VirtioFeatures.Transport;
        QueueSizesMax = queueSizesMax.ToArray();
    }

    /// <summary>Device type (virtio 1.2 §5).</summary>
    public uint DeviceId { get; }

    /// <summary>All offered feature bits.</summary>
    public ulong OfferedFeatures { get; }

    /// <summary>Largest size of each queue, by queue index.</summary>
    public IReadOnlyList<ushort> QueueSizesMax { get; }

    /// <summary>The configuration space of the device type as the guest reads it now.</summary>
    public abstract ReadOnlySpan<byte> Configuration { get; }

    /// <summary>Guest RAM.</summary>
    protected IGuestPhysicalMemory Memory => Transport.Memory;

    /// <summary>Features both sides agreed on; 0 before FEATURES_OK.</summary>
    protected ulong Features => Transport.NegotiatedFeatures;

    private VirtioMmioDevice Transport =>
        transport ?? throw new InvalidOperationException("The virtio model is not attached to a transport.");

    internal void Attach(VirtioMmioDevice owner)
    {
        if (transport is not null)
        {
            throw new InvalidOperationException("The virtio model already has a transport.");
        }
        transport = owner;
    }

    /// <summary>Whether this subset of the offered features makes sense (dependencies between bits). Asked when the driver sets FEATURES_OK.</summary>
    protected internal virtual bool AcceptsFeatures(ulong features) => true;

    /// <summary>The driver set DRIVER_OK: the device may work from now on.</summary>
    protected internal virtual void DriverReady()
    {
    }

    /// <summary>The driver wrote <paramref name="queue"/> to QueueNotify. Called only while the device is live.</summary>
    protected internal abstract void Notified(int queue);

    /// <summary>The driver took <paramref name="queue"/> back without a reset: no buffer of it is the device's any more, also if the driver sets it up anew.</summary>
    protected internal virtual void QueueReleased(int queue)
    {
    }

    /// <summary>Forgets all requests and negotiated state. Queues and status are the transport's.</summary>
    protected internal abstract void Reset();

    /// <summary>Write to the configuration space. Most device types have no writable field.</summary>
    protected internal virtual void WriteConfiguration(uint offset, int size, ulong value)
    {
    }

    /// <summary>Writes the state of the device type: configuration, requests in flight, counters.</summary>
    public abstract void Snapshot(StateWriter writer);

    /// <summary>Reads what <see cref="Snapshot"/> wrote. Transport and queues are restored before.</summary>
    public abstract SnapshotError Restore(StateReader reader);

    /// <summary>True between DRIVER_OK and a reset or a broken queue.</summary>
    protected bool IsLive => Transport.IsLive;

    /// <summary>The queue with this index.</summary>
    protected Virtqueue Queue(int index) => Transport.Queue(index);

    /// <summary>Interrupts the driver if it wants to hear of what was pushed to the queue since the last call.</summary>
    protected void SignalUsed(int queue) => Transport.SignalUsed(queue);

    /// <summary>A field of the configuration space changed: new generation, and an interrupt if the driver is up (§2.5, §4.2.2.1).</summary>
    protected void ConfigurationChanged() => Transport.ConfigurationChanged();

    /// <summary>The driver broke the rules beyond repair: DEVICE_NEEDS_RESET (§2.1.2).</summary>
    protected void NeedsReset(VirtqueueFault fault) => Transport.NeedsReset(fault);

    /// <summary>
    /// Takes the next chain of a queue. False if there is none or the queue is broken, in which case the device is already marked
    /// as needing a reset.
    /// </summary>
    protected bool TryPop(int queue, out DescriptorChain chain)
    {
        Virtqueue source = Queue(queue);
        chain = source.Chain;
        if (!IsLive)
        {
            return false;
        }
        VirtqueuePop outcome = source.Pop();
        if (outcome == VirtqueuePop.Fault)
        {
            NeedsReset(source.Fault);
        }
        return outcome == VirtqueuePop.Chain;
    }

    /// <summary>Returns a chain; marks the device as needing a reset if the used ring cannot be written.</summary>
    protected void Push(int queue, ushort head, uint writtenBytes)
    {
        Virtqueue target = Queue(queue);
        if (!target.TryPush(head, writtenBytes))
        {
            NeedsReset(target.Fault);
        }
    }

    /// <summary>Says whether the driver should notify the device of new buffers in this queue.</summary>
    protected void WantNotifications(int queue, bool wanted)
    {
        Virtqueue target = Queue(queue);
        if (!target.TryWantNotifications(wanted))
        {
            NeedsReset(target.Fault);
        }
    }
}
