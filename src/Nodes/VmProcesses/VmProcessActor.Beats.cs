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
    private ConnectionBeats? connections;
    private VmPort? port;
    private long beats;

    private void Beat()
    {
        if (end is null && replica?.Link is { } link)
        {
            port!.Send(link.Node, new ReplicaBeat(link.Session.Generation, link.Session.Attempt, ++beats));
        }
    }
}
