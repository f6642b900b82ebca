using Akka.Actor;
using Akka.Event;
using Akka.Serialization;

namespace FtAkka.Wire;

/// <summary>Decodes and delivers what one peer sends over one connection. Used by one thread at a time.</summary>
internal sealed class WireSession(WireActorRefProvider provider, WirePeer peer) : IWireSession
{
    private readonly TextCache<Target> _targets = new();
    private readonly TextCache<ActorPath> _paths = new();
    private readonly TextCache<WireActorRef> _senders = new();
    private readonly TextCache<ManifestEntry> _manifests = new();
    private readonly string _peerAddress = peer.Address.ToString();
    private int _interceptorsVersion = provider.Interceptors.Version;

    public WireRefusal Deliver(ReadOnlySpan<byte> envelope)
    {
        if (_interceptorsVersion != provider.Interceptors.Version)
        {
            _interceptorsVersion = provider.Interceptors.Version;
            _targets.Clear();
            _manifests.Clear();
        }

        var reader = new WireReader(envelope);
        var kind = reader.Byte();
        if (kind is not (WireEnvelope.KindMessage or WireEnvelope.KindSelection))
        {
            return reader.Refusal == WireRefusal.None ? WireRefusal.UnknownKind : reader.Refusal;
        }

        var target = ReadTarget(ref reader);
        var sender = ReadRef(ref reader);
        var elements = kind == WireEnvelope.KindSelection ? WireEnvelope.ReadElements(ref reader) : null;
        var body = reader.Byte();
        if (reader.Refusal != WireRefusal.None)
        {
            return reader.Refusal;
        }

        return body switch
        {
            WireEnvelope.BodySerialized => DeliverSerialized(ref reader, target, sender, elements),
            WireEnvelope.BodyIdentify => DeliverIdentify(ref reader, target, sender, elements),
            WireEnvelope.BodyActorIdentity => DeliverActorIdentity(ref reader, target, sender, elements),
            _ => WireRefusal.UnknownKind,
        };
    }

    private WireRefusal DeliverSerialized(ref WireReader reader, Target target, IActorRef sender, SelectionPathElement[]? elements)
    {
        var serializerId = reader.Int32();
        var manifestText = reader.TextBytes(WireEnvelope.MaxManifestBytes);
        var entry = _manifests.Find(manifestText);
        if (entry is null)
        {
            var manifest = reader.Decode(manifestText);
            entry = new ManifestEntry(manifest, provider.Interceptors.FindByManifest(manifest));
            if (reader.Refusal == WireRefusal.None)
            {
                _manifests.Store(manifestText, entry);
            }
        }

        if (reader.Refusal != WireRefusal.None)
        {
            return reader.Refusal;
        }

        if (!provider.TryGetSerializer(serializerId, out var serializer))
        {
            return WireRefusal.SerializerNotAccepted;
        }

        if (elements is null && (target.Interceptor ?? entry.Interceptor) is not null)
        {
            var inbound = new WireInbound(peer, target.Actor, sender, serializerId, entry.Manifest, reader.Rest);
            if (target.Interceptor?.TryHandle(in inbound) == true || entry.Interceptor?.TryHandle(in inbound) == true)
            {
                return WireRefusal.None;
            }
        }

        if (!TryDecode(serializer, reader.Rest, entry.Manifest, out var message))
        {
            return WireRefusal.BodyRefused;
        }

        Tell(target, elements, message, sender);
        return WireRefusal.None;
    }

    private bool TryDecode(Serializer serializer, ReadOnlySpan<byte> body, string manifest, out object message)
    {
        message = string.Empty;
        try
        {
            switch (serializer)
            {
                case SerializerWithStringManifest byManifest:
                    message = byManifest.FromBinary(body.ToArray(), manifest);
                    break;
                case { IncludeManifest: false } when manifest.Length == 0:
                    message = serializer.FromBinary(body.ToArray(), type: null);
                    break;
                default:
                    return false;
            }
        }
        // A serializer has no other way to refuse than to throw, and which exception is its own affair. It can happen once for a
        // connection, since the connection is closed.
        catch (Exception refusal) when (refusal is not OutOfMemoryException)
        {
            provider.Log.Debug("Serializer {0} refused a body with manifest [{1}] from {2}: {3}",
                serializer.Identifier, manifest, peer.Address, refusal.Message);
            return false;
        }

        // Akka's own control messages (PoisonPill, Kill, ...) are not for peers to send, whatever a serializer makes of the bytes.
        return message is not (null or IAutoReceivedMessage);
    }

