using Akka.Actor;
using Akka.Event;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>The orderly stop of a node, and new backups for VMs that have lost theirs.</summary>
public sealed partial class NodeActor
{
    private sealed record Dropped(NodeEntry Entry, ReplicaEffect.DropBackup What);

    private readonly SortedDictionary<string, TimeSpan> heard = new(StringComparer.Ordinal);
    private readonly List<string> left = [];
    private readonly List<IActorRef> leaveAskers = [];
    private TimeSpan leaveUntil;
    private bool leaving;

    private static TimeSpan Now => Context.System.Scheduler.HighResMonotonicClock;

    private bool IsLeaving => leaving;

    private static bool IsLive(ReplicaView? view) => view is not null && ReplicaRoles.IsLive(view.Status.Role);

    /// <summary>Protected VMs are handed over, backups say goodbye, VMs without a backup are switched off.</summary>
    private void Leave()
    {
        leaveAskers.Add(Sender);
        if (leaving)
        {
            return;
        }
        leaving = true;
        leaveUntil = Now + settings.HandOverTimeout;
        // None of them begins any more.
        foreach (PendingStart pending in starting.Values.ToArray())
        {
            Settle(pending);
        }
        foreach (NodeEntry entry in entries.Values)
        {
            switch (entry.View?.Status.Role)
            {
                case ReplicaRole.ProtectedPrimary:
                    Say($"{entry.Vm}: handing over to its backup on {entry.View!.Status.Peer}");
                    break;
                case ReplicaRole.CloningPrimary:
                    Say($"{entry.Vm}: its copy to {entry.View!.Status.Peer} is given up");
                    break;
                case ReplicaRole.Backup or ReplicaRole.BackupSyncing:
                    Say($"{entry.Vm}: the backup here ends, {entry.View!.Status.Peer} goes on without it");
                    break;
                default:
                    break;
            }
            if (entry.End is null)
            {
                entry.Replica?.Leave();
            }
        }
        GoOnLeaving();
    }

    /// <summary>Looked at with every heartbeat, until everybody who asked has been answered: once.</summary>
    private void GoOnLeaving()
    {
        if (leaveAskers.Count == 0)
        {
            return;
        }
        bool late = Now >= leaveUntil;
        bool open = false;
        foreach (NodeEntry entry in entries.Values.Where(entry => entry.End is null))
        {
            if (entry.View?.Status.Role == ReplicaRole.Solo && !entry.SwitchedOff)
            {
                Say($"{entry.Vm}: has no backup and is switched off, as if by its plug; 'ftakka vm start' starts it anew");
                entry.SwitchedOff = true;
                Context.Stop(entry.Actor);
            }
            else if (late)
            {
                Say($"{entry.Vm}: is still {entry.View?.Status.Role}; its other replica will notice that this node is gone");
            }
            open = true;
        }
        if (open && !late)
        {
            return;
        }
        foreach (IActorRef asker in leaveAskers)
        {
            asker.Tell(new NodeProtocol.Left([.. left]));
        }
        leaveAskers.Clear();
    }

    private void Say(string what)
    {
        log.Info("The node stops: {0}", what);
        left.Add(what);
    }

    /// <summary>Gives new backups to VMs that want one. Looked at with every heartbeat.</summary>
    private void Reprotect()
    {
        TimeSpan now = Now;
        string[] alive = [.. heard.Where(peer => now - peer.Value < settings.Protection.ChannelTimeout).Select(peer => peer.Key)];
        foreach (NodeEntry entry in entries.Values)
        {
            if (IsLive(entry.View) && entry.View!.Status is var status
                && entry.Reprotection.Look(now, status.Role, status.CanTakeOver, alive) is { } node)
            {
                log.Info("{0}: a new backup is made on {1}", entry.Vm, node);
                entry.Replica!.Protect(node);
            }
        }
    }

    private void OnDropped(Dropped message) => message.Entry.Reprotection.Lost(message.What.Cause, message.What.Peer);
}
