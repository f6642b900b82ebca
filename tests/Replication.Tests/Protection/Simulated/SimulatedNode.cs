using System.Collections.Immutable;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Tests.Protection.Simulated;

/// <summary>A host: what the actors will be, without actors. Performs effects in order; decides nothing.</summary>
internal sealed class SimulatedNode(string name, SimulatedPair pair)
{
    private readonly Queue<LogEntry> _replay = new();
    /// <summary>What the device acts on next: it conflicts with nothing under way.</summary>
    private readonly Queue<(ulong Number, MachineEffect Effect)> _ready = new();
    private readonly Dictionary<ulong, ulong> _numbers = [];
    private RequestSerializer _serializer = new(4096);
    private readonly List<InputEvent> _inputs = [];
    private bool _deviceBusy;
    private CloneSender? _cloneSender;
    private CloneReceiver? _cloneReceiver;
    private StopReasons _stop;
    private int _inFlight;
    private bool _quiesce;

    public string Name { get; } = name;

    public long Incarnation { get; private set; } = 1;

    public bool Up { get; private set; } = true;

    public long PausedUntil { get; set; }

    /// <summary>Ticks the clock is ahead by, and thousandths it runs faster by.</summary>
    public (long Offset, int PerMille) Clock { get; set; }

    public Replica? Replica { get; private set; }

    public FakeMachine? Machine { get; private set; }

    public List<bool> IsOutput { get; private set; } = [];

    public HaltReason? LastHalt { get; private set; }

    public Instant Now => new(Clock.Offset + pair.Time + (pair.Time / 1000 * Clock.PerMille));

    private ReplicaIdentity Identity => new("vm", Name, Incarnation);

    public bool IsLive => Replica is not null && ReplicaRoles.IsLive(Replica.Role);

    public void StartSolo()
    {
        Machine = new FakeMachine();
        pair.Outside.Claim(new OwnershipClaim(Identity, 1));
        Replica = Replica.StartSolo(Identity, pair.Options, 1, default, Now);
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
        _ready.Clear();
        _numbers.Clear();
        _serializer = new RequestSerializer(4096);
        _inputs.Clear();
        (_deviceBusy, _stop, _inFlight, _quiesce, IsOutput) = (false, StopReasons.None, 0, false, []);
    }

    public void Step(ReplicaInput input)
    {
        if (Replica is null)
            return;
        foreach (var effect in Replica.Step(Now, input))
        {
            if (Replica is null)
                return;
            pair.Trace?.Invoke($"{pair.Time / 10_000.0:F1}ms {Name}: {input.GetType().Name} -> {effect}");
            Perform(effect);
        }
    }

    /// <summary>The machine runs for a quantum, live or in replay.</summary>
    public void Quantum()
    {
        if (Replica is null || Machine is null)
        {
            StepClone(new CloneSenderInput.Tick(), new CloneReceiverInput.Tick());
            Step(new ReplicaInput.Tick());
            return;
        }
        if (IsLive)
            RunLive();
        else
            RunReplay(pair.Random.Next(1, pair.ReplayMax));
        Step(new ReplicaInput.Tick());
        StepClone(new CloneSenderInput.Tick(), new CloneReceiverInput.Tick());
        if (Machine?.BadRead is { } bad)
            throw new InvariantViolation(bad);
    }

    private void RunLive()
    {
        bool run = _stop == StopReasons.None && !Machine!.Ended;
        if (run && pair.Random.Next(3) == 0)
            _inputs.Add(new NetReceive(0, [(byte)pair.Random.Next(256)]));
        var entries = new List<LogEntry>();
        foreach (var input in _inputs.ToArray())
        {
            if (Machine!.Ended || (!run && input is not DiskCompleted))
                break;
            Append(entries, new InputPayload(input));
            Machine.Inject(input);
            _inputs.Remove(input);
        }
        var effects = run ? Machine!.Run((ulong)pair.Random.Next(1, 24)) : [];
        NoteOutputs(effects);
        if (effects.Count > 0)
            Append(entries, new OutputMarkPayload(Machine!.Position.LastOutput));
        if (pair.Random.Next(4) == 0 && run)
            Append(entries, new DigestPayload(Machine!.Digest()));
        if (Machine!.Ended && !_stop.HasFlag(StopReasons.Ended) && run)
            Append(entries, new EndPayload(MachineExitReason.PowerOff));
        if (entries.Count > 0 || effects.Count > 0)
        {
            if (pair.Mutation == Mutation.ReleaseBeforeAck)
                Device(effects.Select((effect, i) => ((ulong)(Machine.OutputHistory.Count - effects.Count + i + 1), effect)));
            Step(new ReplicaInput.Recorded(entries, effects, Machine.Icount));
        }
        CheckQuiesced();
    }

