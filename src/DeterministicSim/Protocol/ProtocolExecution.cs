using FtAkka.DeterministicSim.Network;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Replication.Log;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;
using FtAkka.Replication.Replay;

namespace FtAkka.DeterministicSim.Protocol;

/// <summary>Executes the machine of one host, live and recorded, or in replay.</summary>
internal sealed class ProtocolExecution(ProtocolHost host, ProtocolCluster cluster, SimulatedRandom random)
{
    public const int QuantumInstructionsMost = 10;

    private readonly Queue<LogEntry> _replay = new();
    private readonly List<InputEvent> _inputs = [];
    private List<bool> _mustLeave = [];
    private StopReasons _stop;
    private bool _runsLive;
    private bool _replays;
    private bool _flush;

    public ProtocolGuest Machine { get; } = new();

    /// <summary>Disk requests under way when the machine was stopped: how they end is recorded all the same.</summary>
    public int PendingAtStop { get; private set; }

    public IReadOnlyList<bool> MustLeave => _mustLeave;

    /// <summary>Runs for a quantum.</summary>
    public void Run()
    {
        if (_runsLive)
        {
            RunLive();
        }
        else if (_replays)
        {
            RunReplay(cluster.Faults.ReplayEntries);
        }
    }

    /// <summary>The machine executes for the outside from now on.</summary>
    public void StartLive() => _runsLive = true;

    /// <summary>The machine replays, from a position that it must be at; null: it replays no longer.</summary>
    public void Replay(LogPosition? from)
    {
        _replays = from is not null;
        if (from is { } position)
        {
            CheckPosition(position);
        }
    }

    /// <summary>The next quantum records everything that the machine was given, though it may not execute.</summary>
    public void FlushSoon() => _flush = true;

    /// <summary>The machine is given an input.</summary>
    public void Deliver(InputEvent input) => _inputs.Add(input);

    public void SetPace(StopReasons stop)
    {
        if (_stop == StopReasons.None)
        {
            PendingAtStop = stop == StopReasons.None ? 0 : Machine.Pending.Count;
        }
        _stop = stop;
        if (stop != StopReasons.None)
        {
            cluster.Count($"stop {stop}");
            if ((stop & (StopReasons.LogFull | StopReasons.OutputsFull)) != 0 && cluster.Faults.BuffersAreSmall)
            {
                cluster.Effect(FaultKind.LogBufferFull);
            }
        }
    }

    /// <summary>Entries for replay.</summary>
    public void Feed(IReadOnlyList<LogEntry> entries)
    {
        foreach (LogEntry entry in entries)
        {
            if (cluster.Mutation != ProtocolMutation.LostEntry || entry.Payload is not InputPayload || random.Below(64) != 0)
            {
                _replay.Enqueue(entry);
            }
        }
    }

    /// <summary>The machine is where the replica's core believes that it is, and has replayed everything.</summary>
    public void CheckPosition(LogPosition position)
    {
        if (position != Machine.Position || _replay.Count > 0)
        {
            throw new InvariantException(Invariant.LogDrained, $"{host.Name} is at {Machine.Position}, not at {position}, with {_replay.Count} entries left");
        }
    }

    /// <summary>Reads something for a copy, which takes a while.</summary>
    public void ReadCopy(CloneSenderEffect.Work work, Action<CloneSenderInput> answer)
    {
        switch (work)
        {
            case CloneSenderEffect.StartDirtyLog:
                Machine.CollectDirty();
                break;
            case CloneSenderEffect.ReadPages read:
                cluster.Moment(NamedMoment.CloneRound, host);
                host.Later(() => answer(new CloneSenderInput.PagesRead([.. read.Pages.Select(Machine.Page)])));
                break;
            case CloneSenderEffect.CollectDirty:
                host.Later(() => answer(new CloneSenderInput.DirtyCollected(Machine.CollectDirty())));
                break;
            case CloneSenderEffect.PauseAndCapture pause:
                cluster.Moment(NamedMoment.FinalSwitch, host);
                host.Later(() =>
                {
                    answer(new CloneSenderInput.Captured(Capture(pause.AlsoPages)));
                    cluster.Moment(NamedMoment.FinalSwitch, host);
                });
                break;
            default:
                throw new InvalidOperationException($"This machine has no separate disk, and nobody performs {work}.");
        }
    }

    /// <summary>The final copy.</summary>
    private FinalCapture Capture(IReadOnlyList<long> also)
    {
        var pages = also.Union(Machine.CollectDirty()).Select(Machine.Page).ToList();
        cluster.Snapshots[Machine.Icount] = new ProtocolSnapshot(Machine, Machine.OutputHistory.Count, [.. Machine.Pending], [.. _mustLeave]);
        return new FinalCapture(Machine.Position, Machine.SaveState(), pages, Machine.Digest());
    }

    /// <summary>Restores what was copied; what is no guest state comes from beside.</summary>
    public void Restore(CloneReceiverEffect.Restore restore)
    {
        ProtocolSnapshot snapshot = cluster.Snapshots[restore.Icount];
        Machine.RestoreState(restore.State, restore.Icount, restore.Position, snapshot.Machine, snapshot.Outputs);
        Machine.RestorePending(snapshot.Pending);
        _mustLeave = [.. snapshot.MustLeave];
    }

