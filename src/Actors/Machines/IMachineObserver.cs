using Akka.Actor;
using FtAkka.Machine;
using FtAkka.Replication.Devices;

namespace FtAkka.Actors.Machines;

/// <summary>
/// Learns what a machine's devices are and what they say, and hands the machine's outputs to them, since it knows when each may leave. It sees
/// the outputs in the runner that it has put around the machine (<see cref="MachineOptions.CreateRunner"/>). Called on the machine's thread; must
/// not block.
/// </summary>
public interface IMachineObserver
{
    /// <summary>The machine is built, its devices know it, and it waits for <see cref="MachineProtocol.Run"/>.</summary>
    /// <param name="machine">The machine actor, which the devices answer to.</param>
    /// <param name="guest">The machine itself; to be touched on this thread only.</param>
    /// <param name="devices">Its devices.</param>
    void Started(IActorRef machine, GuestMachine guest, IReadOnlyList<DeviceLink> devices);

    /// <summary>A device has said something, which the machine will see next.</summary>
    void Heard(DeviceLink device, DeviceNews news);
}
