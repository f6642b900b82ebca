using Akka.Actor;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Machine.Events;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes.VmProcesses;

/// <summary>What operators ask of the VM. A verb is answered when what it asked for is so, or has taken too long.</summary>
public sealed partial class VmProcessActor
{
    /// <summary>A verb that has begun.</summary>
    /// <param name="Outcome">The answer, once there is one.</param>
    /// <param name="NotYet">The answer when the time is over.</param>
    /// <param name="Until">When it is over, by the monotonic clock.</param>
    private sealed record Awaited(Func<VmReport.Answered?> Outcome, Func<VmReport.Answered> NotYet, TimeSpan Until)
    {
        public VmReport.Answered? AnswerAt(TimeSpan now) => Outcome() ?? (now >= Until ? NotYet() : null);
    }

    /// <summary>How long a verb waits until what it asked for is so. The control API waits longer.</summary>
    private static readonly TimeSpan VerbPatience = TimeSpan.FromSeconds(10);

    private readonly List<Awaited> awaited = [];

    /// <summary>What waits until the replica has done what it was asked before.</summary>
    private readonly List<Action> waiting = [];

    /// <summary>Whatever is asked is judged, and answered, when the replica has done what was asked before.</summary>
    private void Ask(VmCommand.Ask asked) => OnceSettled(() =>
    {
        Awaited verb = Begin(asked);
        OnceSettled(() =>
        {
            awaited.Add(verb);
            AnswerWhatIsDone();
        });
    });

    /// <summary>Verbs that are done by now are answered. Looked at often, and whenever the replica's state has changed.</summary>
    private void AnswerWhatIsDone()
    {
        TimeSpan now = Now;
        awaited.RemoveAll(verb =>
        {
            VmReport.Answered? answer = verb.AnswerAt(now);
            if (answer is not null)
            {
                agent.Tell(answer);
            }
            return answer is not null;
        });
    }

    private Awaited Begin(VmCommand.Ask asked)
    {
        long number = asked.Number;
        try
        {
            ReplicaStatus status = RequireLive();
            return asked.Verb switch
            {
                VmVerb.Protect => Protect(number, status, asked.Node!),
                VmVerb.Unprotect => Unprotect(number, status),
                VmVerb.Failover => FailOver(number, status),
                VmVerb.PowerOff => PowerOff(number),
                VmVerb.Reset => Operate(number, ControlOperation.Reset),
                VmVerb.Nmi => Operate(number, ControlOperation.Nmi),
                VmVerb.Attach => Done(number, ""),
                _ => throw new NodeRefusedException($"{settings.Name} does not know the verb {asked.Verb}."),
            };
        }
        catch (NodeRefusedException refused)
        {
            return Answered(Refused(number, refused.Message));
        }
    }

    /// <exception cref="NodeRefusedException">It is not.</exception>
    private ReplicaStatus RequireLive() => View is { Status: { } status } && ReplicaRoles.IsLive(status.Role) ? status
        : throw new NodeRefusedException($"The VM {vm} is not live on {settings.Name}.");

    private static VmReport.Answered Refused(long number, string why, BackupWish wish = BackupWish.AsBefore) => new(number, IsDone: false, why, wish);

    private static Awaited Answered(VmReport.Answered answer) => new(() => answer, () => answer, default);

    private static Awaited Done(long number, string text) => Answered(new VmReport.Answered(number, IsDone: true, text));

    private Awaited Protect(long number, ReplicaStatus status, string node)
    {
        if (status.Role != ReplicaRole.Solo)
        {
            throw new NodeRefusedException($"The VM {vm} {(status.Role == ReplicaRole.CloningPrimary ? "is being copied to" : "has its backup on")} {status.Peer} already; "
                + "'ftakka vm unprotect' gives that up.");
        }
        replica!.Protect(node);
        var done = new VmReport.Answered(number, IsDone: true, $"{vm} is being copied to {node}; 'ftakka vm status' shows how far it is", BackupWish.Wanted);
        return new Awaited(() => OutcomeOfProtect(done), () => done, Now + VerbPatience);
    }