    private void RunLive()
    {
        bool run = _stop == StopReasons.None && !Machine.Ended;
        if (run && random.Below(3) == 0)
        {
            _inputs.Add(new NetReceive(0, [(byte)random.Below(256)]));
        }
        var entries = new List<LogEntry>();
        int taken = 0;
        while (taken < _inputs.Count && !Machine.Ended && (run || _flush || _inputs[taken] is DiskCompleted))
        {
            InputEvent input = _inputs[taken++];
            Append(entries, new InputPayload(input));
            Machine.Inject(input);
        }
        _inputs.RemoveRange(0, taken);
        List<MachineEffect> effects = run ? Machine.Run((ulong)random.Below(QuantumInstructionsMost - 1) + 1) : [];
        NoteOutputs(effects);
        if (effects.Count > 0)
        {
            Append(entries, new OutputMarkPayload(Machine.Position.LastOutput));
        }
        if (run && random.Below(4) == 0)
        {
            AppendDigest(entries);
        }
        if ((run || _flush) && Machine.Ended && !_stop.HasFlag(StopReasons.Ended))
        {
            Append(entries, new EndPayload(MachineExitReason.PowerOff));
        }
        if (entries.Count > 0 || effects.Count > 0)
        {
            if (cluster.Mutation == ProtocolMutation.ReleaseBeforeAck)
            {
                host.ReleaseTooEarly(effects.Select((effect, i) => ((ulong)(Machine.OutputHistory.Count - effects.Count + i + 1), effect)));
            }
            host.Step(new ReplicaInput.Recorded(entries, effects, Machine.Icount));
        }
        if (_flush)
        {
            _flush = false;
            host.Step(new ReplicaInput.Flushed());
        }
    }

    private void AppendDigest(List<LogEntry> entries)
    {
        var digest = Machine.Digest();
        if (host.Replica!.Role == ReplicaRole.ProtectedPrimary && cluster.Faults.TakeWrongDigest())
        {
            digest = digest with { Memory = digest.Memory ^ 1 };
            cluster.PlantedDigests.Add((host.Replica.Generation, Machine.Position.LastLsn.Next.Value));
            cluster.Note(host.Name, TimelineKind.Fault, $"digest of entry {Machine.Position.LastLsn.Next} is wrong");
        }
        Append(entries, new DigestPayload(digest));
    }

    private void Append(List<LogEntry> entries, LogPayload payload)
    {
        Machine.Position = Machine.Position with { LastLsn = Machine.Position.LastLsn.Next };
        entries.Add(new LogEntry(Machine.Position.LastLsn, Machine.Icount, payload));
    }

    private void NoteOutputs(List<MachineEffect> effects) => _mustLeave.AddRange(effects.Select(effect => effect is ConsoleOutput));

    /// <summary>Replays at most so many entries.</summary>
    private void RunReplay(int entriesMost)
    {
        if (_stop != StopReasons.None)
        {
            return;
        }
        var effects = new List<MachineEffect>();
        Lsn executed = Machine.Position.LastLsn;
        Divergence? divergence = null;
        for (int i = 0; i < entriesMost && divergence is null && _replay.TryDequeue(out LogEntry? entry); i++)
        {
            if (entry.Icount < Machine.Icount)
            {
                throw new InvariantException(Invariant.ReplicasAgree, $"entry {entry.Lsn} for icount {entry.Icount} has passed");
            }
            ulong late = cluster.Mutation == ProtocolMutation.OffByOneIcount && entry.Payload is InputPayload && random.Below(16) == 0 ? 1u : 0;
            List<MachineEffect> made = Machine.Run(entry.Icount + late - Machine.Icount);
            NoteOutputs(made);
            effects.AddRange(made);
            divergence = Replay(entry);
            executed = entry.Lsn;
            Machine.Position = Machine.Position with { LastLsn = entry.Lsn };
        }
        if (_replay.Count > 0 && entriesMost < ProtocolFaults.ReplayEntriesUsual)
        {
            cluster.Effect(FaultKind.BackupSlow);
        }
        if (divergence is not null)
        {
            host.Step(new ReplicaInput.Diverged(divergence, new StateWitness(Machine.Icount, [], [])));
            return;
        }
        if (effects.Count > 0 || executed > Lsn.None)
        {
            host.Step(new ReplicaInput.Replayed(executed, Machine.Icount, effects));
        }
    }

    /// <summary>Gives an entry to the machine. Only a digest that was planted wrong may differ.</summary>
    private Divergence? Replay(LogEntry entry)
    {
        switch (entry.Payload)
        {
            case InputPayload input:
                Machine.Inject(input.Input);
                break;
            case DigestPayload digest:
                bool planted = cluster.PlantedDigests.Contains((host.Replica!.Generation, entry.Lsn.Value));
                bool differs = digest.Digest != Machine.Digest() && cluster.Mutation != ProtocolMutation.IgnoredDigest;
                if (differs && planted)
                {
                    cluster.Effect(FaultKind.DigestWrong);
                    return new Divergence(Machine.Icount, entry.Lsn, "the digests differ", digest.Digest, Machine.Digest());
                }
                if (planted)
                {
                    throw new InvariantException(Invariant.DigestSeen, $"{host.Name} has replayed the wrong digest of entry {entry.Lsn} without seeing it");
                }
                if (differs)
                {
                    throw new InvariantException(Invariant.ReplicasAgree, $"replay diverged at entry {entry.Lsn}");
                }
                break;
            case OutputMarkPayload mark when mark.LastOutput != Machine.Position.LastOutput:
                throw new InvariantException(Invariant.ReplicasAgree, $"replay made {Machine.Position.LastOutput} outputs, the primary {mark.LastOutput}");
            default:
                break;
        }
        return null;
    }
}
