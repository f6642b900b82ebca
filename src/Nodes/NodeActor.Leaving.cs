using Akka.Actor;
using Akka.Event;
using FtAkka.Nodes.VmProcesses;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>The orderly stop of a node, and new backups for VMs that have lost theirs.</summary>
public sealed partial class NodeActor
{
    private readonly SortedDictionary<string, TimeSpan> heard = new(StringComparer.Ordinal);
    private readonly List<string> left = [];
    private readonly List<IActorRef> leaveAskers = [];

    private static TimeSpan Now => Context.System.Scheduler.HighResMonotonicClock;

    /// <summary>The node was told to stop in order, and takes nothing new.</summary>
    private bool IsLeaving { get; set; }

    /// <summary>Peers that were heard lately, in order of names.</summary>
    private string[] Alive(TimeSpan now) => [.. heard.Where(peer => now - peer.Value < settings.Protection.ChannelTimeout).Select(peer => peer.Key)];

    private static bool IsLive(ReplicaView? view) => view is not null && ReplicaRoles.IsLive(view.Status.Role);

    /// <summary>Protected VMs are handed over, VMs without a backup are copied to a peer before, backups say goodbye. What no peer takes is switched off.</summary>
    private void Leave()
    {
        leaveAskers.Add(Sender);
        if (IsLeaving)
        {
            GoOnLeaving();
            return;
        }
        IsLeaving = true;
        // None of them begins any more that has no process yet.
        foreach (PendingStart pending in starting.Values.Where(pending => !pending.HasProcess).ToArray())
        {
            Settle(pending);
        }
        GoOnLeaving();
    }

    /// <summary>Looked at with every heartbeat, and when a replica ends.</summary>
    private void GoOnLeaving()
    {
        TimeSpan now = Now;
        string[] alive = Alive(now);
        bool open = false;
        foreach (NodeEntry entry in entries.Values.Where(entry => entry.End is null))
        {
            // Also one that begins behind the stop.
            entry.Departure ??= new Departure(now, settings.HandOverTimeout, settings.StopCopyTimeout);
            // One whose machine is about to begin cannot be copied yet.
            ReplicaStatus? status = entry.View?.Status;
            ReplicaRole? role = status is { Role: ReplicaRole.Solo, Runs: false } ? null : status?.Role;
            Perform(entry, entry.Departure.Look(now, role, canHandOver: status?.Unable is null, settings.AutoProtect.Choices(alive)));
            open |= entry.SwitchedOff || !entry.Departure.IsOver;
        }
        if (open)
        {
            return;
        }
        foreach (IActorRef asker in leaveAskers)
        {
            asker.Tell(new NodeProtocol.Left([.. left]));
        }
        leaveAskers.Clear();
    }

    private void Perform(NodeEntry entry, DepartureStep step)
    {
        if (step.InVain && entry.View?.LastError is { } why)
        {
            Say($"{entry.Vm}: {why}");
        }
        switch (step.Action)
        {
            case DepartureAction.Copy:
                Say($"{entry.Vm}: has no backup, and is copied to {step.Node} first");
                Order(entry, VmOrder.Protect, step.Node);
                break;
            case DepartureAction.Leave:
                SayThatItLeaves(entry);
                Order(entry, VmOrder.Leave);
                break;
            case DepartureAction.Unprotect:
                Say($"{entry.Vm}: its backup on {entry.View!.Status.Peer} could not go live, and is given up: {entry.View.Status.Unable}");
                Order(entry, VmOrder.Unprotect);
                break;
            case DepartureAction.SwitchOff:
                Say($"{entry.Vm}: has no backup and is switched off, as if by its plug; 'ftakka vm start' starts it anew");
                entry.SwitchedOff = true;
                entry.Process.Tell(new VmCommand.SwitchOff());
                break;
            case DepartureAction.Late:
                Say($"{entry.Vm}: is still {entry.View?.Status.Role}; its other replica will notice that this node is gone");
                break;
            case DepartureAction.Wait:
            default:
                break;
        }
    }

    /// <summary>Orders something for a departure, which goes on when the replica has taken it.</summary>
    private void Order(NodeEntry entry, VmOrder what, string? node = null) =>
        Ask(entry, number => new VmCommand.Order(number, what, node), _ => entry.Departure!.Settled());

    private void SayThatItLeaves(NodeEntry entry)
    {
        ReplicaStatus status = entry.View!.Status;
        switch (status.Role)
        {
            case ReplicaRole.ProtectedPrimary:
                Say($"{entry.Vm}: handing over to its backup on {status.Peer}");
                break;
            case ReplicaRole.CloningPrimary:
                Say($"{entry.Vm}: its copy to {status.Peer} takes too long and is given up");
                break;
            case ReplicaRole.Backup or ReplicaRole.BackupSyncing:
                Say($"{entry.Vm}: the backup here ends, {status.Peer} goes on without it");
                break;
            default:
                break;
        }
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
        string[] alive = Alive(now);
        foreach (NodeEntry entry in entries.Values)
        {
            // An operator who has asked for something may have asked for no backup.
            if (entry.VerbsUnderWay == 0 && IsLive(entry.View) && entry.View!.Status is var status
                && entry.Reprotection.Look(now, status.Role, status.CanTakeOver, alive) is { } node)
            {
                log.Info("{0}: a new backup is made on {1}", entry.Vm, node);
                Ask(entry, number => new VmCommand.Order(number, VmOrder.Protect, node), _ => { });
            }
        }
    }
}
