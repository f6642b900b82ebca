using System.Collections.Immutable;
using FtAkka.Machine.Events;
using FtAkka.Replication.Devices;

namespace FtAkka.DeviceActors.Nics;

/// <summary>The machine's network card with this index, as a <see cref="NicActor"/> understands it.</summary>
/// <param name="nic">Index of the card.</param>
/// <param name="mac">Its address, announced when a replica goes live; default: it is not announced.</param>
public sealed class NicDialect(int nic, ImmutableArray<byte> mac = default) : IDeviceDialect
{
    /// <inheritdoc/>
    public object? Announcement => mac.IsDefault ? null : new NicProtocol.Announce(mac);


    /// <inheritdoc/>
    public object? Greeting => new NicProtocol.Attach();

    /// <inheritdoc/>
    public object ToDevice(MachineEffect effect) => new NicProtocol.Transmit(((NetTransmit)effect).Frames);

    /// <inheritdoc/>
    public DeviceNews? ToMachine(object message) => message switch
    {
        NicProtocol.Received received => new DeviceNews
        {
            Inputs = [.. received.Frames.Select(frame => new NetReceive(nic, frame))],
            Receipt = new NicProtocol.ReceiveMore(),
        },
        NicProtocol.LinkState link => new DeviceNews { Inputs = [new NetLinkChange(nic, link.Connected)] },
        // To the guest a link that broke is an unplugged cable; the NIC actor has logged the reason.
        NicProtocol.LinkFailed => new DeviceNews { Inputs = [new NetLinkChange(nic, false)] },
        _ => null,
    };
}
