using Akka.Actor;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.LogChannelActors.Replicas;

/// <summary>
/// What any thread may know and ask of a replica. Requests go to the replica's mailbox; what is read here is what the replica last published. Devices ask
/// <see cref="MayAct"/> immediately before they act.
/// </summary>
public sealed class ReplicaHandle
{
    private readonly IActorRef actor;
    private readonly Func<TimeSpan> clock;
    private ReplicaView view;
    private ReplicaLink? link;
    private long fence;
    private bool over;
    private long waitingBytes;

    /// <summary>
    /// Bytes of a peer's messages that wait for the replica. More than a peer that keeps to the windows of log and copy has under way; what is beyond is dropped,
    /// as the network may.
    /// </summary>
    internal const long WaitingBytesMax = 256 << 20;

    internal ReplicaHandle(IActorRef actor, Func<TimeSpan> clock, ReplicaCore core)
    {
        (this.actor, this.clock) = (actor, clock);
        (fence, link, view) = (core.Fence.Ticks, LinkOf(core), core.View(new Instant(clock().Ticks)));
    }

    /// <summary>Called when <see cref="MayAct"/> may have become true, on the replica's thread; must not block.</summary>
    public Action? FenceMoved { get; set; }

    /// <summary>Called when something of <see cref="View"/> has changed by which a node decides (<see cref="ReplicaView.IsSameForDecisions"/>), on the replica's thread; must not block.</summary>
    public Action? ViewChanged { get; set; }

    /// <summary>Whether devices may act at this moment.</summary>
    public bool MayAct => clock().Ticks < Volatile.Read(ref fence);

    /// <summary>The session with the peer's replica; null while there is none.</summary>
    public ReplicaLink? Link => Volatile.Read(ref link);

    /// <summary>Name of the node of the peer's replica; null while there is none.</summary>
    public string? PeerNode => Link?.Node;

    /// <summary>The replica as it was after its last step.</summary>
    public ReplicaView View => Volatile.Read(ref view);

    /// <summary>A node has begun anew: the replicas that it had are gone.</summary>
    public void Restarted(string node)
    {
        if (node == PeerNode)
        {
            Tell(new ReplicaInput.NodeRestarted(node));
        }
    }

    /// <summary>Backup: this host has found out whether the replica could go live.</summary>
    /// <param name="refusal">Why not; null if it could.</param>
    public void HostProved(string? refusal) => Tell(new ReplicaInput.HostProved(refusal));

    /// <summary>A message of the peer's replica.</summary>
    public void Received(IChannelMessage message)
    {
        ArgumentNullException.ThrowIfNull(message);
        if (Interlocked.Add(ref waitingBytes, CostOf(message)) > WaitingBytesMax)
        {
            Taken(message);
            return;
        }
        Tell(new ReplicaInput.Received(message));
    }

    /// <summary>The replica takes a message of its peer.</summary>
    internal void Taken(IChannelMessage message) => Interlocked.Add(ref waitingBytes, -CostOf(message));

    private static long CostOf(IChannelMessage message) => 256 + message.ContentBytes;

    /// <summary>Operator: make a backup on that node, as soon as there is a machine to copy.</summary>
    public void Protect(string node) => Tell(new ReplicaInput.Protect(node));

    /// <summary>Operator: go on without backup.</summary>
    public void Unprotect() => Tell(new ReplicaInput.Unprotect());

    /// <summary>Operator: let the backup take over.</summary>
    public void PlannedFailover() => Tell(new ReplicaInput.PlannedFailover());

    /// <summary>The node stops in order.</summary>
    public void Leave() => Tell(new ReplicaInput.Leave());

    /// <summary>No device may act any more, whatever the replica was about to do.</summary>
    internal void CloseFence() => Volatile.Write(ref fence, FenceTime.Closed.Ticks);

    internal void MoveFence(Instant until)
    {
        Volatile.Write(ref fence, until.Ticks);
        FenceMoved?.Invoke();
    }

    internal void Publish(ReplicaCore core, Instant now)
    {
        ReplicaView next = core.View(now);
        bool isSame = next.IsSameForDecisions(view);
        if (core.Peer != link?.Node || core.Session != link?.Session)
        {
            Volatile.Write(ref link, LinkOf(core));
        }
        Volatile.Write(ref view, next);
        if (!isSame)
        {
            ViewChanged?.Invoke();
        }
    }

    private static ReplicaLink? LinkOf(ReplicaCore core) => core.Peer is { } node ? new ReplicaLink(node, core.Session) : null;

    /// <summary>The replica is no more: what is asked of it goes nowhere.</summary>
    internal void End() => Volatile.Write(ref over, true);

    private void Tell(ReplicaInput input)
    {
        if (!Volatile.Read(ref over))
        {
            actor.Tell(input, ActorRefs.NoSender);
        }
    }
}

/// <summary>What joins a replica with its peer.</summary>
/// <param name="Node">Name of the peer's node.</param>
/// <param name="Session">The session of the log channel.</param>
public sealed record ReplicaLink(string Node, ChannelSession Session);
