using FtAkka.Machine.Events;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection.Clone;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Protection;

/// <summary>The side that receives a copy, replays what follows it, and drains the log to take over.</summary>
internal sealed class BackupSide : IReplicaSide
{
    private readonly ReplicaCore _core;
    private readonly ReplicaSetup _setup;
    private readonly ProtectionOptions _options;
    private readonly CloneOffer _offer;
    private readonly CloneReceiver _receiver;
    private readonly OutputGate _gate;
    private readonly FailureDetector _detector;
    private readonly Queue<(Lsn Last, long Recorded)> _stamps = new();
    private LogReceiveBuffer? _log;
    private ulong _icount;
    private long _leaseTicks = long.MinValue;
    private long _echo = long.MinValue;
    private bool _entitled;
    private bool _yielded;
    private Instant _lastAck;
    private Lsn _reported;
    private bool _ackDue;
    private bool _ackPending;
    private int _bytesSinceAck;
    private bool _resendDue;
    private bool _primaryEnded;
    private EndPayload? _end;
    private Lsn _endedAt;
    private string? _unable;

    /// <param name="core">The replica.</param>
    /// <param name="setup">What it works with.</param>
    /// <param name="offer">The offer it has accepted.</param>
    /// <param name="now">Time.</param>
    public BackupSide(ReplicaCore core, ReplicaSetup setup, CloneOffer offer, Instant now)
    {
        (_core, _setup, _options, _offer) = (core, setup, setup.Protection, offer);
        _receiver = new CloneReceiver(offer, setup.CloneLimits, now, _options.Disks);
        _gate = new OutputGate(_options, GateMode.Replaying, lastOutput: 0);
        _detector = new FailureDetector(_options, now);
    }

    /// <inheritdoc/>
    public bool HasOutputsUnderWay => _gate.Count > 0;

    /// <inheritdoc/>
    public CloneView? LastClone => null;

    /// <inheritdoc/>
    public void Step(Instant now, ReplicaInput input)
    {
        switch (input)
        {
            case ReplicaInput.Begin:
                StepReceiver(now, new CloneReceiverInput.Received(_offer));
                break;
            case ReplicaInput.Tick:
                StepReceiver(now, new CloneReceiverInput.Tick());
                break;
            case ReplicaInput.CopyWritten written:
                StepReceiver(now, written.Result);
                break;
            case ReplicaInput.Replayed replayed when _log is { } log:
                Replay(log, replayed);
                break;
            case ReplicaInput.OwnRequestPerformed performed:
                _gate.Performed(performed.Number);
                break;
            case ReplicaInput.OwnDiskFailed failed:
                _core.Close(ChannelCloseReason.Gone, $"a disk of {_core.Id.Node} failed: {failed.What}");
                _core.Halt(HaltReason.DiskFailed, $"this replica's own disk is no copy any more: {failed.What}");
                break;
            case ReplicaInput.HostProved proved when _core.Role is ReplicaRole.Backup or ReplicaRole.BackupSyncing:
                _unable = proved.Refusal;
                // Said every time: a message may get lost.
                _core.Send(_offer.Node, BackupFitness.Of(_core.Session, _unable));
                break;
            case ReplicaInput.Diverged diverged:
                Diverge(diverged.Divergence, diverged.Witness);
                break;
            case ReplicaInput.Leave when _core.Role is ReplicaRole.Backup or ReplicaRole.BackupSyncing:
                _core.Close(ChannelCloseReason.Gone, $"the node {_core.Id.Node} stops");
                _core.Halt(HaltReason.Left, "the node stops");
                break;
            default:
                break;
        }
    }

    /// <inheritdoc/>
    public void NodeHeard(Instant now) => _detector.Step(now, DetectorInput.NodeHeard);

    /// <inheritdoc/>
    public void Reconnected(Instant now) => (_ackDue, _resendDue) = (true, true);

    /// <inheritdoc/>
    public void PeerRestarted(Instant now)
    {
        if (_core.Role == ReplicaRole.BackupSyncing)
            _core.Halt(HaltReason.PrimaryLostBeforeSync, $"{_offer.Node} was started anew before this copy could take over");
    }

