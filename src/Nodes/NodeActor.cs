using System.Collections.Immutable;
using System.Globalization;
using Akka.Actor;
using Akka.Event;
using Akka.Remote;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.Cpu.Memory;
using FtAkka.DeviceActors.Consoles;
using FtAkka.DeviceActors.Fencing;
using FtAkka.LogChannelActors;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Machine.Events;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>One for each host: starts VMs, takes offers of copies, keeps the heartbeat with the other nodes, and answers the control API.</summary>
public sealed partial class NodeActor : ReceiveActor, IWithTimers
{
    /// <summary>Name of the actor on every node.</summary>
    public const string Name = "node";

    private sealed record Beat;

    private sealed record BeatAtOnce;

    private sealed record AskedAgain(object Question, IActorRef Asker);

    private sealed record ReplicaEnded(NodeEntry Entry, ReplicaEnd End);

    /// <summary>Console output from before a copy that a new backup gets.</summary>
    private const int HistoryBytesMax = 1 << 20;

    /// <summary>An actor that was made begins within this time, or is looked for again.</summary>
    private static readonly TimeSpan LooksAgain = TimeSpan.FromMilliseconds(2);

    /// <summary>Remoting drops what is sent before it has settled the end of a connection, on the next tick of Akka's scheduler.</summary>
    private static readonly TimeSpan BehindAnEnd = TimeSpan.FromMilliseconds(20);

    private readonly NodeOptions settings;
    private readonly INodeArbiter arbiter;
    private readonly ILoggingAdapter log = Context.GetLogger();
    private readonly SortedDictionary<string, NodeEntry> entries = new(StringComparer.Ordinal);
    private readonly List<IActorRef> peers = [];
    private readonly NodeSenders senders;
    private readonly SortedDictionary<string, Heartbeat> lastBeats = new(StringComparer.Ordinal);
    private ICancelable? beats;
    private readonly HashSet<Address> associated = [];
    private long beatsSent;
    private int replicasMade;

    /// <summary>A node.</summary>
    public NodeActor(NodeOptions settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        this.settings = settings;
        arbiter = settings.Arbiter;
        senders = new NodeSenders(Context.System, settings.SendersProved);
        Receive<Beat>(_ =>
        {
            SendBeat();
            LookAfterReplicas();
        });
        Receive<AssociatedEvent>(OnAssociated);
        Receive<DisassociatedEvent>(OnDisassociated);
        Receive<BeatAtOnce>(_ => SendBeat());
        Receive<Heartbeat>(beat => senders.IsFrom(Sender, beat.NodeName), Hear);
        Receive<CloneOffer>(offer => senders.IsFrom(Sender, offer.Node), Consider);
        Receive<IWireMessage>(message => log.Warning("A {0} of {1} in another node's name is dropped", message.GetType().Name, senders.Describe(Sender)));
        Receive<ReplicaEnded>(OnEnded);
        Receive<Dropped>(OnDropped);
        Receive<ReplicaProtocol.Settled>(OnSettled);
        Receive<AskedAgain>(message => Self.Tell(message.Question, message.Asker));
        Receive<NodeProtocol.Leave>(_ => Leave());
        Receive<NodeProtocol.Start>(message => Answer(() => Start(message)));
        Receive<NodeProtocol.Protect>(message => AnswerOnceBegun(message.Vm, message, () => Protect(message.Vm, message.Node)));
        Receive<NodeProtocol.Unprotect>(message => AnswerOnceBegun(message.Vm, message, () => Unprotect(message.Vm)));
        Receive<NodeProtocol.Failover>(message => AnswerOnceBegun(message.Vm, message, () => FailOver(message.Vm)));
        Receive<NodeProtocol.Operate>(message => AnswerOnceBegun(message.Vm, message, () =>
        {
            Live(message.Vm).Actor!.Tell(new ReplicaProtocol.Operate(message.Operation));
            return $"{message.Vm}: {message.Operation} was sent";
        }));
        Receive<NodeProtocol.List>(_ => Sender.Tell(new NodeProtocol.Replicas(
            [.. entries.Values.Select(entry => new ReplicaLine(settings.Name, entry.Vm, entry.End is null ? entry.Replica?.View : null, entry.End))])));
        Receive<NodeProtocol.Attach>(message => AnswerOnceBegun(message.Vm, message, () => new NodeProtocol.Attached(Live(message.Vm).Console)));
    }

