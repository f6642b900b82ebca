using System.Globalization;
using Akka.Actor;
using Akka.Event;
using FtAkka.Actors.Machines;
using FtAkka.DeviceActors.Consoles;
using FtAkka.DeviceActors.Fencing;
using FtAkka.LogChannelActors;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Machine.Events;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>The replicas of this node: made, and their ends.</summary>
public sealed partial class NodeActor
{
    private sealed record ReplicaEnded(NodeEntry Entry, ReplicaEnd End);

    private sealed record NeverBegan(IActorRef Replica, string Why);

    /// <summary>A replica whose machine has been made, and whose actor has not.</summary>
    private sealed record Prepared(NodeEntry Entry, ReplicaDefinition Definition);

    /// <summary>Console output from before a copy that a new backup gets.</summary>
    private const int HistoryBytesMax = 1 << 20;

    private readonly IActorRef self = Context.Self;

    private ReplicaIdentity Identity(string vm) => new(vm, settings.Name, settings.Incarnation);

    /// <summary>Makes the machine of a replica: nothing is promised before there is one.</summary>
    /// <exception cref="NodeRefusedException">There is no room for it, or it cannot be made here.</exception>
    private Prepared Prepare(VmProfile profile, ChannelSession session, MachineOptions machine, CloneOffer? offer, string? protectOn = null)
    {
        RequireMemory(profile);
        var entry = new NodeEntry
        {
            Vm = profile.Name,
            Profile = profile,
            NextProof = Now + settings.ProofInterval,
            Console = new ConsoleScrollback(),
            Session = session,
            Reprotection = new Reprotection(settings.AutoProtect),
            Machine = new PreparedMachine(),
        };
        ReplicaDefinition definition = settings.Adapt(Define(entry, profile, machine, isOffered: offer is not null) with { ProtectOn = protectOn, Offer = offer });
        try
        {
            entry.Machine.Make(definition.Machine);
        }
        // Whatever it is that the host does not have for it, this VM is not made, and the others go on.
        catch (Exception cannot) when (cannot is not NodeRefusedException)
        {
            throw new NodeRefusedException($"The machine of {profile.Name} cannot be made on {settings.Name}: {cannot.Message}", cannot);
        }
        return new Prepared(entry, definition with { Machine = definition.Machine with { CreateMachine = _ => entry.Machine.Take() } });
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

    /// <summary>The actor of a replica begins.</summary>
    /// <param name="prepared">The replica.</param>
    /// <param name="complete">Adds what was not known before.</param>
    private void Begin(Prepared prepared, Func<ReplicaDefinition, ReplicaDefinition> complete)
    {
        NodeEntry entry = prepared.Entry;
        if (entries.TryGetValue(entry.Vm, out NodeEntry? former))
        {
            former.Endpoint?.Dispose();
        }
        if (prepared.Definition.Offer is not null || prepared.Definition.ProtectOn is not null)
        {
            entry.Reprotection.Want();
        }
        NodeSenders proved = senders;
        entry.Endpoint = new ReplicaEndpoint(Context.System, entry.Vm, (message, sender) =>
        {
            if (entry.Replica is { } replica && (replica.PeerNode is not { } peer || proved.IsFrom(sender, peer)))
            {
                replica.Received(message);
            }
        });
        entry.Actor = Context.ActorOf(ReplicaActor.Props(complete(prepared.Definition)), string.Create(CultureInfo.InvariantCulture, $"{entry.Vm}-{++replicasMade}"));
        entries[entry.Vm] = entry;
    }

    private ReplicaDefinition Define(NodeEntry entry, VmProfile profile, MachineOptions machine, bool isOffered)
    {
        IScheduler scheduler = Context.System.Scheduler;
        return new ReplicaDefinition
        {
            Shell = new ReplicaShellOptions
            {
                Setup = new ReplicaSetup
                {
                    Id = Identity(profile.Name),
                    Protection = settings.Protection with { Disks = profile.ProtectedDisks },
                    Profile = profile.Write(),
                    CloneLimits = settings.CloneLimits,
                    EvidenceLogBytes = settings.EvidenceLogBytes,
                },
                Port = new NodePort(Context.System, settings, profile.Name, self),
                Arbiter = arbiter,
                Clock = () => scheduler.HighResMonotonicClock,
                ConsoleHistory = () => entry.Console.Tail(HistoryBytesMax),
                ConsoleHistoryReceived = (offset, bytes) => entry.Console.Prepend(offset, bytes.AsSpan()),
                KeepEvidence = settings.KeepEvidence,
                Replayed = outputs => Show(entry.Console, outputs),
            },
            Machine = machine,
            DigestInterval = settings.DigestInterval,
            OpenDevices = replica =>
            {
                if (isOffered)
                {
                    settings.Devices.Admit(profile);
                }
                var fence = new Fence(() => replica.MayAct);
                replica.FenceMoved = fence.Moved;
                return settings.Devices.Open(profile, replica.View.Status.Generation, fence, entry.Console);
            },
            Created = replica => entry.Replica = replica,
            Synced = () => settings.Devices.OwnDisksComplete(profile, entry.Session.Generation),
            Dropped = what => self.Tell(new Dropped(entry, what)),
            Ended = end =>
            {
                entry.Machine.Release();
                self.Tell(new ReplicaEnded(entry, end));
            },
        };
    }

    private static void Show(ConsoleScrollback console, IReadOnlyList<MachineEffect> outputs)
    {
        foreach (ConsoleOutput output in outputs.OfType<ConsoleOutput>().Where(output => output.Console == ConsoleKind.Serial))
        {
            console.Append(output.StreamOffset, output.Bytes.AsSpan());
        }
    }

    private void OnEnded(ReplicaEnded message)
    {
        Close(message.Entry, message.End);
        if (message.End.Reason == HaltReason.MachineEnded || message.Entry.SwitchedOff)
        {
            NoteEnd(message.Entry.Vm, message.End.Generation);
        }
        if (IsLeaving)
        {
            GoOnLeaving();
        }
    }

    /// <summary>The replica's actor could not even be made: there is nothing to see of it, and its VM has run nowhere.</summary>
    private void OnNeverBegan(NeverBegan message)
    {
        if (entries.Values.FirstOrDefault(entry => message.Replica.Equals(entry.Actor)) is not { Replica: null, End: null } entry)
        {
            return;
        }
        entry.Machine.Release();
        Close(entry, new ReplicaEnd(null, 0, $"could not begin: {message.Why}"));
        entries.Remove(entry.Vm);
        if (entry.Generation > 0)
        {
            NoteEnd(entry.Vm, entry.Generation);
        }
    }

    private void Close(NodeEntry entry, ReplicaEnd end)
    {
        entry.End = end;
        // Nobody will say any more that it has done something.
        Action[] waiting = [.. entry.Waiting];
        entry.Waiting.Clear();
        Array.ForEach(waiting, then => then());
        AnswerWhatIsDone();
        entry.Endpoint?.Dispose();
        entry.Endpoint = null;
        entry.Console.Close();
        log.Info("{0}: the replica is closed: {1}", entry.Vm, end.What);
    }

    private void NoteEnd(string vm, ulong generation)
    {
        try
        {
            arbiter.NoteEnd(vm, generation);
        }
        catch (Exception failed) when (failed is not OutOfMemoryException)
        {
            log.Warning("{0}: its end cannot be noted with the arbiter: {1}", vm, failed.Message);
        }
    }
}