    private void CheckQuiesced()
    {
        if (!_quiesce || Machine is null || _inFlight > 0 || _ready.Count > 0 || _serializer.Held > 0 || _inputs.Count > 0)
            return;
        _quiesce = false;
        Step(new ReplicaInput.DisksQuiesced());
    }

    private void Append(List<LogEntry> entries, LogPayload payload)
    {
        Machine!.Position = Machine.Position with { LastLsn = Machine.Position.LastLsn.Next };
        entries.Add(new LogEntry(Machine.Position.LastLsn, Machine.Icount, payload));
    }

    private void NoteOutputs(List<MachineEffect> effects) =>
        IsOutput.AddRange(effects.Select(effect => effect is not DiskRequested));

    /// <summary>Replays at most so many entries.</summary>
    private void RunReplay(int entriesMax)
    {
        if (_stop != StopReasons.None && Replica!.Role != ReplicaRole.GoingLive)
            return;
        var effects = new List<MachineEffect>();
        var executed = Machine!.Position.LastLsn;
        for (int i = 0; i < entriesMax && _replay.TryDequeue(out var entry); i++)
        {
            if (entry.Icount < Machine.Icount)
                throw new InvariantViolation($"entry {entry.Lsn} for icount {entry.Icount} has passed");
            ulong late = pair.Mutation == Mutation.OffByOneIcount && entry.Payload is InputPayload && pair.Random.Next(16) == 0 ? 1u : 0;
            var made = Machine.Run(entry.Icount + late - Machine.Icount);
            NoteOutputs(made);
            effects.AddRange(made);
            if (entry.Payload is InputPayload input)
                Machine.Inject(input.Input);
            if (entry.Payload is DigestPayload digest && digest.Digest != Machine.Digest())
                throw new InvariantViolation($"replay diverged at entry {entry.Lsn}");
            if (entry.Payload is OutputMarkPayload mark && mark.LastOutput != Machine.Position.LastOutput)
                throw new InvariantViolation($"replay made {Machine.Position.LastOutput} outputs, the primary {mark.LastOutput}");
            executed = entry.Lsn;
            Machine.Position = Machine.Position with { LastLsn = entry.Lsn };
        }
        if (effects.Count > 0 || executed > Lsn.None)
            Step(new ReplicaInput.Replayed(executed, Machine.Icount, effects));
    }

    public void Receive(IChannelMessage message)
    {
        if (message is CloneOffer offer && Replica is null)
        {
            Machine = null;
            _cloneReceiver = new CloneReceiver(offer, pair.CloneOptions, Now);
            Replica = Replica.StartBackup(Identity, pair.Options, new ChannelSession(offer.Generation, offer.Attempt), offer.Node, Now);
        }
        if (Replica is null || new ChannelSession(message.Generation, message.Attempt) != Replica.Session)
        {
            // A node that has no such backup says so, unless it hears of an end itself.
            if (message is not ChannelClosed && message is LogAppend or ICloneChunk)
                pair.Send(this, new ChannelClosed(message.Generation, message.Attempt, ChannelCloseReason.Gone, "no such backup here"));
            return;
        }
        if (pair.Mutation == Mutation.LeaseFromReceipt && message is LogAck ack)
            message = ack with { LeaseTicks = Now.Ticks };
        StepClone(new CloneSenderInput.Received(message), new CloneReceiverInput.Received(message));
        Step(new ReplicaInput.Received(message));
    }

    private void StepClone(CloneSenderInput sender, CloneReceiverInput receiver)
    {
        if (_cloneSender is { } sending)
        {
            foreach (var effect in sending.Step(Now, sender))
            {
                pair.Trace?.Invoke($"{pair.Time / 10_000.0:F1}ms {Name}: {sender.GetType().Name} -> {effect}");
                Perform(effect);
            }
        }
        if (_cloneReceiver is { } receiving)
        {
            foreach (var effect in receiving.Step(Now, receiver))
                Perform(effect);
        }
    }

