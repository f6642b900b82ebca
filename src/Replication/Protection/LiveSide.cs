using System.Collections.Immutable;
using FtAkka.Machine.Events;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection.Clone;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Protection;

/// <summary>The side that runs the VM for the outside: alone, while it makes a copy, and with a backup.</summary>
internal sealed class LiveSide : IReplicaSide
{
    private readonly ReplicaCore _core;
    private readonly ReplicaSetup _setup;
    private readonly ProtectionOptions _options;
    private readonly OutputGate _gate;
    private readonly OutputLedger _ledger;
    private readonly OutputDelays _delays = new();
    private readonly DeviceOpening _opening;
    private CloneSwitch? _clone;
    private BackupLink? _link;
    private CloneView? _lastClone;
    private ulong _attempts;
    private long _logBytesSentBefore;
    private Lsn _lastLsn;
    private ulong _icount;
    private EndPayload? _end;
    private bool _runs;
    private int _pageCount;
    private Instant _nextCheck;
    private string? _protectWhenRunning;
    private (DropCause Cause, string Why) _drop;
    private string? _unable;

    private LiveSide(ReplicaCore core, ReplicaSetup setup, OutputGate gate, LogPosition position, ImmutableArray<PendingRequest>? pending)
    {
        (_core, _setup, _options, _gate, _lastLsn) = (core, setup, setup.Protection, gate, position.LastLsn);
        _ledger = new OutputLedger(_options);
        _opening = new DeviceOpening(core, position, pending);
    }

    /// <summary>A machine that starts.</summary>
    public static LiveSide Start(ReplicaCore core, ReplicaSetup setup, LogPosition position) =>
        new(core, setup, new OutputGate(setup.Protection, GateMode.PassThrough, position.LastOutput), position, pending: null);

    /// <summary>The machine of a backup that takes over.</summary>
    /// <param name="core">The replica.</param>
    /// <param name="setup">What it works with.</param>
    /// <param name="gate">Outputs that the primary has not reported as released.</param>
    /// <param name="position">The end of the log.</param>
    /// <param name="icount">Instructions executed.</param>
    /// <param name="end">How the machine has ended; null while it runs.</param>
    public static LiveSide TakeOver(ReplicaCore core, ReplicaSetup setup, OutputGate gate, LogPosition position, ulong icount, EndPayload? end) =>
        new(core, setup, gate, position, pending: []) { _icount = icount, _end = end };

    /// <inheritdoc/>
    public bool HasOutputsUnderWay => _gate.Count > 0 || _ledger.DiskRequestsUnderWay > 0;

    /// <inheritdoc/>
    public CloneView? LastClone => _clone?.Progress ?? _lastClone;

    private LogSendBuffer? Log => _link?.Entries ?? _clone?.Log?.Entries;

    /// <inheritdoc/>
    public void Step(Instant now, ReplicaInput input)
    {
        switch (input)
        {
            case ReplicaInput.Begin:
                _opening.Begin();
                break;
            case ReplicaInput.ReplayStopped stopped:
                _opening.Begin(stopped.Pending);
                break;
            case ReplicaInput.DevicesRefused refused:
                _opening.Refused(now, refused.Why);
                break;
            case ReplicaInput.MachineReady ready when !_runs:
                Run(now, ready);
                break;
            case ReplicaInput.Recorded recorded:
                Record(now, recorded);
                break;
            case ReplicaInput.Witnessed witnessed when _core.Peer is not null:
                _core.Evidence.Keep(witnessed.Witness);
                break;
            case ReplicaInput.DiskRequestEnded ended:
                _gate.Performed(_ledger.DiskEnded(ended.Disk, ended.Id, ended.Status));
                _link?.DiskEnded();
                break;
            case ReplicaInput.ConsoleTaken taken:
                Performed(_ledger.ConsoleTaken(taken.Console, taken.Position));
                break;
            case ReplicaInput.CopyRead read when _clone is { } clone && clone.Session == read.Session:
                StepClone(now, clone, read.Result);
                break;
            case ReplicaInput.Flushed:
                _link?.Flushed();
                break;
            case ReplicaInput.Tick:
                if (_clone is { } copying)
                    StepClone(now, copying, new CloneSenderInput.Tick());
                break;
            default:
                Operate(now, input);
                break;
        }
    }

