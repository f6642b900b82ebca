using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;
using FtAkka.Replication.Replay;
using FtAkka.DeterministicSim.Network;

namespace FtAkka.DeterministicSim.Protocol;

/// <summary>A host without actors: it performs the effects of its replica in order, and decides nothing.</summary>
internal sealed partial class ProtocolHost(string name, ProtocolCluster cluster)
{
    private const int QuantumInstructionsMost = 10;

    private readonly Queue<LogEntry> _replay = new();
    private readonly List<InputEvent> _inputs = [];
    private readonly SimulatedRandom _random = SimulatedRandom.Stream(cluster.Seed, $"guest {name}");
    private StopReasons _stop;
    private bool _quiesce;
    private string _peer = "";

    public string Name { get; } = name;

    public long Incarnation { get; private set; } = 1;

    public bool Up { get; private set; } = true;

    /// <summary>The process stands still until then, in ticks.</summary>
    public long PausedUntil { get; set; }

    public ProtocolClock Clock { get; } = new();

    public Replica? Replica { get; private set; }

    public ProtocolGuest? Machine { get; private set; }

    public List<bool> IsOutput { get; private set; } = [];

    public HaltReason? LastHalt { get; private set; }

    public Instant Now => new(Clock.Read(cluster.Time));

    public bool IsLive => Replica is not null && ReplicaRoles.IsLive(Replica.Role);

    /// <summary>It may take over in this generation.</summary>
    public bool IsHeir(ulong generation) => Up && Replica is { Role: ReplicaRole.Backup or ReplicaRole.GoingLive } && Replica.Generation == generation;

    private ReplicaIdentity Identity => new("vm", Name, Incarnation);

    public void StartSolo()
    {
        Machine = new ProtocolGuest();
        cluster.World.Claim(new OwnershipClaim(Identity, 1));
        Replica = Replica.StartSolo(Identity, cluster.Options, 1, default, Now);
        cluster.Note(Name, TimelineKind.Role, "Solo, generation 1");
    }

    public void Crash()
    {
        Up = false;
        Incarnation++;
        Forget();
    }

    public void Restart() => Up = true;

    private void Forget()
    {
        (Replica, Machine, _cloneSender, _cloneReceiver) = (null, null, null, null);
        _replay.Clear();
        _inputs.Clear();
        (_stop, _quiesce, IsOutput, _peer) = (StopReasons.None, false, [], "");
        ForgetDevices();
    }

    public void Step(ReplicaInput input)
    {
        if (Replica is not { } replica)
        {
            return;
        }
        foreach (ReplicaEffect effect in replica.Step(Now, input))
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
        if (Replica is null)
        {
            return;
        }
        if (Machine is not null)
        {
            if (IsLive)
            {
                RunLive();
            }
            else
            {
                RunReplay(cluster.Faults.ReplayEntries);
            }
        }
        Step(new ReplicaInput.Tick());
        StepClone(new CloneSenderInput.Tick(), new CloneReceiverInput.Tick());
        if (Machine?.BadRead is { } bad)
        {
            throw new InvariantException(Invariant.DiskContent, bad);
        }
        CheckBounds();
    }

    private void CheckBounds()
    {
        if (Replica is null)
        {
            return;
        }
        ReplicaStatus status = Replica.Status(Now);
        // What one quantum makes is taken nonetheless, and a machine that stands still goes on recording how its disk requests end.
        int slack = (4 * QuantumInstructionsMost) + Math.Max(ProtocolCluster.PendingMost, _pendingAtStop);
        if (status.LogEntries > cluster.Options.LogEntriesMax + slack || status.HeldOutputs > cluster.Options.OutputsMax + slack || Machine?.Pending.Count > 4096)
        {
            throw new InvariantException(Invariant.Bounded,
                $"{Name} keeps {status.LogEntries} entries, {status.HeldOutputs} outputs, {Machine?.Pending.Count} disk requests");
        }
    }

    private void RunLive()
    {
        bool run = _stop == StopReasons.None && !Machine!.Ended;
        if (run && _random.Below(3) == 0)
        {
            _inputs.Add(new NetReceive(0, [(byte)_random.Below(256)]));
        }
        var entries = new List<LogEntry>();
        int taken = 0;
        while (taken < _inputs.Count && !Machine!.Ended && (run || _inputs[taken] is DiskCompleted))
        {
            InputEvent input = _inputs[taken++];
            Append(entries, new InputPayload(input));
            Machine.Inject(input);
        }
        _inputs.RemoveRange(0, taken);
        List<MachineEffect> effects = run ? Machine!.Run((ulong)_random.Below(QuantumInstructionsMost - 1) + 1) : [];
        NoteOutputs(effects);
        if (effects.Count > 0)
        {
            Append(entries, new OutputMarkPayload(Machine!.Position.LastOutput));
        }
        if (run && _random.Below(4) == 0)
        {
            AppendDigest(entries);
        }
        if (run && Machine!.Ended && !_stop.HasFlag(StopReasons.Ended))
        {
            Append(entries, new EndPayload(MachineExitReason.PowerOff));
        }
        if (entries.Count > 0 || effects.Count > 0)
        {
            if (cluster.Mutation == ProtocolMutation.ReleaseBeforeAck)
            {
                Device(effects.Select((effect, i) => ((ulong)(Machine!.OutputHistory.Count - effects.Count + i + 1), effect)));
            }
            Step(new ReplicaInput.Recorded(entries, effects, Machine!.Icount));
        }
        CheckQuiesced();
    }