    private void Perform(CloneSenderEffect effect)
    {
        switch (effect)
        {
            case CloneSenderEffect.Send send:
                pair.Send(this, send.Message);
                break;
            case CloneSenderEffect.StartDirtyLog:
                Machine!.CollectDirty();
                break;
            case CloneSenderEffect.ReadPages read:
                Later(() => StepClone(new CloneSenderInput.PagesRead([.. read.Pages.Select(Machine!.Page)]), new CloneReceiverInput.Tick()));
                break;
            case CloneSenderEffect.CollectDirty:
                Later(() => StepClone(new CloneSenderInput.DirtyCollected(Machine!.CollectDirty()), new CloneReceiverInput.Tick()));
                break;
            case CloneSenderEffect.PauseAndCapture pause:
                Later(() => Capture(pause.AlsoPages));
                break;
            case CloneSenderEffect.Switched switched:
                Step(new ReplicaInput.CloneSwitched(switched.Position));
                break;
            case CloneSenderEffect.Confirmed:
                pair.Count("clone confirmed");
                Step(new ReplicaInput.CloneConfirmed());
                break;
            case CloneSenderEffect.Failed failed:
                _cloneSender = null;
                pair.Count("clone failed");
                Step(new ReplicaInput.CloneFailed(failed.Why));
                break;
            default:
                break;
        }
    }

    private void Capture(IReadOnlyList<long> also)
    {
        var pages = also.Union(Machine!.CollectDirty()).Select(Machine.Page).ToList();
        pair.Snapshots[Machine.Icount] = (Machine, Machine.OutputHistory.Count, [.. Machine.Pending], [.. IsOutput]);
        StepClone(new CloneSenderInput.Captured(new FinalCapture(Machine.Position, Machine.SaveState(), pages, Machine.Digest())), new CloneReceiverInput.Tick());
    }

    private void Perform(CloneReceiverEffect effect)
    {
        switch (effect)
        {
            case CloneReceiverEffect.Send send:
                pair.Send(this, send.Message);
                break;
            case CloneReceiverEffect.WritePages write:
                (Machine ??= new FakeMachine()).WritePages(write.Pages);
                break;
            case CloneReceiverEffect.Restore restore:
                var (origin, history, pending, isOutput) = pair.Snapshots[restore.Icount];
                (Machine ??= new FakeMachine()).RestoreState(restore.State, restore.Icount, restore.Position, origin, history);
                Machine.RestorePending(pending);
                IsOutput = [.. isOutput];
                Later(() => StepClone(new CloneSenderInput.Tick(), new CloneReceiverInput.Restored(Machine.Digest())));
                break;
            case CloneReceiverEffect.Assembled assembled:
                Step(new ReplicaInput.CopyAssembled(assembled.Position, assembled.Icount));
                break;
            case CloneReceiverEffect.Failed:
                if (!IsLive)
                    Forget();
                break;
            default:
                break;
        }
    }

    private void Perform(ReplicaEffect effect)
    {
        switch (effect)
        {
            case ReplicaEffect.Send { Message: var message }:
                if (pair.Mutation == Mutation.WatermarkAhead && message is LogAppend append)
                    message = append with { ReleasedOutput = Machine!.Position.LastOutput };
                pair.Send(this, message);
                break;
            case ReplicaEffect.OpenChannel open:
                _cloneSender = new CloneSender(new CloneOffer(open.Session.Generation, open.Session.Attempt, "vm", Name, "fake", LogFrame.Version,
                    FakeMachine.PageBytes, FakeMachine.PageCount), pair.CloneOptions, Now);
                StepClone(new CloneSenderInput.Tick(), new CloneReceiverInput.Tick());
                break;
            case ReplicaEffect.AbortClone or ReplicaEffect.CloseChannel:
                _cloneSender = null;
                break;
            case ReplicaEffect.ReleaseOutputs release:
                if (pair.Mutation == Mutation.SkippedResend && _resending)
                    break;
                Device(release.Outputs.Select(output => (output.Number, output.Effect)));
                break;
            case ReplicaEffect.SetPace pace:
                _stop = pace.Stop;
                pair.Count($"stop {pace.Stop}");
                break;
            case ReplicaEffect.FeedReplay feed:
                foreach (var entry in feed.Entries)
                {
                    if (pair.Mutation != Mutation.LostEntry || entry.Payload is not InputPayload || pair.Random.Next(64) != 0)
                        _replay.Enqueue(entry);
                }
                break;
            case ReplicaEffect.AskArbiter ask:
                pair.Ask(this, ask.Attempt, () => pair.Outside.Claim(ask.Claim));
                break;
            case ReplicaEffect.CheckOwnership check:
                pair.Ask(this, check.Attempt, () => pair.Outside.Check(check.Claim));
                break;
            case ReplicaEffect.AnnounceAddress:
                _resending = true;
                break;
            case ReplicaEffect.ReissuePendingDiskIo:
                if (pair.Mutation != Mutation.SkippedReissue)
                    Device(Machine!.Pending.Values.Select(request => (0ul, (MachineEffect)new DiskRequested(0, 0, request))));
                break;
            case ReplicaEffect.BecomeLive live:
                BecomeLive(live);
                break;
            case ReplicaEffect.QuiesceDisks:
                _quiesce = true;
                break;
            case ReplicaEffect.RoleChanged role:
                pair.Count($"{role.From} -> {role.To}");
                break;
            case ReplicaEffect.HaltReplica halt:
                LastHalt = halt.Reason;
                pair.Count($"halt {halt.Reason}");
                if (halt.Reason == HaltReason.MachineEnded)
                    pair.MachineEnded = true;
                Forget();
                break;
            default:
                break;
        }
    }

