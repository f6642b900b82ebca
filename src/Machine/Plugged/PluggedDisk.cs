using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio;
using FtAkka.Machine.Virtio.Block;

namespace FtAkka.Machine.Plugged;

/// <summary>A disk: completions and changes of the medium.</summary>
internal sealed class PluggedDisk(int index, VirtioBlkDevice model, VirtioMmioDevice transport) : PluggedDevice(transport)
{
    public int Index => index;

    public IEnumerable<DiskRequest> Outstanding => model.Outstanding;

    public override bool TryDeliver(InputEvent input)
    {
        switch (input)
        {
            case DiskCompleted completed when completed.Disk == index:
                return model.Complete(completed.Completion);
            case DiskCapacityChange change when change.Disk == index:
                model.ChangeCapacity(change.CapacitySectors);
                return true;
            default:
                return false;
        }
    }
}
