using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Akka.Actor;
using FtAkka.Replication.Messages;

namespace FtAkka.Nodes.VmProcesses;

/// <summary>Where the process of a VM is reached by that of its other replica. Travels as text, such as <c>host-a:4100</c>, from node to node.</summary>
/// <param name="Host">Name or address of the host.</param>
/// <param name="Port">Its port.</param>
public sealed record VmAddress(string Host, int Port)
{
    /// <summary>The address of the processes in an actor system.</summary>
    public static VmAddress Of(ActorSystem system)
    {
        Address own = ((ExtendedActorSystem)system).Provider.DefaultAddress;
        return new VmAddress(own.Host ?? "", own.Port ?? 0);
    }

    /// <summary>Reads what a node says; false if it is no address.</summary>
    public static bool TryRead(string text, [NotNullWhen(true)] out VmAddress? address)
    {
        ArgumentNullException.ThrowIfNull(text);
        int colon = text.LastIndexOf(':');
        address = colon > 0 && text.Length <= CloneOffer.AddressMax && !text.Any(letter => char.IsControl(letter) || char.IsWhiteSpace(letter) || letter is '/' or '@')
            && ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port) && port > 0
            ? new VmAddress(text[..colon], port) : null;
        return address is not null;
    }

    /// <summary>Root of the actors there.</summary>
    public ActorPath Root(ActorSystem system) =>
        new RootActorPath(new Address(((ExtendedActorSystem)system).Provider.DefaultAddress.Protocol, system.Name, Host, Port));

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Host}:{Port}");
}
