using System.Collections.Immutable;
using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.Replication.Devices;

namespace FtAkka.Actors.Vms;

/// <summary>A device of a VM.</summary>
/// <param name="Kind">What it is to the machine.</param>
/// <param name="Index">Which of its kind.</param>
/// <param name="Props">Makes its actor.</param>
/// <param name="Dialect">How the machine speaks with it.</param>
public sealed record DeviceDefinition(DeviceKind Kind, int Index, Props Props, IDeviceDialect Dialect)
{
    /// <summary>Name of its actor.</summary>
    public string Name => $"{Kind}{Index}".ToLowerInvariant();

    /// <summary>Sent to the device at the end, so that it finishes what it was given before it is stopped; null: it has nothing to finish.</summary>
    public object? DrainRequest { get; init; }
}

/// <summary>Everything a <see cref="VmActor"/> needs to run a VM.</summary>
public sealed record VmDefinition
{
    /// <summary>Name, for people.</summary>
    public required string Name { get; init; }

    /// <summary>The machine.</summary>
    public required MachineOptions Machine { get; init; }

    /// <summary>Its devices.</summary>
    public ImmutableArray<DeviceDefinition> Devices { get; init; } = [];

    /// <summary>Who keeps outputs of the machine back, and is asked before the devices are stopped (<see cref="VmProtocol.AskToDrain"/>); null if nobody does.</summary>
    public IActorRef? OutputsHolder { get; init; }

    /// <summary>Told of digests (<see cref="MachineProtocol.DigestTaken"/>), of restarts and of a crash that is held (<see cref="MachineProtocol.Restarted"/>,
    /// <see cref="MachineProtocol.Held"/>), and of the end (<see cref="VmProtocol.Ended"/>).</summary>
    public ImmutableArray<IActorRef> Observers { get; init; } = [];
}
