using FtAkka.Machine.Events;
using FtAkka.Replication.Devices;
using TypedInput = FtAkka.Machine.Events.ConsoleInput;

namespace FtAkka.DeviceActors.Consoles;

/// <summary>One of the machine's consoles, as a <see cref="ConsoleActor"/> understands it.</summary>
public sealed class ConsoleDialect(ConsoleKind console) : IDeviceDialect
{
    /// <inheritdoc/>
    public object? Greeting => new ConsoleProtocol.Attach();

    /// <inheritdoc/>
    public object ToDevice(MachineEffect effect)
    {
        var output = (ConsoleOutput)effect;
        return new ConsoleProtocol.Write(output.StreamOffset, output.Bytes);
    }

    /// <inheritdoc/>
    public DeviceNews? ToMachine(object message) => message switch
    {
        ConsoleProtocol.Input input => new DeviceNews { Inputs = [new TypedInput(console, input.Bytes)], Receipt = new ConsoleProtocol.InputMore() },
        ConsoleProtocol.LeaveRequested => new DeviceNews { LeaveRequested = true },
        ConsoleProtocol.Written written => new DeviceNews { ConsoleTakenTo = written.NextOffset },
        // Without input a guest runs on; the console actor has logged the reason.
        ConsoleProtocol.InputFailed => new DeviceNews(),
        _ => null,
    };
}
