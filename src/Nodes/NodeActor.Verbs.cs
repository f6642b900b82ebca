using System.Collections.Immutable;
using Akka.Actor;
using FtAkka.Nodes.VmProcesses;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>What operators ask of the VMs here. The process of the VM judges and answers; the node says what it has against it as a node.</summary>
public sealed partial class NodeActor
{
    /// <summary>A process that does not answer within this time shows as it was when it last spoke.</summary>
    private static readonly TimeSpan LookPatience = TimeSpan.FromSeconds(1);

    /// <summary>Somebody asked for the replicas, and some of their processes have not answered yet.</summary>
    private sealed class Looking(IActorRef asker, TimeSpan until)
    {
        public IActorRef Asker { get; } = asker;

        public TimeSpan Until { get; } = until;

        public int Missing { get; set; }
    }

    private readonly List<Looking> looks = [];

    private void Protect(NodeProtocol.Protect asked) => AskVm(asked.Vm, asked, VmVerb.Protect, asked.Node, () =>
    {
        RequirePeer(asked.Node);
        RefuseWhileLeaving();
    });

    /// <summary>
    /// Who asks for something right behind "start" is answered when the replica has begun, not refused.
    /// </summary>
    /// <param name="vm">The VM.</param>
    /// <param name="question">The operator's, to be asked again when the VM has begun.</param>
    /// <param name="verb">What is asked.</param>
    /// <param name="node">See <see cref="VmCommand.Ask"/>.</param>
    /// <param name="require">What the node has against it.</param>
    private void AskVm(string vm, object question, VmVerb verb, string? node = null, Action? require = null)
    {
        IActorRef asker = Sender;
        if (starting.TryGetValue(vm, out PendingStart? pending))
        {
            WaitBehind(pending, question, asker);
            return;
        }
        try
        {
            require?.Invoke();
            NodeEntry entry = Live(vm);
            entry.VerbsUnderWay++;
            Ask(entry, number => new VmCommand.Ask(number, verb, node), answer =>
            {
                entry.VerbsUnderWay--;
                asker.Tell(AnswerOf(entry, verb, (VmReport.Answered?)answer));
            });
        }
        catch (NodeRefusedException refused)
        {
            asker.Tell(new NodeProtocol.Refused(refused.Message));
        }
    }

    private object AnswerOf(NodeEntry entry, VmVerb verb, VmReport.Answered? answer)
    {
        if (answer is null)
        {
            return new NodeProtocol.Refused($"The VM {entry.Vm} has ended here meanwhile: {entry.End?.What}");
        }
        if (answer.Wish == BackupWish.Wanted)
        {
            entry.Reprotection.Want();
        }
        else if (answer.Wish == BackupWish.NotWanted)
        {
            entry.Reprotection.Forget();
        }
        return !answer.IsDone ? new NodeProtocol.Refused(answer.Text)
            : verb == VmVerb.Attach ? new NodeProtocol.Attached(new VmConsole(self, entry.Process))
            : new NodeProtocol.Done(answer.Text);
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

    /// <summary>The replica of a VM that may be live: its process knows.</summary>
    /// <exception cref="NodeRefusedException">There is none.</exception>
    private NodeEntry Live(string vm) =>
        entries.TryGetValue(vm, out NodeEntry? entry) && entry is { End: null, HasBegun: true }
            ? entry
            : throw new NodeRefusedException($"The VM {vm} is not live on {settings.Name}.");

    /// <summary>Asks the processes how their replicas stand, and answers when all have said it, or have taken too long.</summary>
    private void List(NodeProtocol.List _)
    {
        var looking = new Looking(Sender, Now + LookPatience);
        looks.Add(looking);
        foreach (NodeEntry entry in entries.Values.Where(entry => entry is { End: null, HasBegun: true }))
        {
            looking.Missing++;
            Ask(entry, number => new VmCommand.Look(number), _ =>
            {
                looking.Missing--;
                AnswerLooks();
            });
        }
        AnswerLooks();
    }

    /// <summary>Looked at with every heartbeat as well.</summary>
    private void AnswerLooks()
    {
        TimeSpan now = Now;
        looks.RemoveAll(looking =>
        {
            bool isDone = looking.Missing == 0 || now >= looking.Until;
            if (isDone)
            {
                looking.Asker.Tell(Replicas());
            }
            return isDone;
        });
    }

    private NodeProtocol.Replicas Replicas() =>
        new([.. entries.Values.Select(entry => new ReplicaLine(settings.Name, entry.Vm, entry.View, entry.End, gaps.Seen))]);

    private void ReadConsole(NodeProtocol.ReadConsole read) => AskConsole(
        read.Process,
        number => new VmCommand.ReadConsole(number, read.From),
        answer => answer is VmReport.ConsoleRead got ? new NodeProtocol.ConsoleRead(got.Offset, got.Bytes, got.IsEnd) : new NodeProtocol.ConsoleRead(read.From, [], IsEnd: true));

    private void TypeConsole(NodeProtocol.TypeConsole typed) => AskConsole(
        typed.Process,
        number => new VmCommand.TypeConsole(number, typed.Bytes),
        answer => new NodeProtocol.ConsoleTyped(answer is not VmReport.ConsoleTyped { IsTaken: false }));

    /// <summary>The console of a replica can be read behind its end.</summary>
    private void AskConsole(IActorRef process, Func<long, VmCommand> question, Func<VmReport.Answer?, object> answer)
    {
        IActorRef asker = Sender;
        if (entries.Values.FirstOrDefault(entry => entry.Process.Equals(process)) is { } entry)
        {
            Ask(entry, question, got => asker.Tell(answer(got)));
        }
        else
        {
            asker.Tell(answer(null));
        }
    }
}
