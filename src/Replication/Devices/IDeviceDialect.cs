using System.Collections.Immutable;
using FtAkka.Machine.Events;

namespace FtAkka.Replication.Devices;

/// <summary>
/// How the machine and one device actor understand each other: the machine speaks in effects and input events, the device actor in its own
/// protocol. Pure, so that whoever drives the machine needs to know no device, and a device no machine.
/// </summary>
public interface IDeviceDialect
{
    /// <summary>Sent to the device when the machine begins, so that it knows whom to serve; null if there is nothing to say.</summary>
    object? Greeting { get; }

    /// <summary>The device's message for an effect of the machine that is meant for it.</summary>
    object ToDevice(MachineEffect effect);

    /// <summary>Tells the device's surroundings where the machine is now, when a replica goes live; null if they need not know.</summary>
    object? Announcement => null;

    /// <summary>What a message of the device means to the machine; null if it is none of this device's.</summary>
    DeviceNews? ToMachine(object message);
}

/// <summary>What a device has to say.</summary>
public sealed record DeviceNews
{
    /// <summary>Input events for the machine, in order.</summary>
    public ImmutableArray<InputEvent> Inputs { get; init; } = [];

    /// <summary>Sent to the device once the machine has taken the inputs, so that it delivers more; null if it does not wait for that.</summary>
    public object? Receipt { get; init; }

    /// <summary>A console has taken all output before this position of its stream; null: the news is not of output.</summary>
    public ulong? ConsoleTakenTo { get; init; }

    /// <summary>A disk request failed, and this is the host's reason; for people. Null otherwise.</summary>
    public string? HostError { get; init; }

    /// <summary>The person at the console asked to leave.</summary>
    public bool LeaveRequested { get; init; }
}
