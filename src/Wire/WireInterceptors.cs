using System.Collections.Immutable;
using Akka.Actor;

namespace FtAkka.Wire;

/// <summary>One message that has just been received, before it is decoded or put into a mailbox. Valid during the call only.</summary>
public readonly ref struct WireInbound
{
    internal WireInbound(WirePeer peer, IActorRef recipient, IActorRef sender, int serializerId, string manifest, ReadOnlySpan<byte> body)
    {
        Peer = peer;
        Recipient = recipient;
        Sender = sender;
        SerializerId = serializerId;
        Manifest = manifest;
        Body = body;
    }

    /// <summary>The system that sent it, as proved by the handshake.</summary>
    public WirePeer Peer { get; }

    /// <summary>The actor it is addressed to.</summary>
    public IActorRef Recipient { get; }

    /// <summary>The actor to answer to; dead letters if none was named.</summary>
    public IActorRef Sender { get; }

    /// <summary>Identifier of the serializer that wrote <see cref="Body"/>; one of the accepted ones.</summary>
    public int SerializerId { get; }

    /// <summary>Manifest of the body.</summary>
    public string Manifest { get; }

    /// <summary>The undecoded, untrusted body.</summary>
    public ReadOnlySpan<byte> Body { get; }
}

/// <summary>
/// Handles messages on the thread that received them, saving the hop through a mailbox. Must neither block nor throw: everything
/// else from the same peer waits meanwhile. It may Tell, also to the peer.
/// </summary>
public interface IWireInterceptor
{
    /// <summary>Takes the message, or leaves it.</summary>
    /// <returns>True if it was consumed; false to have it decoded and delivered to the recipient's mailbox as usual.</returns>
    bool TryHandle(in WireInbound message);
}

/// <summary>The interceptors of one actor system, by recipient or by manifest. A recipient's interceptor is asked first.</summary>
public sealed class WireInterceptors
{
    private readonly Lock _gate = new();
    private ImmutableSortedDictionary<string, IWireInterceptor> _byPath =
        ImmutableSortedDictionary.Create<string, IWireInterceptor>(StringComparer.Ordinal);

    private ImmutableSortedDictionary<string, IWireInterceptor> _byManifest =
        ImmutableSortedDictionary.Create<string, IWireInterceptor>(StringComparer.Ordinal);

    private volatile int _version;

    internal WireInterceptors()
    {
    }

    /// <summary>Grows with every change, so that sessions know when to forget what they have cached.</summary>
    internal int Version => _version;

    /// <summary>The interceptors of the system, or null if its messages travel by another provider than this one.</summary>
    public static WireInterceptors? Of(ActorSystem system)
    {
        ArgumentNullException.ThrowIfNull(system);
        return (((ExtendedActorSystem)system).Provider as WireActorRefProvider)?.Interceptors;
    }

    /// <summary>Intercepts what is addressed to this local actor, until the result is disposed of.</summary>
    /// <exception cref="InvalidOperationException">The actor has an interceptor already.</exception>
    public IDisposable ForRecipient(IActorRef recipient, IWireInterceptor interceptor)
    {
        ArgumentNullException.ThrowIfNull(recipient);
        ArgumentNullException.ThrowIfNull(interceptor);
        var key = WireEnvelope.RelativePath(recipient.Path);
        lock (_gate)
        {
            Add(ref _byPath, key, interceptor);
            _version++;
        }

        return new Registration(() => Remove(ref _byPath, key));
    }

    /// <summary>Intercepts what carries this manifest, whoever it is addressed to, until the result is disposed of.</summary>
    /// <exception cref="InvalidOperationException">The manifest has an interceptor already.</exception>
    public IDisposable ForManifest(string manifest, IWireInterceptor interceptor)
    {
        ArgumentException.ThrowIfNullOrEmpty(manifest);
        ArgumentNullException.ThrowIfNull(interceptor);
        lock (_gate)
        {
            Add(ref _byManifest, manifest, interceptor);
            _version++;
        }

        return new Registration(() => Remove(ref _byManifest, manifest));
    }

    internal IWireInterceptor? FindByPath(ActorPath path) =>
        Volatile.Read(ref _byPath) is { IsEmpty: false } map ? map.GetValueOrDefault(WireEnvelope.RelativePath(path)) : null;

    internal IWireInterceptor? FindByManifest(string manifest) => Volatile.Read(ref _byManifest).GetValueOrDefault(manifest);

    private static void Add(ref ImmutableSortedDictionary<string, IWireInterceptor> map, string key, IWireInterceptor interceptor)
    {
        if (map.ContainsKey(key))
        {
            throw new InvalidOperationException($"'{key}' has an interceptor already.");
        }

        Volatile.Write(ref map, map.Add(key, interceptor));
    }

    private void Remove(ref ImmutableSortedDictionary<string, IWireInterceptor> map, string key)
    {
        lock (_gate)
        {
            Volatile.Write(ref map, map.Remove(key));
            _version++;
        }
    }

    private sealed class Registration(Action remove) : IDisposable
    {
        private Action? _remove = remove;

        public void Dispose() => Interlocked.Exchange(ref _remove, null)?.Invoke();
    }
}
