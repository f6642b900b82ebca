using FtAkka.Machine.Bus;
using FtAkka.Machine.Events;
using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine.Plugged;

/// <summary>A device in one of the machine's virtio-mmio windows.</summary>
internal interface IPluggedDevice : IMmioDevice, ISnapshotable
{
    /// <summary>Delivers an input event if it is for this device; false if it is for another.</summary>
    bool TryDeliver(InputEvent input);

    /// <summary>The machine is reset.</summary>
    void Reset();
}
