using System.Collections.Immutable;
using Akka.Actor;
using FtAkka.Machine.Events;
using FtAkka.Replication.Devices;

namespace FtAkka.Actors.Machines;

/// <summary>What a device is to the machine.</summary>
public enum DeviceKind
{
    /// <summary>Virtual disk.</summary>
    Disk,

    /// <summary>Network card.</summary>
    Nic,

    /// <summary>Console; the index is its <see cref="ConsoleKind"/>.</summary>
    Console,
}

/// <summary>A device actor and how to speak with it.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Index">Which of its kind, as the machine counts.</param>
/// <param name="Actor">The device actor.</param>
/// <param name="Dialect">Its language.</param>
public sealed record DeviceLink(DeviceKind Kind, int Index, IActorRef Actor, IDeviceDialect Dialect);

/// <summary>Finds the device for an effect, and the dialect for a message.</summary>
public sealed class DeviceLinks
{
    private readonly ImmutableArray<DeviceLink> links;
    private readonly DeviceLink?[][] byKind;

    /// <summary>Devices, each kind with its own indices.</summary>
    public DeviceLinks(IEnumerable<DeviceLink> links)
    {
        this.links = [.. links];
        byKind = new DeviceLink?[Enum.GetValues<DeviceKind>().Length][];
        for (int kind = 0; kind < byKind.Length; kind++)
        {
            DeviceLink[] ofKind = [.. this.links.Where(link => (int)link.Kind == kind)];
            byKind[kind] = new DeviceLink?[ofKind.Length == 0 ? 0 : ofKind.Max(link => link.Index) + 1];
            foreach (DeviceLink link in ofKind)
            {
                byKind[kind][link.Index] = link;
            }
        }
    }

    /// <summary>All of them.</summary>
    public ImmutableArray<DeviceLink> All => links;

    /// <summary>The device's actor for an effect; null if there is no such device, so that the effect goes nowhere.</summary>
    public DeviceLink? For(MachineEffect effect) => effect switch
    {
        DiskRequested request => Find(DeviceKind.Disk, request.Disk),
        NetTransmit transmit => Find(DeviceKind.Nic, transmit.Nic),
        ConsoleOutput output => Find(DeviceKind.Console, (int)output.Console),
        _ => null,
    };

    /// <summary>The device that sent a message; null if it is none.</summary>
    public DeviceLink? Of(IActorRef sender)
    {
        foreach (DeviceLink link in links)
        {
            if (link.Actor.Equals(sender))
            {
                return link;
            }
        }
        return null;
    }

    /// <summary>
    /// Joins console output that follows on one another: the serial port gives each byte alone, and a message per byte would cost more than the byte.
    /// </summary>
    public static IEnumerable<MachineEffect> JoinConsoleOutput(IReadOnlyList<MachineEffect> effects)
    {
        int next = 0;
        while (next < effects.Count)
        {
            if (effects[next] is not ConsoleOutput first)
            {
                yield return effects[next++];
                continue;
            }
            ImmutableArray<byte>.Builder bytes = ImmutableArray.CreateBuilder<byte>();
            ConsoleOutput last = first;
            while (next < effects.Count && effects[next] is ConsoleOutput piece && piece.Console == first.Console
                && piece.StreamOffset == first.StreamOffset + (ulong)bytes.Count)
            {
                bytes.AddRange(piece.Bytes);
                last = piece;
                next++;
            }
            yield return last with { StreamOffset = first.StreamOffset, Bytes = bytes.ToImmutable() };
        }
    }

    private DeviceLink? Find(DeviceKind kind, int index)
    {
        DeviceLink?[] ofKind = byKind[(int)kind];
        return index >= 0 && index < ofKind.Length ? ofKind[index] : null;
    }
}
