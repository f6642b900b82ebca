using Akka.Actor;
using Akka.Remote;

namespace FtAkka.Nodes;

/// <summary>
/// Sends a heartbeat when a connection has come or gone, beside those that an actor sends at its interval. Used on the actor's thread: it hands on the two events, to which this subscribes, and
/// <see cref="Due"/>.
/// </summary>
internal sealed class ConnectionBeats
{
    /// <summary>Remoting drops what is sent before it has settled the end of a connection, on the next tick of Akka's scheduler.</summary>
    private static readonly TimeSpan BehindAnEnd = TimeSpan.FromMilliseconds(20);

    private readonly ITimerScheduler timers;
    private readonly Action beat;
    private readonly HashSet<Address> associated = [];

    /// <param name="context">Of the actor.</param>
    /// <param name="timers">Its timers.</param>
    /// <param name="beat">Sends a heartbeat.</param>
    public ConnectionBeats(IActorContext context, ITimerScheduler timers, Action beat)
    {
        (this.timers, this.beat) = (timers, beat);
        context.System.EventStream.Subscribe(context.Self, typeof(AssociatedEvent));
        context.System.EventStream.Subscribe(context.Self, typeof(DisassociatedEvent));
    }

    /// <summary>To the actor itself: a heartbeat is due.</summary>
    public sealed record Due;

    /// <summary>A connection is there: the peer learns at once from the beat's number what was lost between the last one and this.</summary>
    public void Take(AssociatedEvent told)
    {
        associated.Add(told.RemoteAddress);
        beat();
    }

    /// <summary>
    /// A connection has ended: remoting makes another one when something is sent. What is sent in this very moment would still be lost. An attempt to
    /// connect that has failed ends likewise, and is not followed by another one at once.
    /// </summary>
    public void Take(DisassociatedEvent told)
    {
        if (associated.Remove(told.RemoteAddress))
        {
            timers.StartSingleTimer(told.RemoteAddress, new Due(), BehindAnEnd);
        }
    }
}
