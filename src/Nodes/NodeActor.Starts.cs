using System.Globalization;
using Akka.Actor;
using FtAkka.Nodes.VmProcesses;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>Starts of VMs. A VM that the arbiter does not know to have ended is asked for on every other node before: one that is there is not started again.</summary>
public sealed partial class NodeActor
{
    /// <summary>A start that waits for what other nodes say of the VM, and then for what this host says of its devices.</summary>
    private sealed class PendingStart(NodeProtocol.Start request, IActorRef asker, OwnershipRecord? record, TimeSpan until)
    {
        public NodeProtocol.Start Request { get; } = request;

        public IActorRef Asker { get; } = asker;

        /// <summary>The newest owner that the arbiter knows; null if it knows none.</summary>
        public OwnershipRecord? Record { get; } = record;

        /// <summary>No node is asked any more: the devices are looked at.</summary>
        public bool IsBeingProved { get; set; }

        /// <summary>Its process makes the machine.</summary>
        public bool HasProcess { get; set; }

        /// <summary>What the operator is told besides that it runs.</summary>
        public string Note { get; set; } = "";

        /// <summary>Who has not answered then counts as out of reach.</summary>
        public TimeSpan Until { get; } = until;

        public SortedDictionary<string, VmAnswer> Answers { get; } = new(StringComparer.Ordinal);

        /// <summary>What was asked of the VM behind the start, and by whom.</summary>
        public List<(object Question, IActorRef Asker)> Behind { get; } = [];
    }

    private sealed record StartProved(PendingStart Pending, VmProfile Profile, string? Refusal);

    private const int BehindMax = 64;

    private static readonly TimeSpan AskPatienceMin = TimeSpan.FromSeconds(1);

    private readonly SortedDictionary<string, PendingStart> starting = new(StringComparer.Ordinal);

    /// <summary>Longer than a node that lives needs for an answer, a new connection included.</summary>
    private TimeSpan AskPatience => TimeSpan.FromTicks(Math.Max(AskPatienceMin.Ticks, 2 * settings.Protection.FailureTimeout.Ticks));

    private void Start(NodeProtocol.Start request)
    {
        IActorRef asker = Sender;
        object answer = AnswerOf(() => Consider(request, asker));
        if (answer is not PendingStart)
        {
            asker.Tell(answer);
        }
    }

    /// <summary>Begins to ask for the VM, or to look at what it needs.</summary>
    private PendingStart Consider(NodeProtocol.Start request, IActorRef asker)
    {
        RequireFree(request);
        string vm = request.Profile.Name;
        OwnershipRecord? record = NewestRecord(vm);
        var pending = new PendingStart(request, asker, record, Now + AskPatience);
        if (record is null || AtArbiter(vm, () => arbiter.HasEnded(vm, record.Generation)))
        {
            return Prove(pending);
        }
        if (peers.Count == 0)
        {
            return Decide(pending);
        }
        starting[vm] = pending;
        AskFor(pending);
        return pending;
    }

    private void RequireFree(NodeProtocol.Start request)
    {
        RefuseWhileLeaving();
        string vm = request.Profile.Name;
        if (request.Profile.FindError() is { } wrong)
        {
            throw new NodeRefusedException(wrong);
        }
        if (entries.TryGetValue(vm, out NodeEntry? running) && running.End is null)
        {
            throw new NodeRefusedException($"The VM {vm} runs on this node already.");
        }
        if (starting.ContainsKey(vm))
        {
            throw new NodeRefusedException($"The VM {vm} is being started on this node already.");
        }
        if (request.Backup is { } backup)
        {
            RequirePeer(backup);
        }
    }

    private void AskFor(PendingStart pending)
    {
        foreach ((string node, IActorRef peer) in peers)
        {
            if (!pending.Answers.ContainsKey(node))
            {
                peer.Tell(new VmQuestion(settings.Name, pending.Request.Profile.Name));
            }
        }
    }

    /// <summary>Who has not answered is asked again, or given up. Looked at with every heartbeat.</summary>
    private void LookAfterStarts()
    {
        foreach (PendingStart pending in starting.Values.Where(pending => !pending.IsBeingProved).ToArray())
        {
            if (Now >= pending.Until)
            {
                Settle(pending);
            }
            else
            {
                AskFor(pending);
            }
        }
    }

    /// <summary>What is asked of a VM behind its start is asked again when that is settled.</summary>
    private static void WaitBehind(PendingStart pending, object question, IActorRef asker)
    {
        if (pending.Behind.Count < BehindMax)
        {
            pending.Behind.Add((question, asker));
        }
        else
        {
            asker.Tell(new NodeProtocol.Refused($"The VM {pending.Request.Profile.Name} is being started, and {BehindMax} requests wait for that."));
        }
    }

    private void AnswerTo(VmQuestion question)
    {
        if (peers.TryGetValue(question.NodeName, out IActorRef? peer))
        {
            (ReplicaRole role, ulong generation) = entries.TryGetValue(question.Vm, out NodeEntry? entry) ? RoleOf(entry) : (ReplicaRole.Halted, 0);
            peer.Tell(new VmAnswer(settings.Name, question.Vm, role, generation));
        }
    }

    private static (ReplicaRole Role, ulong Generation) RoleOf(NodeEntry entry) => entry switch
    {
        { End: { } end } => (ReplicaRole.Halted, end.Generation),
        { View.Status: { } status } => (status.Role, status.Generation),
        { Generation: > 0 } => (ReplicaRole.Solo, entry.Generation),
        _ => (ReplicaRole.BackupSyncing, entry.Session.Generation),
    };