    private static WireRefusal DeliverIdentify(ref WireReader reader, Target target, IActorRef sender, SelectionPathElement[]? elements)
    {
        var id = WireEnvelope.ReadIdentifyId(ref reader);
        var verdict = reader.End();
        if (verdict == WireRefusal.None)
        {
            Tell(target, elements, new Identify(id), sender);
        }

        return verdict;
    }

    private WireRefusal DeliverActorIdentity(ref WireReader reader, Target target, IActorRef sender, SelectionPathElement[]? elements)
    {
        var id = WireEnvelope.ReadIdentifyId(ref reader);
        var hasSubject = reader.Byte();
        var subject = hasSubject == 1 ? ReadRef(ref reader) : null;
        var verdict = hasSubject > 1 ? WireRefusal.BadField : reader.End();
        if (verdict == WireRefusal.None)
        {
            Tell(target, elements, new ActorIdentity(id, subject), sender);
        }

        return verdict;
    }

    private static void Tell(Target target, SelectionPathElement[]? elements, object message, IActorRef sender)
    {
        if (elements is null)
        {
            target.Actor.Tell(message, sender);
        }
        else
        {
            new ActorSelection(target.Actor, elements).Tell(message, sender);
        }
    }

    private Target ReadTarget(ref WireReader reader)
    {
        var text = reader.TextBytes(WireEnvelope.MaxPathBytes);
        if (_targets.Find(text) is { } known)
        {
            return known;
        }

        // A path without UID is looked up each time, but parsed once.
        if (_paths.Find(text) is not { } parsed)
        {
            var path = reader.Decode(text);
            if (reader.Refusal != WireRefusal.None)
            {
                return Target.Nowhere;
            }

            if (!WireEnvelope.TryParsePath(provider.LocalAddressText, path, out parsed))
            {
                reader.Refuse(WireRefusal.BadField);
                return Target.Nowhere;
            }

            _paths.Store(text, parsed);
        }

        var actor = provider.ResolveLocal(parsed);
        var target = new Target(actor, provider.Interceptors.FindByPath(actor.Path));
        // Only a path with a UID names the same actor for ever; and one that is not there yet may still come.
        if (parsed.Uid != ActorCell.UndefinedUid && actor is LocalActorRef)
        {
            _targets.Store(text, target);
        }

        return target;
    }

    private IActorRef ReadRef(ref WireReader reader)
    {
        var form = reader.Byte();
        if (form == WireEnvelope.RefNone)
        {
            return provider.DeadLetters;
        }

        var text = reader.TextBytes(WireEnvelope.MaxPathBytes);
        if (form == WireEnvelope.RefOfSender && _senders.Find(text) is { } known)
        {
            return known;
        }

        var path = reader.Decode(text);
        if (form is not (WireEnvelope.RefOfSender or WireEnvelope.RefAbsolute))
        {
            reader.Refuse(WireRefusal.BadField);
        }

        if (reader.Refusal != WireRefusal.None)
        {
            return provider.DeadLetters;
        }

        if (!WireEnvelope.TryParsePath(form == WireEnvelope.RefOfSender ? _peerAddress : string.Empty, path, out var parsed))
        {
            reader.Refuse(WireRefusal.BadField);
            return provider.DeadLetters;
        }

        if (form == WireEnvelope.RefAbsolute)
        {
            return provider.ResolveActorRef(parsed);
        }

        var sender = new WireActorRef(provider, parsed);
        _senders.Store(text, sender);
        return sender;
    }

    private sealed record Target(IActorRef Actor, IWireInterceptor? Interceptor)
    {
        public static readonly Target Nowhere = new(ActorRefs.Nobody, null);
    }

    private sealed record ManifestEntry(string Manifest, IWireInterceptor? Interceptor);
}
