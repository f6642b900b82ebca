using System.Globalization;
using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>Starts of VMs. A VM that the arbiter does not know to have ended is asked for on every other node before: one that is there is not started again.</summary>
public sealed partial class NodeActor
{
    /// <summary>A start that waits for what other nodes say of the VM.</summary>
    private sealed class PendingStart(NodeProtocol.Start request, IActorRef asker, OwnershipRecord record, TimeSpan until)
    {
        public NodeProtocol.Start Request { get; } = request;

        public IActorRef Asker { get; } = asker;

        /// <summary>The newest owner that the arbiter knows.</summary>
        public OwnershipRecord Record { get; } = record;

        /// <summary>Who has not answered then counts as out of reach.</summary>
        public TimeSpan Until { get; } = until;

        public SortedDictionary<string, VmAnswer> Answers { get; } = new(StringComparer.Ordinal);

        /// <summary>What was asked of the VM behind the start, and by whom.</summary>
        public List<(object Question, IActorRef Asker)> Behind { get; } = [];
    }

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

    /// <summary>Starts the VM, or begins to ask for it.</summary>
    private object Consider(NodeProtocol.Start request, IActorRef asker)
    {
        RequireFree(request);
        string vm = request.Profile.Name;
        OwnershipRecord? record = NewestRecord(vm);
        if (record is null || AtArbiter(vm, () => arbiter.HasEnded(vm, record.Generation)))
        {
            return StartNow(request, record);
        }
        var pending = new PendingStart(request, asker, record, Now + AskPatience);
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
        foreach (PendingStart pending in starting.Values.ToArray())
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
        if (!peers.ContainsKey(answer.NodeName) || !starting.TryGetValue(answer.Vm, out PendingStart? pending))
        {
            return;
        }
        pending.Answers[answer.NodeName] = answer;
        if (pending.Answers.Count == peers.Count || ReplicaRoles.IsLive(answer.Role))
        {
            Settle(pending);
        }
    }

    /// <summary>Starts the VM or refuses, by what is known now.</summary>
    private void Settle(PendingStart pending)
    {
        starting.Remove(pending.Request.Profile.Name);
        pending.Asker.Tell(AnswerOf(() => Decide(pending)));
        foreach ((object question, IActorRef asker) in pending.Behind)
        {
            Self.Tell(question, asker);
        }
    }

    private string Decide(PendingStart pending)
    {
        RequireFree(pending.Request);
        string vm = pending.Request.Profile.Name;
        OwnershipRecord record = pending.Record;
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
        string started = StartNow(pending.Request, record);
        return isGuess
            ? $"{started}; the arbiter knew {record.Node} as its owner (generation {record.Generation}, since {record.TakenAt}), which could not be asked, {SilenceOf(record.Node)}"
            : started;
    }

    private string SilenceOf(string node) =>
        heard.TryGetValue(node, out TimeSpan last) ? string.Create(CultureInfo.InvariantCulture, $"since it has been silent for {(Now - last).TotalSeconds:0.#} s")
        : peers.ContainsKey(node) ? "since it has not been heard since this node began"
        : "since this node has no such peer";

    /// <summary>What cannot be made is refused before the arbiter is asked, which must know this replica as the owner before it runs.</summary>
    private string StartNow(NodeProtocol.Start request, OwnershipRecord? record)
    {
        VmProfile profile = request.Profile;
        if (record is not null && !request.TakeOver && record.Node != settings.Name && profile.Disks.Any(disk => disk.Separate))
        {
            throw new NodeRefusedException($"{profile.Name} ran on {record.Node} last, and has disks of which each node has its own copy: the copy of {settings.Name} may be older. "
                + $"Start it on {record.Node}; or, if the copy here is known to be the newest, with --take-over.");
        }
        Prepared prepared = Prepare(profile, default, new MachineOptions { Config = profile.Machine, Kernel = request.Kernel, Initrd = request.Initrd }, offer: null, request.Backup);
        ulong generation = (record?.Generation ?? 0) + 1;
        try
        {
            OwnershipVerdict verdict = AtArbiter(profile.Name, () => arbiter.ClaimNow(new OwnershipClaim(Identity(profile.Name), generation)));
            if (verdict != OwnershipVerdict.Owned)
            {
                throw new NodeRefusedException($"The arbiter in {arbiter.Place} did not grant {profile.Name} to this node: {verdict}.");
            }
        }
        catch (NodeRefusedException)
        {
            prepared.Entry.Machine.Release();
            throw;
        }
        prepared.Entry.Generation = generation;
        Begin(prepared, definition => definition with { Generation = generation });
        return $"{profile.Name} runs on {settings.Name}, generation {generation}";
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
