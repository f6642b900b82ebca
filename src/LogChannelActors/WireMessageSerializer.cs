using System.Runtime.Serialization;
using System.Text;
using Akka.Actor;
using Akka.Serialization;
using FtAkka.LogChannelActors.Remoting;
using FtAkka.Replication.Messages;

namespace FtAkka.LogChannelActors;

/// <summary>A body that is not one of our messages. Whoever receives it closes the connection. The message is one line.</summary>
public sealed class WireMessageFormatException(string manifest, WireMessageRefusal refusal)
    : SerializationException($"Refused a message with manifest '{ActorPathRule.Printable(Encoding.UTF8.GetBytes(manifest))}': {refusal}")
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

    /// <summary>Decodes a message. Akka only logs what this throws, so a refusal also ends the connection that brought the bytes.</summary>
    /// <exception cref="WireMessageFormatException">The body is refused.</exception>
    public override object FromBinary(byte[] bytes, string manifest)
    {
        // A unit without manifest comes with null.
        var name = manifest ?? string.Empty;
        var (message, refusal) = WireMessageCodec.Decode(name, bytes);
        if (message is not null)
        {
            return message;
        }

        var refused = new WireMessageFormatException(name, refusal);
        InboundScope.Current?.Refuse(refused.Message);
        throw refused;
    }
}
