using Akka.Actor;

namespace Akka.TestKit;

/// <summary>Answers messages on a test actor's behalf, before the test looks at them.</summary>
public abstract class AutoPilot
{
    /// <summary>Sees one message. The result is the pilot of the next one.</summary>
    public abstract AutoPilot Run(IActorRef sender, object message);

    /// <summary>Result: the same pilot goes on.</summary>
    public static readonly KeepRunning KeepRunning = new();

    /// <summary>Result: no pilot any more.</summary>
    public static readonly NoAutoPilot NoAutoPilot = new();
}

/// <summary>See <see cref="AutoPilot.KeepRunning"/>.</summary>
public sealed class KeepRunning : AutoPilot
{
    /// <inheritdoc/>
    public override AutoPilot Run(IActorRef sender, object message) => this;
}

/// <summary>See <see cref="AutoPilot.NoAutoPilot"/>.</summary>
public sealed class NoAutoPilot : AutoPilot
{
    /// <inheritdoc/>
    public override AutoPilot Run(IActorRef sender, object message) => this;
}

/// <summary>A pilot made from a function.</summary>
public sealed class DelegateAutoPilot(Func<IActorRef, object, AutoPilot> run) : AutoPilot
{
    /// <inheritdoc/>
    public override AutoPilot Run(IActorRef sender, object message) => run(sender, message);
}
