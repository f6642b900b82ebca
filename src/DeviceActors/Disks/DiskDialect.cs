using FtAkka.Machine.Events;
using FtAkka.Replication.Devices;

namespace FtAkka.DeviceActors.Disks;

/// <summary>The machine's disk with this index, as a <see cref="DiskActor"/> understands it.</summary>
public sealed class DiskDialect(int disk) : IDeviceDialect
{
    /// <inheritdoc/>
    public object? Greeting => null;

    /// <inheritdoc/>
    public object ToDevice(MachineEffect effect) => new DiskProtocol.Execute(((DiskRequested)effect).Request);

    /// <inheritdoc/>
    public DeviceNews? ToMachine(object message) => message switch
    {
        DiskProtocol.Completed completed => new DeviceNews { Inputs = [new DiskCompleted(disk, completed.Completion)], HostError = completed.HostError },
        _ => null,
    };
}