    /// <summary>Takes what operators want.</summary>
    private void Operate(Instant now, ReplicaInput input)
    {
        switch (input)
        {
            case ReplicaInput.Protect protect when !_runs:
                _protectWhenRunning = protect.PeerNode;
                break;
            case ReplicaInput.Unprotect when !_runs:
                _protectWhenRunning = null;
                break;
            case ReplicaInput.Protect protect when _core.Role == ReplicaRole.Solo && _end is null:
                BeginClone(now, protect.PeerNode);
                break;
            case ReplicaInput.Unprotect when _clone is { } clone:
                AbandonClone(clone, "cancelled", isFailure: false);
                break;
            case ReplicaInput.Unprotect when _link is not null:
                ClaimNext(now, DropCause.Unprotected, "unprotected");
                break;
            case ReplicaInput.PlannedFailover when _link is { IsProtected: true } link && _unable is null && _end is null && !_core.Arbiter.IsClaiming:
                link.BeginHandOver();
                break;
            case ReplicaInput.Leave when _clone is { } clone:
                AbandonClone(clone, "the node stops", isFailure: false);
                break;
            case ReplicaInput.Leave when _link is { } link && _end is null && !_core.Arbiter.IsClaiming:
                link.BeginHandOver();
                break;
            default:
                break;
        }
    }

    /// <inheritdoc/>
    public void NodeHeard(Instant now) => _link?.Heard(now, DetectorInput.NodeHeard);

    /// <inheritdoc/>
    public void Reconnected(Instant now) => _link?.Reconnected(now);

    /// <inheritdoc/>
    public void PeerRestarted(Instant now)
    {
        if (_clone is { } clone)
            AbandonClone(clone, $"{clone.Peer} was started anew");
        else if (_link is { } link)
            ClaimNext(now, DropCause.Silent, $"{link.Peer} was started anew");
    }

    /// <inheritdoc/>
    public void Hear(Instant now, IChannelMessage message)
    {
        _link?.Heard(now, DetectorInput.ChannelHeard);
        switch (message)
        {
            case LogAck ack:
                HearAck(now, ack);
                break;
            case DivergenceWitness witness:
                HearWitness(witness);
                break;
            case BackupFitness fitness:
                HearFitness(fitness);
                break;
            case ChannelClosed closed when _clone is { } clone:
                AbandonClone(clone, $"{clone.Peer} gave up: {closed.Text}");
                return;
            case ChannelClosed { Reason: ChannelCloseReason.TookOver } when _link is { } link:
                _core.Halt(HaltReason.HandedOver, $"{link.Peer} took over");
                return;
            case ChannelClosed closed when _link is { } link:
                ClaimNext(now, closed.Reason == ChannelCloseReason.Diverged ? DropCause.Diverged : DropCause.GaveUp, $"{link.Peer} gave up: {closed.Text}");
                break;
            default:
                break;
        }
        if (_clone is { } copying)
            StepClone(now, copying, new CloneSenderInput.Received(message));
    }

    private void HearAck(Instant now, LogAck ack)
    {
        if (_clone?.Log is { } log)
        {
            log.Entries.Acknowledge(now, new Lsn(ack.ReceivedLsn));
            if (ack.Resend)
                log.Entries.TryResume(now, new Lsn(ack.ReceivedLsn));
            log.Lag.Executed(now, new Lsn(ack.ExecutedLsn), new Instant(ack.EchoedTicks), ack.ExecutedIcount);
        }
        else if (_link is { } link && !link.TryHear(now, ack))
        {
            ClaimNext(now, DropCause.EntriesGone, $"{link.Peer} misses entries that are gone");
        }
    }

    /// <summary>The backup's host has looked whether the replica could go live there. Of one that could not, a person must know.</summary>
    private void HearFitness(BackupFitness message)
    {
        string? unable = message.Refusal.Length > 0 ? message.Refusal : null;
        if (unable == _unable)
            return;
        _unable = unable;
        _core.Report(unable is null ? $"the backup on {_core.Peer} could go live again" : $"not protected: the backup on {_core.Peer} could not go live: {unable}");
    }

