using Akka.Actor;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Machine.Events;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>What operators ask of a VM that is live here.</summary>
public sealed partial class NodeActor
{
    /// <summary>A verb that has begun, and is answered when it is done, or has taken too long.</summary>
    /// <param name="Outcome">The answer, once there is one.</param>
    /// <param name="NotYet">The answer when the time is over.</param>
    /// <param name="Until">When it is over, by the monotonic clock.</param>
    private sealed record Awaited(Func<object?> Outcome, Func<object> NotYet, TimeSpan Until)
    {
        public object? AnswerAt(TimeSpan now) => Outcome() ?? (now >= Until ? NotYet() : null);
    }

    /// <summary>How long a verb waits until what it asked for is so. The control API waits longer.</summary>
    private static readonly TimeSpan VerbPatience = TimeSpan.FromSeconds(10);

    private readonly List<(IActorRef Asker, Awaited Verb)> awaited = [];

    private void Reply(IActorRef asker, object answer)
    {
        if (answer is Awaited verb)
        {
            awaited.Add((asker, verb));
            AnswerWhatIsDone();
        }
        else
        {
            asker.Tell(answer);
        }
    }

    /// <summary>Verbs that are done by now are answered. Looked at with every heartbeat, and when a replica ends.</summary>
    private void AnswerWhatIsDone()
    {
        TimeSpan now = Now;
        awaited.RemoveAll(one =>
        {
            object? answer = one.Verb.AnswerAt(now);
            if (answer is not null)
            {
                one.Asker.Tell(answer);
            }
            return answer is not null;
        });
    }

    private string Protect(string vm, string node)
    {
        RequirePeer(node);
        RefuseWhileLeaving();
        NodeEntry entry = Live(vm);
        ReplicaStatus status = entry.View!.Status;
        if (status.Role != ReplicaRole.Solo)
        {
            throw new NodeRefusedException($"The VM {vm} {(status.Role == ReplicaRole.CloningPrimary ? "is being copied to" : "has its backup on")} {status.Peer} already; "
                + "'ftakka vm unprotect' gives that up.");
        }
        entry.Reprotection.Want();
        entry.Replica!.Protect(node);
        return $"{vm} is being copied to {node}; 'ftakka vm status' shows how far it is";
    }

    private Awaited Unprotect(string vm)
    {
        NodeEntry entry = Live(vm);
        if (entry.View!.Status is { Role: ReplicaRole.Solo })
        {
            throw new NodeRefusedException($"The VM {vm} has no backup.");
        }
        entry.Reprotection.Forget();
        entry.Replica!.Unprotect();
        return new Awaited(() => OutcomeOfUnprotect(entry), () => StillProtected(entry), Now + VerbPatience);
    }

    private static object? OutcomeOfUnprotect(NodeEntry entry) => entry.View switch
    {
        null => new NodeProtocol.Refused($"The VM {entry.Vm} has ended here meanwhile: {entry.End?.What}"),
        { Status.Role: ReplicaRole.Solo } => new NodeProtocol.Done($"{entry.Vm} goes on without a backup"),
        _ => null,
    };

    private NodeProtocol.Refused StillProtected(NodeEntry entry) => new(
        $"The VM {entry.Vm} has its backup on {entry.View?.Status.Peer} still: the arbiter in {arbiter.Place} has not answered yet. The VM goes on without a backup "
        + "as soon as it does; 'ftakka vm status' shows it.");

    /// <exception cref="NodeRefusedException">There is nobody to hand over to, or nobody who could grant it: the VM would stand until the arbiter is back.</exception>
    private Awaited FailOver(string vm)
    {
        NodeEntry entry = Live(vm);
        ReplicaStatus status = entry.View!.Status;
        if (!status.CanTakeOver)
        {
            throw new NodeRefusedException($"The VM {vm} has no backup that could take over: let 'ftakka vm protect' make one, and wait until 'ftakka vm status' says protected.");
        }
        NewestRecord(vm);
        entry.Replica!.PlannedFailover();
        return new Awaited(() => OutcomeOfFailOver(entry, status.Peer!), () => StillHandingOver(entry), Now + VerbPatience);
    }

    private static object? OutcomeOfFailOver(NodeEntry entry, string backup) => entry switch
    {
        { End.Reason: HaltReason.HandedOver } => new NodeProtocol.Done($"{entry.Vm} runs on {backup}"),
        { End: { } end } => new NodeProtocol.Refused($"The VM {entry.Vm} has ended here meanwhile: {end.What}"),
        { View.Status.Role: ReplicaRole.Solo } => new NodeProtocol.Refused($"The VM {entry.Vm} was not handed over, and goes on here without a backup: {entry.View!.LastError}"),
        _ => null,
    };

    private static NodeProtocol.Refused StillHandingOver(NodeEntry entry) => new(
        $"The VM {entry.Vm} is still handing over to its backup on {entry.View?.Status.Peer}, and stands until that has taken over; 'ftakka vm status' shows how far it is.");

    private object Operate(string vm, ControlOperation operation)
    {
        NodeEntry entry = Live(vm);
        entry.Actor!.Tell(new ReplicaProtocol.Operate(operation));
        return operation == ControlOperation.PowerOff
            ? new Awaited(
                () => entry.End is { } end ? new NodeProtocol.Done($"{vm} is switched off: {end.What}") : null,
                () => new NodeProtocol.Refused($"The VM {vm} was told to switch off, and has not yet; 'ftakka vm status' shows it."),
                Now + VerbPatience)
            : $"{vm}: {operation} was sent";
    }

    private void RefuseWhileLeaving()
    {
        if (IsLeaving)
        {
            throw new NodeRefusedException($"The node {settings.Name} is stopping.");
        }
    }

    private void RequirePeer(string node)
    {
        if (node == settings.Name)
        {
            throw new NodeRefusedException("A backup beside its primary would die with it: name another node.");
        }
        if (!settings.Peers.ContainsKey(node))
        {
            throw new NodeRefusedException($"{settings.Name} does not know the node {node}; it knows {string.Join(", ", settings.Peers.Keys)}.");
        }
    }

    private NodeEntry Live(string vm) =>
        entries.TryGetValue(vm, out NodeEntry? entry) && entry is { End: null, Replica: { } replica } && ReplicaRoles.IsLive(replica.View.Status.Role)
            ? entry
            : throw new NodeRefusedException($"The VM {vm} is not live on {settings.Name}.");
}
