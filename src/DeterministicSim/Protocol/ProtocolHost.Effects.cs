using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using System.Collections.Immutable;

namespace FtAkka.DeterministicSim.Protocol;

/// <summary>What a replica asks for, and the devices.</summary>
internal sealed partial class ProtocolHost
{
    private const int DiskRequestsMost = 4096;
    private const int SlowDeviceOneIn = 300;

    /// <summary>What the device acts on next: it conflicts with nothing under way.</summary>
    private readonly Queue<(ulong Number, MachineEffect Effect)> _ready = new();
    private readonly Dictionary<ulong, ulong> _numbers = [];
    private RequestSerializer _serializer = new(DiskRequestsMost);
    private bool _deviceBusy;
    private int _inFlight;
    private bool _resending;
    private bool _marksArrived;

    /// <summary>Disk requests under way when the machine was stopped: how they end is recorded all the same.</summary>
    private int _pendingAtStop;

    private bool DevicesBusy => _inFlight > 0 || _ready.Count > 0 || _serializer.Held > 0;

    private void ForgetDevices()
    {
        _ready.Clear();
        _numbers.Clear();
        _serializer = new RequestSerializer(DiskRequestsMost);
        (_deviceBusy, _inFlight, _resending, _marksArrived, _pendingAtStop) = (false, 0, false, false, 0);
    }

    private void Perform(ReplicaEffect effect)
    {
        switch (effect)
        {
            case ReplicaEffect.Send { Message: var message }:
                SendToPeer(message);
                break;
            case ReplicaEffect.OpenChannel open:
                OpenChannel(open);
                break;
            case ReplicaEffect.AbortClone or ReplicaEffect.CloseChannel:
                _cloneSender = null;
                break;
            case ReplicaEffect.ReleaseOutputs when cluster.Mutation == ProtocolMutation.SkippedResend && _resending:
                break;
            case ReplicaEffect.ReleaseOutputs release:
                Device(release.Outputs.Select(output => (output.Number, output.Effect)));
                break;
            case ReplicaEffect.SetPace when cluster.Mutation == ProtocolMutation.LastingHold && Replica!.Role == ReplicaRole.GoingLive:
                break;
            case ReplicaEffect.SetPace pace:
                SetPace(pace.Stop);
                break;
            case ReplicaEffect.FeedReplay feed:
                Feed(feed.Entries);
                break;
            case ReplicaEffect.DrainThenGoLive:
                cluster.Moment(NamedMoment.Drain, this);
                break;
            case ReplicaEffect.AskArbiter ask:
                cluster.Ask(this, ask.Attempt, claims: true, () => cluster.World.Claim(ask.Claim));
                break;
            case ReplicaEffect.CheckOwnership check:
                cluster.Ask(this, check.Attempt, claims: false, () => cluster.World.Check(check.Claim));
                break;
            case ReplicaEffect.AnnounceAddress:
                _resending = true;
                break;
            case ReplicaEffect.ReissuePendingDiskIo:
                cluster.Moment(NamedMoment.Reissue, this);
                if (cluster.Mutation != ProtocolMutation.SkippedReissue)
                {
                    Device(Machine!.Pending.Values.Select(request => (0ul, (MachineEffect)new DiskRequested(0, 0, request))));
                }
                break;
            case ReplicaEffect.BecomeLive live:
                BecomeLive(live);
                break;
            case ReplicaEffect.QuiesceDisks:
                _quiesce = true;
                break;
            case ReplicaEffect.RoleChanged role:
                cluster.Count($"{role.From} -> {role.To}");
                cluster.Note(Name, TimelineKind.Role, $"{role.To}, generation {role.Generation}");
                break;
            case ReplicaEffect.ReportStatus report:
                cluster.Note(Name, TimelineKind.Log, report.What);
                break;
            case ReplicaEffect.HaltReplica halt:
                Halt(halt);
                break;
            default:
                break;
        }
    }

    private void SendToPeer(IChannelMessage message)
    {
        if (cluster.Mutation == ProtocolMutation.WatermarkAhead && message is LogAppend append)
        {
            message = append with { ReleasedOutput = Machine!.Position.LastOutput };
        }
        cluster.Network.Send(this, _peer, message);
        if (message is LogAck && _marksArrived && Replica!.Role is ReplicaRole.Backup)
        {
            _marksArrived = false;
            cluster.Moment(NamedMoment.BetweenAckAndRelease, this);
        }
    }

