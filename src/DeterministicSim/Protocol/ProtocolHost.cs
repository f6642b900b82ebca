using FtAkka.DeterministicSim.Contract;
using FtAkka.DeterministicSim.Network;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;

namespace FtAkka.DeterministicSim.Protocol;

/// <summary>A host without actors: it performs the effects of its replica in order, and decides nothing.</summary>
internal sealed class ProtocolHost(string name, ProtocolCluster cluster)
{
    private const int WorkTicksMost = 30_000;

    private readonly SimulatedRandom _random = SimulatedRandom.Stream(cluster.Seed, $"guest {name}");
    private ProtocolDevices? _devices;
    private ProtocolExecution? _execution;
    private PerformerContract _contract = new();
    private bool _goingLive;
    private bool _marksArrived;

    public string Name { get; } = name;

    public long Incarnation { get; private set; } = 1;

    public bool Up { get; private set; } = true;

    /// <summary>The process stands still until then, in ticks.</summary>
    public long PausedUntil { get; set; }

    public ProtocolClock Clock { get; } = new();

    public ReplicaCore? Replica { get; private set; }

    public ProtocolGuest? Machine => _execution?.Machine;

    /// <summary>For each output that the machine has made: whether it may not get lost. The network may lose frames, and disk requests are issued again.</summary>
    public IReadOnlyList<bool> MustLeave => _execution?.MustLeave ?? [];

    public HaltReason? LastHalt { get; private set; }

    public Instant Now => new(Clock.Read(cluster.Time));

    public bool IsLive => Replica is not null && ReplicaRoles.IsLive(Replica.Role);

    public ReplicaIdentity Identity => new("vm", Name, Incarnation);

    /// <summary>It may take over in this generation.</summary>
    public bool IsHeir(ulong generation) => Up && Replica is { Role: ReplicaRole.Backup or ReplicaRole.GoingLive } && Replica.Generation == generation;

    private ReplicaSetup Setup => new()
    {
        Id = Identity,
        Protection = cluster.Options,
        CloneLimits = ProtocolCluster.CloneOptions,
        Profile = "protocol",
        PageBytes = ProtocolGuest.PageBytes,
    };

    public void StartSolo()
    {
        cluster.World.Claim(new OwnershipClaim(Identity, 1));
        Begin(ReplicaCore.StartSolo(Setup, 1, default, Now), "Solo, generation 1");
    }

    public void Crash()
    {
        Up = false;
        Incarnation++;
        Forget();
    }

    public void Restart() => Up = true;

    private void Begin(ReplicaCore replica, string what)
    {
        (Replica, HasFailed) = (replica, false);
        _execution = new ProtocolExecution(this, cluster, _random);
        _devices = new ProtocolDevices(this, cluster, _random);
        _contract = new PerformerContract();
        cluster.Note(Name, TimelineKind.Role, what);
        Step(new ReplicaInput.Begin());
    }

    private void Forget() => (Replica, _execution, _devices, _goingLive, _marksArrived) = (null, null, null, false, false);

    /// <summary>Its replica failed by a mistake of the monitor, and no other was made here since.</summary>
    public bool HasFailed { get; private set; }

    /// <summary>It has a replica whose failure must not lose the VM.</summary>
    public bool MayFail => Up && Replica is { Role: ReplicaRole.ProtectedPrimary or ReplicaRole.Backup or ReplicaRole.BackupSyncing };

    /// <summary>The monitor makes a mistake. As the product's performer does then, the replica ends, and its peer is told nothing.</summary>
    public void Fail()
    {
        HasFailed = true;
        Step(new ReplicaInput.HostFailed("a planted mistake"));
    }

    public void Step(ReplicaInput input)
    {
        if (Replica is not { } replica)
        {
            return;
        }
        IReadOnlyList<ReplicaEffect> effects = replica.Step(Now, input);
        if (_contract.Stepped(input, effects) is { } broken)
        {
            throw new InvariantException(Invariant.PerformerContract, $"{Name}: {broken}");
        }
        foreach (ReplicaEffect effect in effects)
        {
            if (!ReferenceEquals(replica, Replica))
            {
                return;
            }
            Perform(effect);
        }
    }

    /// <summary>The machine runs for a quantum, live or in replay.</summary>
    public void Quantum()
    {
        _execution?.Run();
        Step(new ReplicaInput.Tick());
        if (Machine?.BadRead is { } bad)
        {
            throw new InvariantException(Invariant.DiskContent, bad);
        }
        CheckBounds();
    }