    private void Hear(VmAnswer answer)
    {
        if (!peers.ContainsKey(answer.NodeName) || !starting.TryGetValue(answer.Vm, out PendingStart? pending) || pending.IsBeingProved)
        {
            return;
        }
        pending.Answers[answer.NodeName] = answer;
        if (pending.Answers.Count == peers.Count || ReplicaRoles.IsLive(answer.Role))
        {
            Settle(pending);
        }
    }

    /// <summary>Goes on with the start or refuses, by what is known now.</summary>
    private void Settle(PendingStart pending) => GoOn(pending, () => Decide(pending));

    private void GoOn(PendingStart pending, Func<object> step)
    {
        starting.Remove(pending.Request.Profile.Name);
        object answer = AnswerOf(step);
        if (answer is PendingStart)
        {
            return;
        }
        pending.Asker.Tell(answer);
        foreach ((object question, IActorRef asker) in pending.Behind)
        {
            Self.Tell(question, asker);
        }
    }

    private PendingStart Decide(PendingStart pending)
    {
        RequireFree(pending.Request);
        string vm = pending.Request.Profile.Name;
        OwnershipRecord record = pending.Record!;
        foreach ((string node, VmAnswer answer) in pending.Answers)
        {
            if (ReplicaRoles.IsLive(answer.Role))
            {
                throw new NodeRefusedException($"The VM {vm} runs on {node} (generation {answer.Generation}). It is not started a second time, whatever the options.");
            }
            if (answer.Role is ReplicaRole.Backup or ReplicaRole.GoingLive)
            {
                throw new NodeRefusedException($"{node} has the backup of {vm} (generation {answer.Generation}), which goes live by itself when its primary on {record.Node} is gone. "
                    + "Wait for that; it is not started a second time, whatever the options.");
            }
        }
        bool isGuess = record.Node != settings.Name && !pending.Answers.ContainsKey(record.Node);
        if (isGuess && !pending.Request.TakeOver)
        {
            throw new NodeRefusedException($"The arbiter knows {record.Node} as the owner of {vm} (generation {record.Generation}, since {record.TakenAt}), and not that it "
                + $"ended in order; {record.Node} cannot be asked, {SilenceOf(record.Node)}. If it is certain that the VM runs nowhere, start it with --take-over.");
        }
        pending.Note = isGuess
            ? $"; the arbiter knew {record.Node} as its owner (generation {record.Generation}, since {record.TakenAt}), which could not be asked, {SilenceOf(record.Node)}"
            : "";
        return Prove(pending);
    }

    /// <summary>Begins to look whether this host has what the VM needs.</summary>
    private PendingStart Prove(PendingStart pending)
    {
        VmProfile profile = pending.Request.Profile;
        if (pending.Record is { } record && !pending.Request.AcceptOldDisk && record.Node != settings.Name && profile.Disks.Any(disk => disk.Separate))
        {
            throw new NodeRefusedException($"{profile.Name} ran on {record.Node} last (generation {record.Generation}, since {record.TakenAt}), which has the newest images of its disks that are "
                + $"not shared: those of {settings.Name} are older, or may be. Start it on {record.Node}; or here with --accept-old-disk, and what was written since is lost.");
        }
        pending.IsBeingProved = true;
        starting[profile.Name] = pending;
        settings.Devices.ProveStart(profile, (named, refusal) => self.Tell(new StartProved(pending, named, refusal)));
        return pending;
    }

    private void OnStartProved(StartProved proved)
    {
        PendingStart pending = proved.Pending;
        if (starting.GetValueOrDefault(pending.Request.Profile.Name) == pending)
        {
            GoOn(pending, () =>
            {
                RequireFree(pending.Request);
                return proved.Refusal is { } refusal
                    ? throw new NodeRefusedException($"{pending.Request.Profile.Name} cannot start on {settings.Name}: {refusal}")
                    : StartNow(pending, proved.Profile);
            });
        }
    }

    private string SilenceOf(string node) =>
        heard.TryGetValue(node, out TimeSpan last) ? string.Create(CultureInfo.InvariantCulture, $"since it has been silent for {(Now - last).TotalSeconds:0.#} s")
        : peers.ContainsKey(node) ? "since it has not been heard since this node began"
        : "since this node has no such peer";

    /// <summary>The process of the VM begins; who asked for the start is answered when the guest runs, or is refused.</summary>
    private PendingStart StartNow(PendingStart pending, VmProfile profile)
    {
        NodeProtocol.Start request = pending.Request;
        ulong generation = (pending.Record?.Generation ?? 0) + 1;
        var first = new VmCommand.Start(profile, request.Kernel, request.Initrd, generation, request.Backup);
        Begin(profile, default, generation, wantsBackup: request.Backup is not null, first, refusal => GoOn(pending, () => refusal is null
            ? $"{profile.Name} runs on {settings.Name}, generation {generation}{pending.Note}"
            : throw new NodeRefusedException(refusal)));
        pending.HasProcess = true;
        starting[profile.Name] = pending;
        return pending;
    }

    private OwnershipRecord? NewestRecord(string vm) => AtArbiter(vm, () => arbiter.Newest(vm));

    /// <summary>Asks the arbiter's storage. Whatever it throws concerns this VM, and no other.</summary>
    /// <exception cref="NodeRefusedException">It failed.</exception>
    private T AtArbiter<T>(string vm, Func<T> ask)
    {
        try
        {
            return ask();
        }
        catch (Exception failed) when (failed is not OutOfMemoryException)
        {
            throw new NodeRefusedException($"{settings.Name} cannot read the arbiter's records of {vm} in {arbiter.Place} now: {failed.Message}", failed);
        }
    }
}