    /// <summary>The backup says what it had where it diverged; it closes next.</summary>
    private void HearWitness(DivergenceWitness message)
    {
        if (_core.Peer is not { } peer)
            return;
        ImmutableArray<string> differences = _core.Evidence.At(message.Icount) is { } own ? StateWitness.Differences(own, StateWitness.Of(message)) : [];
        string first = differences.IsEmpty ? "no register and no page, or the digest is not kept any more" : differences[0];
        _core.Report($"the backup on {peer} diverged at icount {message.Icount}; the first difference: {first}");
        _core.KeepEvidence("primary", new Lsn(message.Lsn), message.Icount, $"the backup on {peer} reported it", differences);
    }

    /// <summary>The paper's order (2.2, 3.4): addresses, pending disk requests, outputs that may not have left; then the machine runs.</summary>
    private void Run(Instant now, ReplicaInput.MachineReady ready)
    {
        (_runs, _pageCount, _core.LastError) = (true, ready.PageCount, null);
        _ledger.Use(ready.Devices);
        if (_opening.Pending is { } pending)
        {
            _core.Emit(new ReplicaEffect.Announce());
            _core.Emit(new ReplicaEffect.Reissue(pending));
            _ledger.Reissue(pending);
            var resent = _gate.GoLive();
            Release(resent);
            _core.WentLive(now, resent.Count, pending.Length);
        }
        _core.Emit(new ReplicaEffect.Run(_core.Generation));
        if (_protectWhenRunning is { } node && _end is null)
            BeginClone(now, node);
        _protectWhenRunning = null;
    }

    private void Record(Instant now, ReplicaInput.Recorded recorded)
    {
        if (_core.Peer is not null)
            _core.Evidence.Keep(recorded.Entries);
        _icount = Math.Max(_icount, recorded.Icount);
        int next = 0;
        foreach (var entry in recorded.Entries)
        {
            ArgumentOutOfRangeException.ThrowIfNotEqual(entry.Lsn, _lastLsn.Next);
            _lastLsn = entry.Lsn;
            var sent = _ledger.ForBackup(entry);
            Log?.Append(now, sent);
            if (entry.Payload is OutputMarkPayload mark)
            {
                while (next < recorded.Outputs.Count && _gate.LastAdded < mark.LastOutput)
                    AddOutput(new GatedOutput(_gate.LastAdded + 1, recorded.Outputs[next++], entry.Lsn, now));
            }
            else if (entry.Payload is EndPayload end)
            {
                _end = end;
            }
        }
        if (next < recorded.Outputs.Count)
            throw new ArgumentException("an output without a mark in the log could leave before the backup knows of it.", nameof(recorded));
        (_link?.Lag ?? _clone?.Log?.Lag)?.Recorded(now, _lastLsn, _icount);
    }

    private void AddOutput(GatedOutput output)
    {
        if (_gate.Add(output))
            Release([output]);
    }

    private void Release(IReadOnlyList<GatedOutput> outputs)
    {
        if (outputs.Count == 0)
            return;
        _core.Emit(new ReplicaEffect.Release(outputs));
        Performed(_ledger.Hand(outputs));
    }

    private void Performed(IReadOnlyList<ulong> numbers)
    {
        foreach (ulong number in numbers)
            _gate.Performed(number);
    }

    private void BeginClone(Instant now, string peer)
    {
        var session = new ChannelSession(_core.Generation, ++_attempts);
        _core.OpenSession(peer, session);
        var clone = new CloneSwitch(_core, _setup, peer, session, _pageCount, now);
        _clone = clone;
        _core.Become(ReplicaRole.CloningPrimary);
        StepClone(now, clone, new CloneSenderInput.Tick());
    }

    private void StepClone(Instant now, CloneSwitch clone, CloneSenderInput input)
    {
        if (clone.Step(now, input, _icount) is { } failure)
            AbandonClone(clone, failure);
    }

    /// <summary>Before the commit the backup is entitled to nothing, so that giving up needs nobody's consent.</summary>
    private void AbandonClone(CloneSwitch clone, string why, bool isFailure = true)
    {
        _core.LastError = isFailure ? $"the copy to {clone.Peer} failed: {why}" : null;
        clone.End();
        _core.Close(ChannelCloseReason.Cancelled, why);
        (_lastClone, _clone) = (clone.Progress, null);
        EndSession(clone.Transmitter);
        _core.Become(ReplicaRole.Solo);
        _core.Report($"clone ended: {why}");
    }

