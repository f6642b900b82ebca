using Akka.Actor;
using Akka.Remote;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Replication.Messages;

namespace FtAkka.Nodes.VmProcesses;

/// <summary>
/// The heartbeat of this process to that of the peer's replica. It comes from another thread than the replica's: a replica that is kept busy is not taken for dead at once. And it
/// is numbered, so that the other side learns at once from the next one when messages were lost with a connection.
/// </summary>
#pragma warning disable CA1001 // An actor ends by PostStop.
public sealed partial class VmProcessActor
#pragma warning restore CA1001
{
    private sealed record BeatAtOnce;

    /// <summary>Remoting drops what is sent before it has settled the end of a connection, on the next tick of Akka's scheduler.</summary>
    private static readonly TimeSpan BehindAnEnd = TimeSpan.FromMilliseconds(20);

    private readonly HashSet<Address> associated = [];
    private VmPort? port;
    private long beats;

    private void Beat()
    {
        if (end is null && replica?.Link is { } link)
        {
            port!.Send(link.Node, new ReplicaBeat(link.Session.Generation, link.Session.Attempt, ++beats));
        }
    }

    /// <summary>A connection is there: the peer learns at once from the beat's number what was lost between the last one and this.</summary>
    private void OnAssociated(AssociatedEvent told)
    {
        associated.Add(told.RemoteAddress);
        Beat();
    }

    /// <summary>
    /// A connection has ended: remoting makes another one when something is sent. What is sent in this very moment would still be lost. An attempt to
    /// connect that has failed ends likewise, and is not followed by another one at once.
    /// </summary>
    private void OnDisassociated(DisassociatedEvent told)
    {
        if (associated.Remove(told.RemoteAddress))
        {
            Timers.StartSingleTimer(told.RemoteAddress, new BeatAtOnce(), BehindAnEnd);
        }
    }
}