    private void AppendDigest(List<LogEntry> entries)
    {
        var digest = Machine!.Digest();
        if (Replica!.Role == ReplicaRole.ProtectedPrimary && cluster.Faults.TakeWrongDigest())
        {
            digest = digest with { Memory = digest.Memory ^ 1 };
            cluster.PlantedDigests.Add((Replica.Generation, Machine.Position.LastLsn.Next.Value));
            cluster.Note(Name, TimelineKind.Fault, $"digest of entry {Machine.Position.LastLsn.Next} is wrong");
        }
        Append(entries, new DigestPayload(digest));
    }

    private void CheckQuiesced()
    {
        if (!_quiesce || Machine is null || DevicesBusy || _inputs.Count > 0)
        {
            return;
        }
        _quiesce = false;
        Step(new ReplicaInput.DisksQuiesced());
    }

    private void Append(List<LogEntry> entries, LogPayload payload)
    {
        Machine!.Position = Machine.Position with { LastLsn = Machine.Position.LastLsn.Next };
        entries.Add(new LogEntry(Machine.Position.LastLsn, Machine.Icount, payload));
    }

    private void NoteOutputs(List<MachineEffect> effects) => IsOutput.AddRange(effects.Select(effect => effect is not DiskRequested));

    /// <summary>Replays at most so many entries.</summary>
    private void RunReplay(int entriesMost)
    {
        if (_stop != StopReasons.None)
        {
            return;
        }
        var effects = new List<MachineEffect>();
        Lsn executed = Machine!.Position.LastLsn;
        Divergence? divergence = null;
        for (int i = 0; i < entriesMost && divergence is null && _replay.TryDequeue(out LogEntry? entry); i++)
        {
            if (entry.Icount < Machine.Icount)
            {
                throw new InvariantException(Invariant.ReplicasAgree, $"entry {entry.Lsn} for icount {entry.Icount} has passed");
            }
            ulong late = cluster.Mutation == ProtocolMutation.OffByOneIcount && entry.Payload is InputPayload && _random.Below(16) == 0 ? 1u : 0;
            List<MachineEffect> made = Machine.Run(entry.Icount + late - Machine.Icount);
            NoteOutputs(made);
            effects.AddRange(made);
            divergence = Deliver(entry);
            executed = entry.Lsn;
            Machine.Position = Machine.Position with { LastLsn = entry.Lsn };
        }
        if (_replay.Count > 0 && entriesMost < ProtocolFaults.ReplayEntriesUsual)
        {
            cluster.Effect(FaultKind.BackupSlow);
        }
        if (divergence is not null)
        {
            Step(new ReplicaInput.Diverged(divergence));
            return;
        }
        if (effects.Count > 0 || executed > Lsn.None)
        {
            Step(new ReplicaInput.Replayed(executed, Machine.Icount, effects));
        }
    }

    /// <summary>Gives an entry to the machine. Only a digest that was planted wrong may differ.</summary>
    private Divergence? Deliver(LogEntry entry)
    {
        switch (entry.Payload)
        {
            case InputPayload input:
                Machine!.Inject(input.Input);
                break;
            case DigestPayload digest:
                bool planted = cluster.PlantedDigests.Contains((Replica!.Generation, entry.Lsn.Value));
                bool differs = digest.Digest != Machine!.Digest() && cluster.Mutation != ProtocolMutation.IgnoredDigest;
                if (differs && planted)
                {
                    cluster.Effect(FaultKind.DigestWrong);
                    return new Divergence(Machine.Icount, entry.Lsn, "the digests differ", digest.Digest, Machine.Digest());
                }
                if (planted)
                {
                    throw new InvariantException(Invariant.DigestSeen, $"{Name} has replayed the wrong digest of entry {entry.Lsn} without seeing it");
                }
                if (differs)
                {
                    throw new InvariantException(Invariant.ReplicasAgree, $"replay diverged at entry {entry.Lsn}");
                }
                break;
            case OutputMarkPayload mark when mark.LastOutput != Machine!.Position.LastOutput:
                throw new InvariantException(Invariant.ReplicasAgree, $"replay made {Machine.Position.LastOutput} outputs, the primary {mark.LastOutput}");
            default:
                break;
        }
        return null;
    }

    public void Receive(string from, IChannelMessage message)
    {
        if (message is CloneOffer offer && Replica is null)
        {
            Machine = null;
            _cloneReceiver = new CloneReceiver(offer, ProtocolCluster.CloneOptions, Now);
            _peer = from;
            Replica = Replica.StartBackup(Identity, cluster.Options, new ChannelSession(offer.Generation, offer.Attempt), offer.Node, Now);
            cluster.Note(Name, TimelineKind.Role, $"BackupSyncing, generation {offer.Generation}");
        }
        if (Replica is null || new ChannelSession(message.Generation, message.Attempt) != Replica.Session)
        {
            // A node that has no such backup says so, unless it hears of an end itself.
            if (message is not ChannelClosed && message is LogAppend or ICloneChunk)
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
        StepClone(new CloneSenderInput.Received(message), new CloneReceiverInput.Received(message));
        Step(new ReplicaInput.Received(message));
    }

    /// <summary>An operator presses a button of the machine.</summary>
    public void Press(ControlOperation button) => _inputs.Add(new Control(button));
}
