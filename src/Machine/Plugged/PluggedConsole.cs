using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio;
using FtAkka.Machine.Virtio.Console;

namespace FtAkka.Machine.Plugged;

/// <summary>The virtio console.</summary>
internal sealed class PluggedConsole(VirtioConsoleDevice model, VirtioMmioDevice transport) : PluggedDevice(transport)
{
    public override bool TryDeliver(InputEvent input)
    {
        if (input is not ConsoleInput { Console: ConsoleKind.Virtio } console)
            return false;
        model.Input(console.Bytes.AsSpan());
        return true;
    }
}