    private void CheckBounds()
    {
        if (Replica is null || _execution is not { } execution)
        {
            return;
        }
        ReplicaStatus status = Replica.Status(Now);
        // What one quantum makes is taken nonetheless, and a machine that stands still goes on recording how its disk requests end.
        int slack = (4 * ProtocolExecution.QuantumInstructionsMost) + Math.Max(ProtocolCluster.PendingMost, execution.PendingAtStop);
        if (status.LogEntries > cluster.Options.LogEntriesMax + slack || status.HeldOutputs > cluster.Options.OutputsMax + slack || execution.Machine.Pending.Count > 4096)
        {
            throw new InvariantException(Invariant.Bounded,
                $"{Name} keeps {status.LogEntries} entries, {status.HeldOutputs} outputs, {execution.Machine.Pending.Count} disk requests");
        }
    }

    public void Receive(string from, IChannelMessage message)
    {
        if (message is CloneOffer offer && Replica is null)
        {
            Begin(ReplicaCore.StartBackup(Setup, offer, Now), $"BackupSyncing, generation {offer.Generation}");
            return;
        }
        if (Replica is null || new ChannelSession(message.Generation, message.Attempt) != Replica.Session)
        {
            // A node that has no such backup says so, unless it hears of an end itself.
            if (message is LogAppend or ICloneChunk)
            {
                cluster.Network.Send(this, from, new ChannelClosed(message.Generation, message.Attempt, ChannelCloseReason.Gone, "no such backup here"));
            }
            return;
        }
        if (cluster.Mutation == ProtocolMutation.LeaseFromReceipt && message is LogAck ack)
        {
            message = ack with { LeaseTicks = Now.Ticks };
        }
        _marksArrived |= message is LogAppend { Frames.Length: > 0 };
        Step(new ReplicaInput.Received(message));
    }

    /// <summary>An operator presses a button of the machine.</summary>
    public void Press(ControlOperation button) => _execution?.Deliver(new Control(button));

    /// <summary>A disk has ended a request of the live machine.</summary>
    public void DiskEnded(DiskCompletion completion)
    {
        Step(new ReplicaInput.DiskRequestEnded(0, completion.Id, completion.Status));
        _execution?.Deliver(new DiskCompleted(0, completion));
    }

    /// <summary>Outputs leave before their acknowledgement: a planted mistake.</summary>
    public void ReleaseTooEarly(IEnumerable<(ulong Number, MachineEffect Effect)> outputs) => _devices!.Take(outputs);

    private void Perform(ReplicaEffect effect)
    {
        switch (effect)
        {
            case ReplicaEffect.Send send:
                Send(send.Node, send.Message);
                break;
            case ReplicaEffect.AskArbiter ask:
                cluster.Ask(this, ask.Attempt, claims: true, () => cluster.World.Claim(ask.Claim));
                break;
            case ReplicaEffect.CheckOwnership check:
                cluster.Ask(this, check.Attempt, claims: false, () => cluster.World.Check(check.Claim));
                break;
            case ReplicaEffect.SetPace when cluster.Mutation == ProtocolMutation.LastingHold && Replica!.Role == ReplicaRole.GoingLive:
                break;
            case ReplicaEffect.SetPace pace:
                _execution!.SetPace(pace.Stop);
                break;
            case ReplicaEffect.RoleChanged role:
                RoleChanged(role);
                break;
            case ReplicaEffect.ReportStatus report:
                cluster.Note(Name, TimelineKind.Log, report.What);
                break;
            case ReplicaEffect.HaltReplica halt:
                Halt(halt);
                break;
            // Devices look at the core's fence themselves; there is no console to keep a history of, and nobody to read evidence or to place a new backup.
            case ReplicaEffect.FenceChanged or ReplicaEffect.SendConsoleHistory or ReplicaEffect.KeepConsoleHistory or ReplicaEffect.KeepEvidence or ReplicaEffect.DropBackup:
                break;
            default:
                PerformLive(effect);
                break;
        }
    }

