using Akka.Actor;
using Akka.Remote;

namespace FtAkka.DeterministicSim.Loop;

/// <summary>Hears what a system's remoting tells of its life, at once and without a mailbox.</summary>
public sealed class RemotingEvents : MinimalActorRef
{
    private readonly Action<RemotingLifecycleEvent> _heard;

    private RemotingEvents(IActorRefProvider provider, Action<RemotingLifecycleEvent> heard)
    {
        _heard = heard;
        Provider = provider;
        Path = provider.TempPath();   // two of one path would be one to the event stream
    }

    /// <inheritdoc/>
    public override ActorPath Path { get; }

    /// <inheritdoc/>
    public override IActorRefProvider Provider { get; }

    /// <summary>Subscribes to the events of a system's remoting.</summary>
    /// <param name="system">The system.</param>
    /// <param name="heard">Called for each on the thread that tells it; must not throw.</param>
    public static void Subscribe(ActorSystem system, Action<RemotingLifecycleEvent> heard)
    {
        ArgumentNullException.ThrowIfNull(system);
        ArgumentNullException.ThrowIfNull(heard);
        system.EventStream.Subscribe(new RemotingEvents(((ExtendedActorSystem)system).Provider, heard), typeof(RemotingLifecycleEvent));
    }

    /// <inheritdoc/>
    protected override void TellInternal(object message, IActorRef sender)
    {
        if (message is RemotingLifecycleEvent told)
        {
            _heard(told);
        }
    }
}