    /// <inheritdoc/>
    public ITimerScheduler Timers { get; set; } = null!;

    /// <summary>Props of a node.</summary>
    public static Props Props(NodeOptions settings) => Akka.Actor.Props.Create(() => new NodeActor(settings));

    /// <summary>A replica whose actor failed is never started again by itself: that would begin its VM anew beside the backup that takes over.</summary>
    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(failure =>
    {
        log.Error(failure, "A replica failed and is silent from now on");
        return Directive.Stop;
    });

    /// <inheritdoc/>
    protected override void PreStart()
    {
        foreach (string peer in settings.Peers.Keys)
        {
            peers.Add(((ExtendedActorSystem)Context.System).Provider.ResolveActorRef(NodePort.RootOf(Context.System, settings, peer)! / "user" / Name));
        }
        TimeSpan interval = settings.Protection.HeartbeatInterval;
        Context.System.EventStream.Subscribe(Self, typeof(AssociatedEvent));
        Context.System.EventStream.Subscribe(Self, typeof(DisassociatedEvent));
        beats = Context.System.Scheduler.ScheduleTellRepeatedlyCancelable(interval, interval, Self, new Beat(), Self);
    }

    /// <inheritdoc/>
    protected override void PostStop() => beats?.Cancel();

    /// <summary>A connection is there: the peer learns at once from the beat's number what was lost between the last one and this.</summary>
    private void OnAssociated(AssociatedEvent told)
    {
        associated.Add(told.RemoteAddress);
        SendBeat();
    }

    /// <summary>
    /// A connection has ended: remoting makes another one when something is sent. What is sent in this very moment would still be lost. An attempt to
    /// connect that has failed ends likewise, and is not followed by another one at once.
    /// </summary>
    private void OnDisassociated(DisassociatedEvent told)
    {
        if (associated.Remove(told.RemoteAddress))
        {
            Timers.StartSingleTimer(told.RemoteAddress, new BeatAtOnce(), BehindAnEnd);
        }
    }

    private void SendBeat()
    {
        var beat = new Heartbeat(settings.Name, settings.Incarnation, ++beatsSent, Context.System.Scheduler.HighResMonotonicClock.Ticks);
        foreach (IActorRef peer in peers)
        {
            peer.Tell(beat);
        }
    }

    private void LookAfterReplicas()
    {
        if (IsLeaving)
        {
            GoOnLeaving();
        }
        else
        {
            Reprotect();
        }
    }

    private void Hear(Heartbeat beat)
    {
        NoteRestart(beat);
        NoteLoss(beat);
        heard[beat.NodeName] = Now;
        foreach (NodeEntry entry in entries.Values)
        {
            entry.Replica?.NodeHeard(beat.NodeName);
        }
    }

    private void NoteRestart(Heartbeat beat)
    {
        if (!lastBeats.TryGetValue(beat.NodeName, out Heartbeat? last) || last.Incarnation == beat.Incarnation)
        {
            return;
        }
        log.Info("{0} was started anew", beat.NodeName);
        foreach (NodeEntry entry in entries.Values)
        {
            entry.Replica?.Restarted(beat.NodeName);
        }
    }

    /// <summary>Heartbeats are numbered and travel with everything else: a gap means that a connection broke and took with it what was under way.</summary>
    private void NoteLoss(Heartbeat beat)
    {
        if (lastBeats.TryGetValue(beat.NodeName, out Heartbeat? last) && last.Incarnation == beat.Incarnation && beat.Sequence > last.Sequence + 1)
        {
            log.Info("{0}: {1} heartbeats were lost, the channel is resumed", beat.NodeName, beat.Sequence - last.Sequence - 1);
            foreach (NodeEntry entry in entries.Values)
            {
                entry.Replica?.Reconnected(beat.NodeName);
            }
        }
        lastBeats[beat.NodeName] = beat;
    }