    private void EndSession(LogTransmitter transmitter)
    {
        _logBytesSentBefore += transmitter.BytesSent;
        _unable = null;
        _core.CloseSession();
    }

    /// <inheritdoc/>
    public void Settle(Instant now)
    {
        _opening.Settle(now);
        if (_clone is { } clone)
            SettleClone(now, clone);
        if (_link is { } link)
            SettleLink(now, link);
        else
            LookAtRecord(now);
        if (_core.Role == ReplicaRole.Halted)
            return;
        if (_runs && now < _core.Fence)
            ReleaseAcknowledged(now);
        Talk(now);
        if (_end is { } end && _gate.Count == 0 && (_link is null || _link.Entries.Count == 0))
        {
            _core.Close(ChannelCloseReason.Ended, end.Text);
            _core.Halt(HaltReason.MachineEnded, end.Text);
            return;
        }
        Pace(now);
    }

    private void ReleaseAcknowledged(Instant now)
    {
        var released = _gate.Release(Log?.Acknowledged ?? Lsn.None);
        if (_link is not null)
        {
            foreach (var output in released)
                _delays.Add(now - output.Since);
        }
        Release(released);
    }

    private void SettleClone(Instant now, CloneSwitch clone)
    {
        if (clone.Log is not { } log)
            return;
        if (log.Entries.IsFull)
        {
            // An unprotected machine never waits for a copy.
            AbandonClone(clone, "the log grew beyond its limit before the copy was complete");
            return;
        }
        // Outputs from before the copy will not be made again by the backup: they must have left.
        if (!clone.IsConfirmed || _core.Fence != FenceTime.Open || _gate.LastReleased < log.From.LastOutput || _end is not null)
            return;
        var entitledFrom = log.From.LastLsn < _gate.LastHandedMark ? _gate.LastHandedMark : log.From.LastLsn;
        // Blocks of separate disks were copied behind the switch, with what the machine had written until then, whether or not the fence let other outputs pass.
        if (_options.HasSeparateDisks)
            entitledFrom = _lastLsn;
        _gate.Hold();
        _ledger.Protect(on: true);
        (_lastClone, _clone) = (clone.Progress, null);
        _link = new BackupLink(_core, _options, clone, log, entitledFrom, now);
        _core.Become(ReplicaRole.ProtectedPrimary);
        _core.Emit(new ReplicaEffect.SendConsoleHistory(clone.Peer, clone.Session));
    }

    private void SettleLink(Instant now, BackupLink link)
    {
        if (link.IsSilent(now))
            ClaimNext(now, DropCause.Silent, $"{link.Peer} is silent");
        link.Settle(now, _core.Stopped.HasFlag(StopReasons.HandingOver), _gate.Count, _ledger.DiskRequestsUnderWay);
        if (!_core.Arbiter.IsAsking && link.MustCheckOwnership(now))
            _core.CheckOwnership(now);
    }

    /// <summary>
    /// A replica without a backup has no rival by protocol, but an operator may have started the VM elsewhere. It runs on while the arbiter does not answer.
    /// </summary>
    private void LookAtRecord(Instant now)
    {
        if (!_runs || now < _nextCheck || _core.Arbiter.IsAsking)
            return;
        if (_nextCheck != default)
            _core.CheckOwnership(now);
        _nextCheck = now + _options.OwnershipCheckInterval;
    }

    /// <summary>Sends what is due, or that there is nothing.</summary>
    private void Talk(Instant now)
    {
        if (_clone is { } clone)
        {
            clone.Transmitter.Talk(now, clone.IsConfirmed ? clone.Log?.Entries : null, clone.Log is not null,
                new PrimaryState(_lastLsn, _gate.LastReleased, Entitled: false, Lsn.None));
        }
        else if (_link is { } link && link.Transmitter.Talk(now, link.Entries, knowsLog: true, new PrimaryState(_lastLsn, _gate.LastReleased, Entitled: true, link.EntitledFrom))
            && link.HasYielded)
        {
            _core.Send(link.Peer, new FailoverYield(link.Session.Generation, link.Session.Attempt, _lastLsn.Value, _gate.LastAdded));
        }
    }