    private void SetPace(StopReasons stop)
    {
        if (_stop == StopReasons.None)
        {
            _pendingAtStop = stop == StopReasons.None ? 0 : Machine!.Pending.Count;
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

    private void Feed(IReadOnlyList<LogEntry> entries)
    {
        foreach (LogEntry entry in entries)
        {
            if (cluster.Mutation != ProtocolMutation.LostEntry || entry.Payload is not InputPayload || _random.Below(64) != 0)
            {
                _replay.Enqueue(entry);
            }
        }
    }

    private void BecomeLive(ReplicaEffect.BecomeLive live)
    {
        _resending = false;
        if (live.Position != Machine!.Position || _replay.Count > 0)
        {
            throw new InvariantException(Invariant.LogDrained, $"{Name} goes live at {Machine.Position}, not at {live.Position}, with {_replay.Count} entries left");
        }
        cluster.Note(Name, TimelineKind.Role, $"live, generation {live.Generation}, icount {Machine.Icount}");
        cluster.World.CheckSurvivor(Machine);
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

    private void Device(IEnumerable<(ulong Number, MachineEffect Effect)> outputs)
    {
        foreach (var output in outputs)
        {
            if (output.Effect is DiskRequested { Request: var request })
            {
                _numbers[request.Id] = output.Number;
                if (_serializer.Submit(request) == RequestAdmission.Start || cluster.Mutation == ProtocolMutation.UnserializedDisk)
                {
                    _ready.Enqueue(output);
                }
            }
            else
            {
                _ready.Enqueue(output);
            }
        }
        if (!_deviceBusy)
        {
            NextAction();
        }
    }

    private void NextAction()
    {
        _deviceBusy = true;
        Replica? replica = Replica;
        long delay = 100 + _random.Below(4_000);
        // Rarely a device is slow: this is where a stale primary would do harm.
        if (cluster.Faulty && _random.Below(SlowDeviceOneIn) == 0)
        {
            delay = 100_000 + _random.Below(7_900_000);
        }
        cluster.Schedule(this, delay, () =>
        {
            if (!ReferenceEquals(replica, Replica))
            {
                return;
            }
            if (_ready.Count > 0 && (Now < Replica!.Fence || cluster.Mutation == ProtocolMutation.IgnoredFence))
            {
                var (number, effect) = _ready.Dequeue();
                Act(number, effect);
            }
            if (_ready.Count > 0)
            {
                NextAction();
            }
            else
            {
                _deviceBusy = false;
            }
        });
    }

    private void Act(ulong number, MachineEffect effect)
    {
        cluster.Note(Name, TimelineKind.Outside, effect);
        Replica? replica = Replica;
        if (effect is DiskRequested { Request: { } request })
        {
            Access(number, effect, request);
        }
        else
        {
            cluster.World.Perform(Identity, replica!.Generation, number, effect, Machine!);
        }
        if (number > 0)
        {
            cluster.Schedule(this, _random.Below(2_000) + 10, () =>
            {
                if (ReferenceEquals(replica, Replica))
                {
                    Step(new ReplicaInput.OutputPerformed(number));
                }
            });
        }
    }

    private void Access(ulong number, MachineEffect effect, DiskRequest request)
    {
        Replica? replica = Replica;
        bool fails = cluster.Faults.DiskFails(this, request.Kind);
        if (cluster.Mutation == ProtocolMutation.ForgottenBounceBuffer && request.Kind == DiskRequestKind.Write && Machine!.Icount != effect.Icount)
        {
            effect = new DiskRequested(effect.Icount, 0, request with { Data = [.. BitConverter.GetBytes(Machine.Icount)] });
        }
        ulong data = cluster.World.Perform(Identity, replica!.Generation, number, effect, Machine!, fails);
        _inFlight++;
        ImmutableArray<byte> bytes = request.Kind == DiskRequestKind.Read && !fails ? [.. BitConverter.GetBytes(data)] : [];
        cluster.Schedule(this, _random.Below(60_000) + 1_000 + cluster.Faults.DiskDelay(this), () =>
        {
            if (!ReferenceEquals(replica, Replica))
            {
                return;
            }
            _inFlight--;
            _inputs.Add(new DiskCompleted(0, new DiskCompletion(request.Id, fails ? DiskStatus.IoError : DiskStatus.Ok, bytes)));
            foreach (DiskRequest next in _serializer.Complete(request.Id))
            {
                if (cluster.Mutation != ProtocolMutation.UnserializedDisk)
                {
                    _ready.Enqueue((_numbers[next.Id], new DiskRequested(0, 0, next)));
                }
            }
            if (!_deviceBusy)
            {
                NextAction();
            }
        });
    }
}