    private void StepReceiver(Instant now, CloneReceiverInput input)
    {
        foreach (var effect in _receiver.Step(now, input))
        {
            switch (effect)
            {
                case CloneReceiverEffect.Send send:
                    _core.Send(_offer.Node, send.Message);
                    break;
                case CloneReceiverEffect.Work work:
                    _core.Emit(new ReplicaEffect.WriteCopy(work));
                    break;
                case CloneReceiverEffect.Assembled assembled:
                    _log = new LogReceiveBuffer(_options, assembled.Position.LastLsn);
                    _gate.StartAfter(assembled.Position.LastOutput);
                    (_icount, _reported) = (assembled.Icount, assembled.Position.LastLsn);
                    (_ackDue, _resendDue) = (true, true);
                    _core.Emit(new ReplicaEffect.StartReplay(assembled.Position));
                    break;
                case CloneReceiverEffect.Failed failed:
                    _core.Halt(HaltReason.CopyFailed, failed.Why);
                    return;
                default:
                    throw new InvalidOperationException($"Nobody performs {effect}.");
            }
        }
    }

    private void Replay(LogReceiveBuffer log, ReplicaInput.Replayed replayed)
    {
        _core.NoteDigests(replayed.DigestsChecked, replayed.LastDigestIcount);
        _icount = Math.Max(_icount, replayed.Icount);
        foreach (var output in replayed.Outputs)
        {
            var made = new GatedOutput(_gate.LastAdded + 1, output, Lsn.None);
            if (_gate.Add(made))
                _core.Emit(new ReplicaEffect.PerformOwn([made]));
        }
        log.Executed(replayed.Executed);
        while (_stamps.TryPeek(out var stamp) && stamp.Last <= log.LastExecuted)
            _echo = Math.Max(_echo, _stamps.Dequeue().Recorded);
    }

    /// <summary>How the machine has ended here; null before replay has come to that.</summary>
    private EndPayload? EndedBy(LogReceiveBuffer log) => log.LastExecuted >= _endedAt ? _end : null;

    private void Diverge(Divergence divergence, StateWitness witness)
    {
        _core.Send(_offer.Node, witness.ToMessage(_core.Session, divergence.Lsn));
        _core.KeepEvidence("backup", divergence.Lsn, divergence.Icount, Describe(divergence), []);
        _core.Close(ChannelCloseReason.Diverged, $"diverged at icount {divergence.Icount}: {divergence.What}");
        _core.Halt(HaltReason.Diverged, $"replay left the recording at entry {divergence.Lsn}, icount {divergence.Icount}: {divergence.What}");
    }

    private static string Describe(Divergence divergence)
    {
        if (divergence is not { Expected: { } expected, Actual: { } actual })
            return divergence.What;
        var parts = new List<string>();
        if (expected.Cpu != actual.Cpu)
            parts.Add("CPU");
        if (expected.Devices != actual.Devices)
            parts.Add("devices");
        if (expected.Memory != actual.Memory)
            parts.Add("memory");
        return $"{divergence.What} ({string.Join(", ", parts)} differ)";
    }

    /// <inheritdoc/>
    public void Hear(Instant now, IChannelMessage message)
    {
        if (_core.Role == ReplicaRole.Backup)
            _core.Times = _core.Times with { LastHeard = now.SinceStart };
        StepReceiver(now, new CloneReceiverInput.Received(message));
        // Once the arbiter was asked there is no way back: what the primary says now must renew none of its rights.
        if (_core.Role == ReplicaRole.Halted || (_core.Role == ReplicaRole.GoingLive && _core.Arbiter.IsClaiming))
            return;
        _detector.Step(now, DetectorInput.ChannelHeard);
        if (_core.Role == ReplicaRole.GoingLive && !_yielded)
        {
            _core.Become(ReplicaRole.Backup);
            _core.Report($"{_offer.Node} is heard again");
        }
        switch (message)
        {
            case LogAppend append:
                HearAppend(append);
                break;
            case LogReleased released when _log is not null:
                _gate.PeerReleased(released.ReleasedOutput);
                break;
            case FailoverYield yield when _core.Role == ReplicaRole.Backup && _log is { } log:
                _yielded = log.LastReceived >= new Lsn(yield.LastLsn);
                _resendDue |= !_yielded;
                _ackDue = true;
                break;
            case ConsoleHistory history:
                _core.Emit(new ReplicaEffect.KeepConsoleHistory(history.Offset, history.Bytes));
                break;
            case ChannelClosed { Reason: ChannelCloseReason.Ended } when _core.Role == ReplicaRole.Backup && _options.HasSeparateDisks && _end is not null:
                // The machine has ended and all it said has left, but this replica's own disks lack what replay has still to write: from now on the
                // primary's silence means nothing.
                _primaryEnded = true;
                _gate.PeerReleased(ulong.MaxValue);
                break;
            case ChannelClosed closed:
                _core.Halt(closed.Reason == ChannelCloseReason.Ended ? HaltReason.MachineEnded : HaltReason.Dropped, closed.Text);
                break;
            default:
                break;
        }
    }