    /// <summary>A copy begins as soon as the machine runs, and may have failed already when this looks.</summary>
    private VmReport.Answered? OutcomeOfProtect(VmReport.Answered done) => View switch
    {
        null => Refused(done.Number, $"The VM {vm} has ended here meanwhile: {end?.What}"),
        { Status.Role: not ReplicaRole.Solo } or { LastError: not null } => done,
        _ => null,
    };

    private Awaited Unprotect(long number, ReplicaStatus status)
    {
        if (status.Role == ReplicaRole.Solo)
        {
            throw new NodeRefusedException($"The VM {vm} has no backup.");
        }
        replica!.Unprotect();
        return new Awaited(() => OutcomeOfUnprotect(number), () => StillProtected(number), Now + VerbPatience);
    }

    private VmReport.Answered? OutcomeOfUnprotect(long number) => View switch
    {
        null => Refused(number, $"The VM {vm} has ended here meanwhile: {end?.What}", BackupWish.NotWanted),
        { Status.Role: ReplicaRole.Solo } => new VmReport.Answered(number, IsDone: true, $"{vm} goes on without a backup", BackupWish.NotWanted),
        _ => null,
    };

    private VmReport.Answered StillProtected(long number) => Refused(
        number,
        $"The VM {vm} has its backup on {View?.Status.Peer} still: the arbiter in {settings.Arbiter.Place} has not answered yet. The VM goes on without a backup "
        + "as soon as it does; 'ftakka vm status' shows it.",
        BackupWish.NotWanted);

    /// <exception cref="NodeRefusedException">There is nobody to hand over to, or nobody who could grant it: the VM would stand until the arbiter is back.</exception>
    private Awaited FailOver(long number, ReplicaStatus status)
    {
        if (!status.CanTakeOver)
        {
            throw new NodeRefusedException($"The VM {vm} has no backup that could take over: let 'ftakka vm protect' make one, and wait until 'ftakka vm status' says protected.");
        }
        try
        {
            settings.Arbiter.Newest(vm);
        }
        catch (Exception failed) when (failed is not OutOfMemoryException)
        {
            throw CannotReadArbiter(failed);
        }
        replica!.PlannedFailover();
        return new Awaited(() => OutcomeOfFailOver(number, status.Peer!), () => StillHandingOver(number), Now + VerbPatience);
    }

    private VmReport.Answered? OutcomeOfFailOver(long number, string backup) => (end, View) switch
    {
        ({ Reason: HaltReason.HandedOver }, _) => new VmReport.Answered(number, IsDone: true, $"{vm} runs on {backup}"),
        ({ } ended, _) => Refused(number, $"The VM {vm} has ended here meanwhile: {ended.What}"),
        (_, { Status.Role: ReplicaRole.Solo } view) => Refused(number, $"The VM {vm} was not handed over, and goes on here without a backup: {view.LastError}"),
        _ => null,
    };

    private VmReport.Answered StillHandingOver(long number) => Refused(
        number, $"The VM {vm} is still handing over to its backup on {View?.Status.Peer}, and stands until that has taken over; 'ftakka vm status' shows how far it is.");

    private Awaited Operate(long number, ControlOperation operation)
    {
        replicaActor.Tell(new ReplicaProtocol.Operate(operation));
        return Done(number, $"{vm}: {operation} was sent");
    }

    private Awaited PowerOff(long number)
    {
        Operate(number, ControlOperation.PowerOff);
        return new Awaited(
            () => end is { } ended ? new VmReport.Answered(number, IsDone: true, $"{vm} is switched off: {ended.What}") : null,
            () => Refused(number, $"The VM {vm} was told to switch off, and has not yet; 'ftakka vm status' shows it."),
            Now + VerbPatience);
    }
}