    private void PerformLive(ReplicaEffect effect)
    {
        switch (effect)
        {
            case ReplicaEffect.OpenDevices open:
                _execution!.CheckPosition(open.Position);
                Later(() => Step(new ReplicaInput.MachineReady(new MachineDevices([0], [ConsoleKind.Serial]), ProtocolGuest.PageCount)));
                break;
            case ReplicaEffect.Announce:
                _goingLive = true;
                break;
            case ReplicaEffect.Reissue reissue:
                cluster.Moment(NamedMoment.Reissue, this);
                if (cluster.Mutation != ProtocolMutation.SkippedReissue)
                {
                    _devices!.Take(reissue.Requests.Select(pending => (0ul, (MachineEffect)new DiskRequested(0, pending.Disk, pending.Request))));
                }
                break;
            case ReplicaEffect.Release when cluster.Mutation == ProtocolMutation.SkippedResend && _goingLive:
                break;
            case ReplicaEffect.Release release:
                _devices!.Take(release.Outputs.Select(output => (output.Number, output.Effect)));
                break;
            case ReplicaEffect.Run run:
                _goingLive = false;
                cluster.Note(Name, TimelineKind.Role, $"live, generation {run.Generation}, icount {Machine!.Icount}");
                cluster.World.CheckSurvivor(Machine);
                _execution!.StartLive();
                break;
            case ReplicaEffect.Flush:
                _execution!.FlushSoon();
                break;
            case ReplicaEffect.ReadCopy read:
                _execution!.ReadCopy(read.Work, result => Step(new ReplicaInput.CopyRead(read.Session, result)));
                break;
            case ReplicaEffect.EndCopy:
                break;
            default:
                PerformBackup(effect);
                break;
        }
    }

    private void PerformBackup(ReplicaEffect effect)
    {
        switch (effect)
        {
            case ReplicaEffect.WriteCopy { Work: CloneReceiverEffect.WritePages write }:
                Machine!.WritePages(write.Pages);
                break;
            case ReplicaEffect.WriteCopy { Work: CloneReceiverEffect.Restore restore }:
                _execution!.Restore(restore);
                Later(() => Step(new ReplicaInput.CopyWritten(new CloneReceiverInput.Restored(Machine!.Digest()))));
                break;
            case ReplicaEffect.StartReplay start:
                _execution!.Replay(start.Position);
                break;
            case ReplicaEffect.FeedReplay feed:
                _execution!.Feed(feed.Entries);
                break;
            case ReplicaEffect.StopReplay:
                _execution!.Replay(from: null);
                Later(() => Step(new ReplicaInput.ReplayStopped([.. Machine!.Pending.Values.Select(request => new PendingRequest(0, request))])));
                break;
            default:
                throw new InvalidOperationException($"Nobody performs {effect}.");
        }
    }

    private void Send(string node, IChannelMessage message)
    {
        if (cluster.Mutation == ProtocolMutation.WatermarkAhead && message is LogAppend append)
        {
            message = append with { ReleasedOutput = Machine!.Position.LastOutput };
        }
        cluster.Network.Send(this, node, message);
        if (message is LogAck && _marksArrived && Replica!.Role is ReplicaRole.Backup)
        {
            _marksArrived = false;
            cluster.Moment(NamedMoment.BetweenAckAndRelease, this);
        }
    }

    private void RoleChanged(ReplicaEffect.RoleChanged role)
    {
        cluster.Count($"{role.From} -> {role.To}");
        cluster.Note(Name, TimelineKind.Role, $"{role.To}, generation {role.Generation}");
        switch (role)
        {
            case { To: ReplicaRole.GoingLive }:
                cluster.Moment(NamedMoment.Drain, this);
                break;
            case { To: ReplicaRole.CloningPrimary, Generation: > 1 }:
                cluster.Moment(NamedMoment.Reprotection, this);
                break;
            case { From: ReplicaRole.CloningPrimary, To: ReplicaRole.Solo }:
                cluster.Count("clone failed");
                break;
            default:
                break;
        }
    }

    private void Halt(ReplicaEffect.HaltReplica halt)
    {
        LastHalt = halt.Reason;
        cluster.Count($"halt {halt.Reason}");
        cluster.Note(Name, TimelineKind.Role, $"halted: {halt.Reason}");
        if (halt.Reason == HaltReason.MachineEnded)
        {
            cluster.MachineEnded = true;
        }
        Forget();
        cluster.Halted(this, halt.Reason);
    }

    /// <summary>Runs on this host after a while, unless it has crashed, or its replica ended, before.</summary>
    public void Later(Action action)
    {
        ReplicaCore? replica = Replica;
        cluster.Schedule(this, _random.Below(WorkTicksMost) + 1, () =>
        {
            if (ReferenceEquals(replica, Replica))
            {
                action();
            }
        });
    }
}
