using Akka.Actor;

namespace Akka.TestKit;

/// <summary>The actor behind <see cref="TestKitBase.TestActor"/>: queues all that it receives for the test to look at.</summary>
internal sealed class InternalTestActor(ReceivedMessages received) : ActorBase
{
    /// <summary>Asks the test actor to watch <paramref name="Target"/>; answered when the watch is in place.</summary>
    internal sealed record Watch(IActorRef Target, TaskCompletionSource Done);

    /// <summary>Asks the test actor to stop watching <paramref name="Target"/>.</summary>
    internal sealed record Unwatch(IActorRef Target, TaskCompletionSource Done);

    /// <summary>Installs a function that answers messages before the test sees them; null removes it.</summary>
    internal sealed record Pilot(AutoPilot? Function);

    private AutoPilot? autoPilot;

    protected override bool Receive(object message)
    {
        switch (message)
        {
            case Watch watch:
                Context.Watch(watch.Target);
                watch.Done.TrySetResult();
                return true;
            case Unwatch unwatch:
                Context.Unwatch(unwatch.Target);
                unwatch.Done.TrySetResult();
                return true;
            case Pilot pilot:
                autoPilot = pilot.Function;
                return true;
            default:
                if (autoPilot is not null)
                {
                    AutoPilot next = autoPilot.Run(Sender, message);
                    autoPilot = next is NoAutoPilot ? null : next is KeepRunning ? autoPilot : next;
                }
                received.Add(new RealMessageEnvelope(message, Sender));
                return true;
        }
    }
}