    /// <summary>
    /// Who asks for something right behind "start" is answered when the replica's actor has begun, not refused; and whatever is asked is judged, and answered, when
    /// the replica has done what was asked before.
    /// </summary>
    private void AnswerOnceBegun(string vm, object question, Func<object> act)
    {
        IActorRef asker = Sender;
        if (!entries.TryGetValue(vm, out NodeEntry? entry) || entry.End is not null)
        {
            asker.Tell(AnswerOf(act));
        }
        else if (entry.Replica is null)
        {
            Timers.StartSingleTimer(new object(), new AskedAgain(question, asker), LooksAgain);
        }
        else
        {
            OnceSettled(entry, () =>
            {
                object answer = AnswerOf(act);
                OnceSettled(entry, () => asker.Tell(answer));
            });
        }
    }

    private static void OnceSettled(NodeEntry entry, Action then)
    {
        if (entry.End is not null)
        {
            then();
            return;
        }
        entry.Waiting.Add(then);
        entry.Actor!.Tell(new ReplicaProtocol.Settle(then));
    }

    private void OnSettled(ReplicaProtocol.Settled message)
    {
        foreach (NodeEntry entry in entries.Values)
        {
            if (entry.Waiting.Remove(message.Then))
            {
                message.Then();
                return;
            }
        }
    }

    private void Answer(Func<object> act) => Sender.Tell(AnswerOf(act));

    private static object AnswerOf(Func<object> act)
    {
        try
        {
            object answer = act();
            return answer is string text ? new NodeProtocol.Done(text) : answer;
        }
        catch (Exception refused) when (refused is NodeRefusedException or IOException or UnauthorizedAccessException)
        {
            return new NodeProtocol.Refused(refused.Message);
        }
    }

    private string Start(NodeProtocol.Start message)
    {
        VmProfile profile = message.Profile;
        RefuseWhileLeaving();
        if (entries.TryGetValue(profile.Name, out NodeEntry? running) && running.End is null)
        {
            throw new NodeRefusedException($"The VM {profile.Name} runs on this node already.");
        }
        if (message.Backup is { } backup)
        {
            RequirePeer(backup);
        }
        ulong generation = TakeGeneration(profile, message.TakeOver);
        Add(profile, default, new MachineOptions
        {
            Config = profile.Machine,
            Kernel = message.Kernel,
            Initrd = message.Initrd,
        }, generation, null, message.Backup);
        return $"{profile.Name} runs on {settings.Name}, generation {generation}";
    }

    /// <summary>The arbiter must know this replica as the owner before it runs.</summary>
    private ulong TakeGeneration(VmProfile profile, bool takeOver)
    {
        string vm = profile.Name;
        OwnershipRecord? newest = arbiter.Newest(vm);
        if (newest is not null && !takeOver && !arbiter.HasEnded(vm, newest.Generation))
        {
            throw new NodeRefusedException($"The arbiter knows {newest.Node} as the owner of {vm} (generation {newest.Generation}, since {newest.TakenAt}), and not that it "
                + "ended in order. If it is certain that it runs nowhere, start it with --take-over.");
        }
        if (newest is not null && !takeOver && newest.Node != settings.Name && profile.Disks.Any(disk => disk.Separate))
        {
            throw new NodeRefusedException($"{vm} ran on {newest.Node} last, and has disks of which each node has its own copy: the copy of {settings.Name} may be older. "
                + $"Start it on {newest.Node}; or, if the copy here is known to be the newest, with --take-over.");
        }
        ulong generation = (newest?.Generation ?? 0) + 1;
        OwnershipVerdict verdict = arbiter.ClaimNow(new OwnershipClaim(Identity(vm), generation));
        return verdict == OwnershipVerdict.Owned
            ? generation
            : throw new NodeRefusedException($"The arbiter in {arbiter.Place} did not grant {vm} to this node: {verdict}.");
    }

