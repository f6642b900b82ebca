using System.Collections.Immutable;
using System.Globalization;
using Akka.Actor;
using Akka.Event;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Nodes.VmProcesses;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>The replicas of this node: their processes begin and end, and what is between them and the node.</summary>
public sealed partial class NodeActor
{
    private readonly IActorRef self = Context.Self;
    private long questions;

    /// <summary>A process begins for a VM, and is told what it is to run.</summary>
    /// <param name="profile">The VM.</param>
    /// <param name="session">Of a backup: the session of its copy.</param>
    /// <param name="generation">Of a VM that is to start: what it claims; 0 for a backup.</param>
    /// <param name="wantsBackup">It is to have a backup again if it loses that.</param>
    /// <param name="first">The first command.</param>
    /// <param name="begun">Told once how it went: null, or why there is no replica.</param>
    /// <exception cref="NodeRefusedException">There is no room for it.</exception>
    private void Begin(VmProfile profile, ChannelSession session, ulong generation, bool wantsBackup, VmCommand first, Action<string?> begun)
    {
        RequireMemory(profile);
        if (entries.TryGetValue(profile.Name, out NodeEntry? former))
        {
            Forget(former);
        }
        var entry = new NodeEntry
        {
            Vm = profile.Name,
            Profile = profile,
            Session = session,
            Generation = generation,
            Reprotection = new Reprotection(settings.AutoProtect),
            Process = Context.Watch(Context.ActorOf(
                VmProcessActor.Props(settings, profile.Name, self), string.Create(CultureInfo.InvariantCulture, $"{profile.Name}-{++replicasMade}"))),
            Begun = begun,
        };
        if (wantsBackup)
        {
            entry.Reprotection.Want();
        }
        entries[entry.Vm] = entry;
        entry.Process.Tell(first);
    }

    /// <exception cref="NodeRefusedException">The guests of this node would have more memory than there is for them.</exception>
    private void RequireMemory(VmProfile profile)
    {
        ulong taken = 0;
        foreach (NodeEntry entry in entries.Values.Where(entry => entry.End is null))
        {
            taken += entry.Profile.MemoryBytes;
        }
        if (taken > settings.MemoryBytesMax || profile.MemoryBytes > settings.MemoryBytesMax - taken)
        {
            throw new NodeRefusedException($"{settings.Name} has no memory for {profile.Name}: it needs {profile.MemoryBytes >> 20} MiB, and of the {settings.MemoryBytesMax >> 20} MiB "
                + $"for guests {taken >> 20} MiB are taken. The setting ftakka.node.memory says how much there is.");
        }
    }

    /// <summary>Asks the process of a VM. The answer is null when there will be none, since the replica, or its process, has ended.</summary>
    private void Ask(NodeEntry entry, Func<long, VmCommand> question, Action<VmReport.Answer?> answered)
    {
        long number = ++questions;
        entry.Waiting[number] = answered;
        entry.Process.Tell(question(number));
    }

    private void Take(VmReport report)
    {
        if (entries.Values.FirstOrDefault(entry => entry.Process.Equals(Sender)) is not { } entry)
        {
            // A process that has been given up meanwhile.
            return;
        }
        switch (report)
        {
            case VmReport.Began began:
                (entry.HasBegun, entry.View, entry.Address) = (true, began.View, began.Address);
                entry.Begun(null);
                break;
            case VmReport.CannotBegin cannot:
                entry.End = new ReplicaEnd(null, 0, cannot.Why);
                entries.Remove(entry.Vm);
                Forget(entry);
                entry.Begun(cannot.Why);
                break;
            case VmReport.Changed changed:
                entry.View = changed.View;
                break;
            case VmReport.Offers offers:
                if (peers.TryGetValue(offers.Node, out IActorRef? peer))
                {
                    peer.Tell(offers.Offer);
                }
                break;
            case VmReport.Dropped dropped:
                entry.Reprotection.Lost(dropped.Cause, dropped.Peer);
                break;
            case VmReport.Ended ended:
                OnEnded(entry, ended.End);
                break;
            case VmReport.Answer answer:
                Take(entry, answer);
                break;
            default:
                break;
        }
    }

    private static void Take(NodeEntry entry, VmReport.Answer answer)
    {
        if (answer is VmReport.Settled { View: { } view })
        {
            entry.View = view;
        }
        if (entry.Waiting.Remove(answer.Number, out Action<VmReport.Answer?>? then))
        {
            then(answer);
        }
    }

    private void OnEnded(NodeEntry entry, ReplicaEnd end)
    {
        entry.End = end;
        if (IsLeaving)
        {
            GoOnLeaving();
        }
    }

    /// <summary>A process is gone that was not given up: its replica has not said how it ended.</summary>
    private void OnTerminated(Terminated gone)
    {
        if (entries.Values.FirstOrDefault(entry => entry.Process.Equals(gone.ActorRef)) is not { } entry)
        {
            return;
        }
        const string What = "its process ended by a failure; the log has the error";
        entry.End ??= new ReplicaEnd(null, entry.View?.Status.Generation ?? entry.Generation, What);
        AnswerNobody(entry);
        if (!entry.HasBegun)
        {
            entries.Remove(entry.Vm);
            entry.Begun(What);
        }
        else if (IsLeaving)
        {
            GoOnLeaving();
        }
    }

    /// <summary>A replica that has ended is not of interest any more, and its process ends.</summary>
    private static void Forget(NodeEntry entry)
    {
        Context.Unwatch(entry.Process);
        Context.Stop(entry.Process);
        AnswerNobody(entry);
    }

    /// <summary>There will be no answer any more.</summary>
    private static void AnswerNobody(NodeEntry entry)
    {
        ImmutableArray<Action<VmReport.Answer?>> waiting = [.. entry.Waiting.Values];
        entry.Waiting.Clear();
        foreach (Action<VmReport.Answer?> then in waiting)
        {
            then(null);
        }
    }
}
