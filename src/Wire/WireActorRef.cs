using System.Text;
using Akka.Actor;
using Akka.Dispatch.SysMsg;

namespace FtAkka.Wire;

/// <summary>A reference to an actor of another system, reached over the wire. Tell is best effort and at most once.</summary>
public sealed class WireActorRef : InternalActorRefBase
{
    private readonly WireActorRefProvider _provider;

    internal WireActorRef(WireActorRefProvider provider, ActorPath path)
    {
        _provider = provider;
        Path = path;
        RecipientText = Encoding.UTF8.GetBytes(WireEnvelope.RelativePath(path));
    }

    /// <inheritdoc/>
    public override ActorPath Path { get; }

    /// <inheritdoc/>
    public override IActorRefProvider Provider => _provider;

    /// <inheritdoc/>
    public override IInternalActorRef Parent =>
        Path.Depth == 0 ? this : new WireActorRef(_provider, Path.Parent);

    /// <inheritdoc/>
    public override bool IsLocal => false;

    /// <inheritdoc/>
    /// <remarks>Never known for a remote actor; Akka's own reference says false too.</remarks>
#pragma warning disable CS0672, CS0618 // Some Akka versions mark the base member obsolete, others do not; it is abstract in all.
    public override bool IsTerminated => false;
#pragma warning restore CS0672, CS0618

    /// <summary>The path within the remote system, with its UID, as it stands in a frame.</summary>
    internal byte[] RecipientText { get; }

    /// <summary>
    /// Sends a body that is already encoded: no serializer look-up, no allocation. The receiver decodes it as if
    /// <paramref name="serializerId"/>'s serializer had written it.
    /// </summary>
    /// <returns>What became of it. Nothing goes to dead letters here: the caller knows best what to do.</returns>
    public WireSendResult TellEncoded(int serializerId, string manifest, ReadOnlySpan<byte> body, IActorRef sender) =>
        _provider.SendEncoded(this, serializerId, manifest, body, sender);

    /// <inheritdoc/>
    public override IActorRef GetChild(IReadOnlyList<string> name)
    {
        ArgumentNullException.ThrowIfNull(name);
        var path = Path;
        foreach (var element in name)
        {
            path = element switch
            {
                "" => path,
                ".." => path.Parent,
                _ => path / element,
            };
        }

        return new WireActorRef(_provider, path);
    }

    /// <inheritdoc/>
    protected override void TellInternal(object message, IActorRef sender) => _provider.Send(this, message, sender);

    /// <summary>
    /// System messages do not cross hosts: no death watch, no remote deployment, no supervision. A watch is told to the log once per
    /// system, since whoever watches waits in vain.
    /// </summary>
    public override void SendSystemMessage(ISystemMessage message) => _provider.SystemMessageDropped(this, message);

    /// <inheritdoc/>
    public override void Start()
    {
        // A remote actor is started by its own system.
    }

    /// <inheritdoc/>
    public override void Stop() => SendSystemMessage(new Terminate());

    /// <inheritdoc/>
    public override void Suspend() => SendSystemMessage(new Suspend());

    /// <inheritdoc/>
    public override void Resume(Exception causedByFailure) => SendSystemMessage(new Resume(causedByFailure));

    /// <inheritdoc/>
    public override void Restart(Exception cause) => SendSystemMessage(new Recreate(cause));
}