    private void HearAppend(LogAppend append)
    {
        _leaseTicks = Math.Max(_leaseTicks, append.SentAtTicks);
        if (_log is not { } log)
            return;
        _ackPending = true;
        _bytesSinceAck += append.Frames.Length;
        // Entries that no output waits for are acknowledged together: each message costs both hosts as much as many instructions of the guest.
        _ackDue |= append.Frames.IsEmpty || !_entitled || _bytesSinceAck >= _options.BatchBytesMax;
        _gate.PeerReleased(append.ReleasedOutput);
        var bytes = append.Frames.AsMemory();
        while (bytes.Length > 0)
        {
            if (LogFrame.TryRead(bytes, out var entries, out int consumed) != LogFrameError.None)
            {
                (_ackDue, _resendDue) = (true, true);
                break;
            }
            bytes = bytes[consumed..];
            TakeEntries(log, entries, append.RecordedTicks);
        }
        _entitled |= append.Entitled && log.LastReceived.Value >= append.EntitledFromLsn;
        if (_entitled && _core.Role == ReplicaRole.BackupSyncing)
        {
            // The primary does not call the VM protected before it knows.
            _ackDue = true;
            _core.Become(ReplicaRole.Backup);
            _core.Report($"backup of {_offer.Node}");
        }
    }

    private void TakeEntries(LogReceiveBuffer log, IReadOnlyList<LogEntry> entries, long recordedTicks)
    {
        var taken = log.Receive(entries);
        _resendDue |= taken.Gap;
        // What came again did so because an acknowledgement was lost.
        _ackDue |= taken.Gap || taken.Fresh.Count < entries.Count;
        if (taken.Fresh.Count == 0)
            return;
        if (taken.Fresh[^1].Lsn == entries[^1].Lsn)
            _stamps.Enqueue((entries[^1].Lsn, recordedTicks));
        foreach (var entry in taken.Fresh)
        {
            _ackDue |= entry.Payload is OutputMarkPayload;
            // A read whose end stands in the log may have failed on the primary, and a backup that retried it would retry for ever.
            if (entry.Payload is InputPayload { Input: DiskCompleted completed } && _options.BackupReads(completed.Disk))
                _core.Emit(new ReplicaEffect.ForgetOwnRead(completed.Disk, completed.Completion.Id));
        }
        if (taken.Fresh[^1].Payload is EndPayload end)
            (_end, _endedAt) = (end, taken.Fresh[^1].Lsn);
        _core.Evidence.Keep(taken.Fresh);
        _core.Emit(new ReplicaEffect.FeedReplay(taken.Fresh));
    }

