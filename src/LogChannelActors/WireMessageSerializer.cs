using System.Runtime.Serialization;
using Akka.Actor;
using Akka.Serialization;
using FtAkka.Replication.Messages;

namespace FtAkka.LogChannelActors;

/// <summary>A body that is not one of our messages. Whoever receives it closes the connection.</summary>
public sealed class WireMessageFormatException(string manifest, WireMessageRefusal refusal)
    : SerializationException($"Refused a message with manifest '{manifest}': {refusal}")
{
    /// <summary>Why it was refused.</summary>
    public WireMessageRefusal Refusal { get; } = refusal;
}

/// <summary>
/// The one serializer of messages that cross hosts: puts <see cref="WireMessageCodec"/> under Akka's interface. Bound to
/// <see cref="IWireMessage"/> under the name <c>ftakka</c>.
/// </summary>
public sealed class WireMessageSerializer(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    /// <summary>Identifier on the wire; Akka keeps 1 to 100 for itself.</summary>
    public const int Id = 711;

    /// <inheritdoc/>
    public override int Identifier => Id;

    /// <inheritdoc/>
    public override string Manifest(object o) => WireMessageCodec.ManifestOf((IWireMessage)o);

    /// <inheritdoc/>
    public override byte[] ToBinary(object obj) => WireMessageCodec.Encode((IWireMessage)obj);

    /// <inheritdoc/>
    /// <exception cref="WireMessageFormatException">The body is refused.</exception>
    public override object FromBinary(byte[] bytes, string manifest)
    {
        var (message, refusal) = WireMessageCodec.Decode(manifest, bytes);
        return message ?? throw new WireMessageFormatException(manifest, refusal);
    }
}
