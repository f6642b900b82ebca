using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio;

namespace FtAkka.Machine.Plugged;

/// <summary>The entropy device, which has no input events: it draws from its seed.</summary>
internal sealed class PluggedEntropy(VirtioMmioDevice transport) : PluggedDevice(transport)
{
    public override bool TryDeliver(InputEvent input) => false;
}