    private bool _resending;

    private void BecomeLive(ReplicaEffect.BecomeLive live)
    {
        _resending = false;
        if (live.Position != Machine!.Position || _replay.Count > 0)
            throw new InvariantViolation($"{Name} goes live at {Machine.Position}, not at {live.Position}, with {_replay.Count} entries left");
        pair.Outside.CheckSurvivor(Machine);
    }

    /// <summary>Runs on this node, unless it crashes before.</summary>
    private void Later(Action action)
    {
        var replica = Replica;
        pair.Schedule(this, pair.Random.Next(1, 30_000), () =>
        {
            if (ReferenceEquals(replica, Replica) && Machine is not null)
                action();
        });
    }

    private void Device(IEnumerable<(ulong Number, MachineEffect Effect)> outputs)
    {
        foreach (var output in outputs)
        {
            if (output.Effect is DiskRequested { Request: var request })
            {
                _numbers[request.Id] = output.Number;
                if (_serializer.Submit(request) == RequestAdmission.Start)
                    _ready.Enqueue(output);
                else if (pair.Mutation == Mutation.UnserializedDisk)
                    _ready.Enqueue(output);
            }
            else
            {
                _ready.Enqueue(output);
            }
        }
        if (!_deviceBusy)
            NextAction();
    }

    private void NextAction()
    {
        _deviceBusy = true;
        var replica = Replica;
        // Rarely a device is slow: this is where a stale primary would do harm.
        long delay = pair.Random.Next(60) == 0 ? pair.Random.Next(100_000, 8_000_000) : pair.Random.Next(100, 8_000);
        pair.Schedule(this, pair.Faulty ? delay : delay % 8_000, () =>
        {
            if (!ReferenceEquals(replica, Replica))
                return;
            if (_ready.Count > 0 && (Now < Replica!.Fence || pair.Mutation == Mutation.FenceIgnored))
            {
                var (number, effect) = _ready.Dequeue();
                Act(number, effect);
            }
            if (_ready.Count > 0)
                NextAction();
            else
                _deviceBusy = false;
        });
    }

    private void Act(ulong number, MachineEffect effect)
    {
        ulong data = pair.Outside.Perform(Identity, Replica!.Generation, number, effect, Machine!);
        var replica = Replica;
        if (effect is DiskRequested { Request: { } request })
        {
            _inFlight++;
            ImmutableArray<byte> bytes = request.Kind == DiskRequestKind.Read ? [.. BitConverter.GetBytes(data)] : [];
            pair.Schedule(this, pair.Random.Next(1_000, 60_000), () =>
            {
                if (!ReferenceEquals(replica, Replica))
                    return;
                _inFlight--;
                _inputs.Add(new DiskCompleted(0, new DiskCompletion(request.Id, DiskStatus.Ok, bytes)));
                foreach (var next in _serializer.Complete(request.Id))
                {
                    if (pair.Mutation != Mutation.UnserializedDisk)
                        _ready.Enqueue((_numbers[next.Id], new DiskRequested(0, 0, next)));
                }
                if (!_deviceBusy)
                    NextAction();
            });
        }
        if (number > 0)
        {
            pair.Schedule(this, pair.Random.Next(10, 2_000), () =>
            {
                if (ReferenceEquals(replica, Replica))
                    Step(new ReplicaInput.OutputPerformed(number));
            });
        }
    }

    /// <summary>For the operator.</summary>
    public void PowerOff() => _inputs.Add(new Control(ControlOperation.PowerOff));
}
