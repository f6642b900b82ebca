using FtAkka.Machine.Events;
using FtAkka.Machine.Snapshots;
using FtAkka.Machine.Virtio;

namespace FtAkka.Machine.Plugged;

/// <summary>A virtio device in its window; subclasses know which input events are theirs.</summary>
internal abstract class PluggedDevice(VirtioMmioDevice transport) : IPluggedDevice
{
    public abstract bool TryDeliver(InputEvent input);

    public ulong MmioRead(ulong offset, int size) => transport.MmioRead(offset, size);

    public void MmioWrite(ulong offset, int size, ulong value) => transport.MmioWrite(offset, size, value);

    public void Reset() => transport.Reset();

    public void Snapshot(StateWriter writer) => transport.Snapshot(writer);

    public SnapshotError Restore(StateReader reader) => transport.Restore(reader);
}