    private ReplicaIdentity Identity(string vm) => new(vm, settings.Name, settings.Incarnation);

    private NodeEntry Add(VmProfile profile, ChannelSession session, MachineOptions machine, ulong generation, CloneOffer? offer, string? protectOn = null,
        ImmutableArray<DeviceDefinition> ownDisks = default)
    {
        if (entries.TryGetValue(profile.Name, out NodeEntry? former))
        {
            former.Endpoint?.Dispose();
        }
        var entry = new NodeEntry
        {
            Vm = profile.Name, Console = new ConsoleScrollback(), Session = session, Reprotection = new Reprotection(settings.AutoProtect),
        };
        if (offer is not null || protectOn is not null)
        {
            entry.Reprotection.Want();
        }
        IScheduler scheduler = Context.System.Scheduler;
        IActorRef self = Self;
        var definition = new ReplicaDefinition
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
                Port = new NodePort(Context.System, settings, profile.Name, Self),
                Arbiter = arbiter,
                Clock = () => scheduler.HighResMonotonicClock,
                ConsoleHistory = () => entry.Console.Tail(HistoryBytesMax),
                ConsoleHistoryReceived = (offset, bytes) => entry.Console.Prepend(offset, bytes.AsSpan()),
                KeepEvidence = settings.KeepEvidence,
                Replayed = outputs => Show(entry.Console, outputs),
            },
            Machine = machine,
            DigestInterval = settings.DigestInterval,
            Generation = generation,
            ProtectOn = protectOn,
            Offer = offer,
            OwnDisks = ownDisks.IsDefault ? [] : ownDisks,
            OpenDevices = replica =>
            {
                var fence = new Fence(() => replica.MayAct);
                replica.FenceMoved = fence.Moved;
                return settings.Devices.Open(profile, fence, entry.Console);
            },
            Created = replica => entry.Replica = replica,
            Synced = () => settings.Devices.OwnDisksComplete(profile),
            Dropped = what => self.Tell(new Dropped(entry, what)),
            Ended = end => self.Tell(new ReplicaEnded(entry, end)),
        };
        NodeSenders proved = senders;
        entry.Endpoint = new ReplicaEndpoint(Context.System, profile.Name, (message, sender) =>
        {
            if (entry.Replica is { } replica && (replica.PeerNode is not { } peer || proved.IsFrom(sender, peer)))
            {
                replica.Received(message);
            }
        });
        entry.Actor = Context.ActorOf(ReplicaActor.Props(settings.Adapt(definition)), string.Create(CultureInfo.InvariantCulture, $"{profile.Name}-{++replicasMade}"));
        entries[profile.Name] = entry;
        return entry;
    }

    private static void Show(ConsoleScrollback console, IReadOnlyList<MachineEffect> outputs)
    {
        foreach (ConsoleOutput output in outputs.OfType<ConsoleOutput>().Where(output => output.Console == ConsoleKind.Serial))
        {
            console.Append(output.StreamOffset, output.Bytes.AsSpan());
        }
    }

    /// <summary>Another node offers a copy of a VM.</summary>
    private void Consider(CloneOffer offer)
    {
        var session = new ChannelSession(offer.Generation, offer.Attempt);
        if (entries.TryGetValue(offer.Vm, out NodeEntry? present) && present.End is null)
        {
            if (present.Session == session)
            {
                present.Replica?.Received(offer);
                return;
            }
            Refuse(offer, $"{settings.Name} has a replica of {offer.Vm} already.");
            return;
        }
        string refusal = Check(offer, out VmProfile? profile);
        if (refusal.Length > 0)
        {
            Refuse(offer, refusal);
            return;
        }
        ImmutableArray<DeviceDefinition> ownDisks;
        try
        {
            ownDisks = settings.Devices.OpenOwnDisks(profile!);
        }
        catch (IOException refused)
        {
            Refuse(offer, $"{settings.Name} cannot take its copy of a disk: {refused.Message}");
            return;
        }
        log.Info("{0}: takes a copy from {1}, generation {2}", offer.Vm, offer.Node, offer.Generation);
        Add(profile!, session, new MachineOptions { Config = profile!.Machine, Kernel = default }, 0, offer, ownDisks: ownDisks);
    }

    private string Check(CloneOffer offer, out VmProfile? profile)
    {
        profile = null;
        if (IsLeaving)
        {
            return $"{settings.Name} is stopping.";
        }
        if (!settings.Peers.ContainsKey(offer.Node))
        {
            return $"{settings.Name} does not know the node {offer.Node}: add it to ftakka.node.peers of {settings.Name}.";
        }
        if (offer.LogVersion != LogFrame.Version)
        {
            return $"{settings.Name} speaks version {LogFrame.Version} of the log, {offer.Node} version {offer.LogVersion}: run the same version of FtAkka on both.";
        }
        profile = VmProfile.TryRead(offer.Profile, out string refusal);
        if (profile is null)
        {
            return refusal;
        }
        if (profile.Name != offer.Vm || offer.PageBytes != GuestMemory.PageSizeBytes
            || (ulong)offer.PageCount * (ulong)offer.PageBytes != profile.MemoryBytes)
        {
            return "The offer contradicts its own profile.";
        }
        OwnershipRecord? owner;
        try
        {
            owner = arbiter.Newest(offer.Vm);
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            return $"{settings.Name} cannot read the arbiter's records now: {failed.Message}";
        }
        return owner is not null && owner.Generation == offer.Generation && owner.Node == offer.Node
            ? ""
            : $"By the arbiter in {arbiter.Place}, {offer.Node} does not own generation {offer.Generation} of {offer.Vm}: both nodes must mount the same folder.";
    }

    private void Refuse(CloneOffer offer, string why)
    {
        log.Warning("{0}: refused the copy that {1} offers: {2}", offer.Vm, offer.Node, why);
        new NodePort(Context.System, settings, offer.Vm, Self).Send(offer.Node, new CloneAnswer(offer.Generation, offer.Attempt, why));
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

    private string Unprotect(string vm)
    {
        NodeEntry entry = Live(vm);
        if (entry.View!.Status.Role == ReplicaRole.Solo)
        {
            throw new NodeRefusedException($"The VM {vm} has no backup.");
        }
        entry.Reprotection.Forget();
        entry.Replica!.Unprotect();
        return $"{vm} goes on without a backup";
    }

    private string FailOver(string vm)
    {
        NodeEntry entry = Live(vm);
        if (!entry.View!.Status.CanTakeOver)
        {
            throw new NodeRefusedException($"The VM {vm} has no backup that could take over: let 'ftakka vm protect' make one, and wait until 'ftakka vm status' says protected.");
        }
        entry.Replica!.PlannedFailover();
        return $"{vm} hands over to its backup on {entry.View!.Status.Peer}";
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

    private void OnEnded(ReplicaEnded message)
    {
        message.Entry.End = message.End;
        // Nobody will say any more that it has done something.
        Action[] waiting = [.. message.Entry.Waiting];
        message.Entry.Waiting.Clear();
        Array.ForEach(waiting, then => then());
        message.Entry.Endpoint?.Dispose();
        message.Entry.Endpoint = null;
        message.Entry.Console.Close();
        log.Info("{0}: the replica is closed: {1}", message.Entry.Vm, message.End.What);
        if (message.End.Reason == HaltReason.MachineEnded || message.Entry.SwitchedOff)
        {
            try
            {
                arbiter.NoteEnd(message.Entry.Vm, message.End.Generation);
            }
            catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
            {
                log.Warning("{0}: its end cannot be noted with the arbiter: {1}", message.Entry.Vm, failed.Message);
            }
        }
        if (IsLeaving)
        {
            GoOnLeaving();
        }
    }
}
