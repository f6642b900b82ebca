using Akka.Actor;
using FtAkka.Replication.Messages;

namespace FtAkka.LogChannelActors;

/// <summary>
/// Receives the messages of one VM's log channel on the thread on which the wire delivers them, without a mailbox of its own: puts messages that came in parts
/// together and hands them on. Works with every provider that delivers by Tell.
/// </summary>
/// <remarks>It stands under <c>/temp</c>, where providers let references be registered that are no actors, under a name of its own choice.</remarks>
public sealed class ReplicaEndpoint : MinimalActorRef, IDisposable
{
    private readonly IActorRefProvider provider;
    private readonly Action<IChannelMessage, IActorRef> received;
    private readonly MessageAssembler assembler = new();

    /// <summary>Registers the endpoint of a VM.</summary>
    /// <param name="system">The actor system.</param>
    /// <param name="vm">Name of the VM.</param>
    /// <param name="received">Called on the receiving thread with the message and its sender; must neither block nor throw.</param>
    public ReplicaEndpoint(ActorSystem system, string vm, Action<IChannelMessage, IActorRef> received)
    {
        ArgumentNullException.ThrowIfNull(system);
        this.received = received;
        provider = ((ExtendedActorSystem)system).Provider;
        Path = PathOf(provider.RootPath, vm);
        provider.RegisterTempActor(this, Path);
    }

    /// <inheritdoc/>
    public override ActorPath Path { get; }

    /// <inheritdoc/>
    public override IActorRefProvider Provider => provider;

    /// <summary>The endpoint of a VM in the system with this root, such as <c>akka.tcp://ftakka@host:4053</c>.</summary>
    public static ActorPath PathOf(ActorPath root, string vm)
    {
        ArgumentNullException.ThrowIfNull(root);
        return root / "temp" / $"replica-{vm}";
    }

    /// <summary>From now on messages for the VM go nowhere.</summary>
    public void Dispose() => provider.UnregisterTempActor(Path);

    /// <summary>Connections of several peers deliver on threads of their own.</summary>
    private IWireMessage? Assemble(MessagePiece piece, IActorRef sender)
    {
        lock (assembler)
        {
            var (message, refusal) = assembler.Take(sender.Path.Address.ToString(), piece);
            return refusal == WireMessageRefusal.None ? message : throw new WireMessageFormatException(piece.Manifest, refusal);
        }
    }

    /// <inheritdoc/>
    protected override void TellInternal(object message, IActorRef sender)
    {
        object? whole = message is MessagePiece piece ? Assemble(piece, sender) : message;
        if (whole is IChannelMessage known)
        {
            received(known, sender);
        }
    }
}
