using Akka.Actor;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>Stands for whoever asks a node from outside: it is told the answer, and belongs to no host.</summary>
internal sealed class VerbAnswer(ActorSystem system, int number, Action<object> answered) : MinimalActorRef
{
    /// <inheritdoc/>
    public override ActorPath Path { get; } = new RootActorPath(((ExtendedActorSystem)system).Provider.DefaultAddress) / "operator" / number.ToString(System.Globalization.CultureInfo.InvariantCulture);

    /// <inheritdoc/>
    public override IActorRefProvider Provider { get; } = ((ExtendedActorSystem)system).Provider;

    /// <inheritdoc/>
    protected override void TellInternal(object message, IActorRef sender) => answered(message);
}