    private void Pace(Instant now)
    {
        var stop = _end is not null ? StopReasons.Ended : StopReasons.None;
        int share = 100;
        if (_gate.IsFull)
            stop |= StopReasons.OutputsFull;
        if (_link is { } link)
        {
            link.Lag.Step(now);
            share = link.Lag.SharePercent;
            stop |= (link.Entries.MustStop ? StopReasons.LogFull : 0) | (link.Lag.MustStop ? StopReasons.Lag : 0)
                | (link.IsHandingOver ? StopReasons.HandingOver : 0);
        }
        _core.SetPace(stop, share);
    }

    /// <summary>Wants to go on without the backup: only as the owner of the next generation.</summary>
    private void ClaimNext(Instant now, DropCause cause, string why)
    {
        if (_core.Arbiter.IsClaiming)
            return;
        _drop = (cause, why);
        _core.Report($"{why}: asking the arbiter for generation {_core.Generation + 1}");
        _core.ClaimNext(now);
    }

    /// <inheritdoc/>
    public void Won(Instant now, ulong generation)
    {
        if (_link is not { } link)
            return;
        _core.LastError = _drop.Cause == DropCause.Unprotected ? null : $"the backup on {link.Peer} was lost: {_drop.Why}";
        _core.Close(ChannelCloseReason.Dropped, _drop.Why);
        _core.Own(generation);
        _link = null;
        EndSession(link.Transmitter);
        _ledger.Protect(on: false);
        _gate.PassThrough();
        _core.Become(ReplicaRole.Solo);
        _core.SetFence(FenceTime.Open);
        _core.Emit(new ReplicaEffect.DropBackup(_drop.Cause, link.Peer, _drop.Why));
    }

    /// <summary>
    /// This process did not run for a while, and cannot know what happened meanwhile. A protected primary's lease takes care of that; one without a
    /// backup looks at its record before it acts again.
    /// </summary>
    public void AfterPause(Instant now)
    {
        if (_link is not null)
            return;
        _core.SetFence(FenceTime.Closed);
        _core.CheckOwnership(now);
    }

    /// <inheritdoc/>
    public void StillOwner()
    {
        if (_link is null)
            _core.SetFence(FenceTime.Open);
    }

    /// <summary>The backup goes on with its replay while it is not yet sure that this host is dead: the longer of the two counts.</summary>
    private TimeSpan? OutageExpected(Instant now)
    {
        if (_link is not { IsProtected: true } link || _unable is not null)
            return null;
        var drain = link.Lag.Drain(now);
        return (drain > _options.FailureTimeout ? drain : _options.FailureTimeout) + GoLiveExpected;
    }

    private TimeSpan GoLiveExpected => _core.Times is { Live.Ticks: > 0 } own ? own.Live - own.Drained : _options.GoLiveExpected;

    /// <inheritdoc/>
    public ReplicaStatus Describe(Instant now, ReplicaStatus common) => _gate.Describe(common) with
    {
        Protected = _link is { IsProtected: true, Lag.IsNear: true } && _unable is null,
        CanTakeOver = _link is { IsProtected: true } && _unable is null,
        Runs = _runs,
        Unable = _unable,
        LogEnd = _lastLsn,
        Acknowledged = Log?.Acknowledged ?? Lsn.None,
        Executed = _link?.BackupExecuted ?? Lsn.None,
        Icount = _icount,
        LogEntries = Log?.Count ?? 0,
        LogBytes = Log?.Bytes ?? 0,
        Lag = (_link?.Lag ?? _clone?.Log?.Lag)?.Lag(now) ?? TimeSpan.Zero,
        OutageExpected = OutageExpected(now),
        LogBytesSent = _logBytesSentBefore + ((_link?.Transmitter ?? _clone?.Transmitter)?.BytesSent ?? 0),
        OutputDelayMedian = _delays.AtShare(0.5),
        OutputDelayP99 = _delays.AtShare(0.99),
        OutputsDelayed = _delays.Count,
    };
}