    /// <inheritdoc/>
    public void Settle(Instant now)
    {
        bool suspect = _detector.Step(now, DetectorInput.Tick) == PeerHealth.Suspect;
        if (_core.Role == ReplicaRole.BackupSyncing && suspect && MustGiveUpCopy(now))
        {
            // Its primary may be alive, and is not to wait for an answer that does not come.
            _core.Close(ChannelCloseReason.Gone, $"{_core.Id.Node} heard nothing of {_offer.Node}");
            _core.Halt(HaltReason.PrimaryLostBeforeSync, $"{_offer.Node} fell silent before this copy could take over");
            return;
        }
        if (_log is not { } log)
            return;
        // An ended machine has nothing to take over, once all it said has left.
        if (EndedBy(log) is { } end && _core.Role == ReplicaRole.Backup && _gate.PeerLastReleased >= _gate.LastAdded && _gate.OwnPending == 0)
        {
            Acknowledge(now, log);
            _core.Halt(HaltReason.MachineEnded, end.Text);
            return;
        }
        if (_core.Role == ReplicaRole.Backup && (suspect || _yielded) && !_primaryEnded)
        {
            _core.Become(ReplicaRole.GoingLive);
            _core.Report(_yielded ? $"{_offer.Node} hands over" : $"{_offer.Node} is silent");
            _core.Times = _core.Times with { Suspected = now.SinceStart, Drained = TimeSpan.Zero };
        }
        // A replica whose own disk is not where its machine is could not go on, and must not keep another from it.
        if (_core.Role == ReplicaRole.GoingLive && !_core.Arbiter.IsClaiming && log.LastExecuted >= log.LastReceived && _gate.OwnPending == 0)
        {
            _core.Times = _core.Times with { Drained = now.SinceStart };
            _core.ClaimNext(now);
        }
        bool reportDue = (_ackPending || log.LastExecuted > _reported) && now - _lastAck >= _options.ExecutionReportInterval;
        // A primary that has yielded waits, and is told how far the drain is.
        bool mayReport = _core.Role != ReplicaRole.GoingLive || (_yielded && !_core.Arbiter.IsClaiming);
        if (mayReport && (_ackDue || reportDue))
            Acknowledge(now, log);
        _core.SetPace(MustHoldReplay ? StopReasons.ReplayOutputsFull : StopReasons.None, 100);
    }

    /// <summary>It may not take over anyway: while its primary's node beats, silence of the channel means that the copy is slow.</summary>
    private bool MustGiveUpCopy(Instant now) => !_detector.NodeBeats || now - _detector.LastHeard >= _options.PatienceMax;

    /// <summary>
    /// A full gate holds replay until the primary reports that outputs have left. A replica that goes live may hear no more of that: only its own disk, whose requests
    /// end without the primary, still holds it, since what it owes there is limited too. When they have ended it goes on, full or not.
    /// </summary>
    private bool MustHoldReplay => _gate.IsFull && (_core.Role != ReplicaRole.GoingLive || _gate.OwnPending > 0);

    private void Acknowledge(Instant now, LogReceiveBuffer log)
    {
        (_lastAck, _reported) = (now, log.LastExecuted);
        if (!_primaryEnded)
        {
            _core.Send(_offer.Node, new LogAck(log.LastReceived.Value, log.LastExecuted.Value, _icount, _echo,
                _core.Session.Generation, _core.Session.Attempt, _leaseTicks, _resendDue, _entitled));
        }
        (_ackDue, _ackPending, _resendDue, _bytesSinceAck) = (false, false, false, 0);
    }

    /// <inheritdoc/>
    public void Won(Instant now, ulong generation)
    {
        if (_log is not { } log)
            return;
        _core.Close(ChannelCloseReason.TookOver, $"generation {generation} is here");
        _core.Own(generation);
        _core.Times = _core.Times with { Won = now.SinceStart };
        _core.CloseSession();
        _core.GoLive(LiveSide.TakeOver(_core, _setup, _gate, new LogPosition(log.LastReceived, _gate.LastAdded), _icount, EndedBy(log)));
        _core.SetPace(EndedBy(log) is not null ? StopReasons.Ended : StopReasons.None, 100);
        _core.Emit(new ReplicaEffect.StopReplay());
    }

    /// <inheritdoc/>
    public void StillOwner()
    {
    }

    /// <inheritdoc/>
    public void AfterPause(Instant now)
    {
    }

    /// <inheritdoc/>
    public ReplicaStatus Describe(Instant now, ReplicaStatus common) => _gate.Describe(common) with
    {
        Protected = _core.Role == ReplicaRole.Backup && _unable is null,
        CanTakeOver = _core.Role == ReplicaRole.Backup && _unable is null,
        Unable = _unable,
        LogEnd = _log?.LastReceived ?? Lsn.None,
        Acknowledged = _log?.LastReceived ?? Lsn.None,
        Executed = _log?.LastExecuted ?? Lsn.None,
        Icount = _icount,
        LogEntries = _log?.Count ?? 0,
        LogBytes = _log?.Bytes ?? 0,
    };
}
