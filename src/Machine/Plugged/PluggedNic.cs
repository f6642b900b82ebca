using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio;
using FtAkka.Machine.Virtio.Net;

namespace FtAkka.Machine.Plugged;

/// <summary>A network card: frames and link changes.</summary>
internal sealed class PluggedNic(int index, VirtioNetDevice model, VirtioMmioDevice transport) : PluggedDevice(transport)
{
    public override bool TryDeliver(InputEvent input)
    {
        switch (input)
        {
            case NetReceive receive when receive.Nic == index:
                // A frame the guest has no room for is lost, as on any network; the device counts it.
                model.Receive(receive.Frame.AsSpan());
                return true;
            case NetLinkChange change when change.Nic == index:
                model.SetLink(change.Up);
                return true;
            default:
                return false;
        }
    }
}
