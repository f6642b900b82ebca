using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Protection;

/// <summary>The live side: solo, cloning, protected.</summary>
public sealed partial class Replica
{
    private enum HandOver
    {
        None,
        /// <summary>The machine stops, outputs leave.</summary>
        Stopping,
        /// <summary>Disk requests complete.</summary>
        Quiescing,
        /// <summary>The last entries are on their way.</summary>
        Draining,
        /// <summary>The backup may take over; nothing leaves here any more.</summary>
        Yielded,
    }

    private readonly OutputDelays _delays = new();
    private long _logBytesSent;
    private ulong _attempts;
    private Lsn _lastLsn;
    private LogSendBuffer? _send;
    private LagController? _lag;
    private LogPosition _switch;
    private Lsn _entitledFrom;
    private Lsn _backupExecuted;
    private Instant _nextCheck;
    private ulong _releasedSent;
    private Instant _lastReleasedSent;
    private string _dropReason = "";
    private DropCause _dropCause;
    private HandOver _handOver;
    private bool _confirmed;
    private bool _protected;

    private void TakeLive(Instant now, ReplicaInput input)
    {
        switch (input)
        {
            case ReplicaInput.Recorded recorded:
                Record(now, recorded);
                break;
            case ReplicaInput.OutputPerformed performed:
                _gate.Performed(performed.Number);
                break;
            case ReplicaInput.Protect protect when Role == ReplicaRole.Solo && !_ended:
                BeginClone(now, protect.PeerNode);
                break;
            case ReplicaInput.CloneSwitched switched when Role == ReplicaRole.CloningPrimary && _send is null:
                _switch = switched.Position;
                _send = new LogSendBuffer(_options, switched.Position.LastLsn, now);
                _lag = new LagController(_options, switched.Position.LastLsn, now, _icount);
                break;
            case ReplicaInput.CloneConfirmed when Role == ReplicaRole.CloningPrimary && _send is not null:
                _confirmed = true;
                break;
            case ReplicaInput.CloneFailed failed when Role == ReplicaRole.CloningPrimary:
                AbandonClone(failed.Why);
                break;
            case ReplicaInput.Unprotect when Role == ReplicaRole.CloningPrimary:
                AbandonClone("cancelled");
                break;
            case ReplicaInput.Unprotect when Role == ReplicaRole.ProtectedPrimary:
                ClaimNext(now, DropCause.Unprotected, "unprotected");
                break;
            case ReplicaInput.PlannedFailover when Role == ReplicaRole.ProtectedPrimary && _protected && !_ended && !_arbiter.IsClaiming:
                BeginHandOver();
                break;
            case ReplicaInput.Leave when Role == ReplicaRole.CloningPrimary:
                AbandonClone("the node stops");
                break;
            case ReplicaInput.Leave when Role == ReplicaRole.ProtectedPrimary && !_ended && !_arbiter.IsClaiming:
                BeginHandOver();
                break;
            case ReplicaInput.DisksQuiesced when _handOver == HandOver.Quiescing:
                _handOver = HandOver.Draining;
                break;
            case ReplicaInput.ChannelReconnected when Role == ReplicaRole.ProtectedPrimary:
                _send!.TryResume(now, _send.Acknowledged);
                break;
            default:
                break;
        }
    }

    private void Record(Instant now, ReplicaInput.Recorded recorded)
    {
        _icount = Math.Max(_icount, recorded.Icount);
        int next = 0;
        foreach (var entry in recorded.Entries)
        {
            ArgumentOutOfRangeException.ThrowIfNotEqual(entry.Lsn, _lastLsn.Next);
            _lastLsn = entry.Lsn;
            _send?.Append(now, entry);
            if (entry.Payload is OutputMarkPayload mark)
            {
                while (next < recorded.Outputs.Count && _gate.LastAdded < mark.LastOutput)
                    AddOutput(new GatedOutput(_gate.LastAdded + 1, recorded.Outputs[next++], entry.Lsn, now));
            }
            else if (entry.Payload is EndPayload)
            {
                _ended = true;
            }
        }
        if (next < recorded.Outputs.Count)
            throw new ArgumentException("an output without a mark in the log could leave before the backup knows of it.", nameof(recorded));
        _lag?.Recorded(now, _lastLsn, _icount);
    }

    private void AddOutput(GatedOutput output)
    {
        if (_gate.Add(output))
            Emit(new ReplicaEffect.ReleaseOutputs([output]));
    }

    private void BeginClone(Instant now, string peer)
    {
        _session = new ChannelSession(Generation, ++_attempts);
        (_peer, _confirmed, _protected, _handOver, _entitledFrom, _releasedSent) = (peer, false, false, HandOver.None, Lsn.None, 0);
        _backupExecuted = Lsn.None;
        _lastSent = now;
        Become(ReplicaRole.CloningPrimary);
        Emit(new ReplicaEffect.OpenChannel(peer, _session));
    }

    /// <summary>Before the commit the backup is entitled to nothing, so that giving up needs nobody's consent.</summary>
    private void AbandonClone(string why)
    {
        Emit(new ReplicaEffect.AbortClone(why));
        Close(ChannelCloseReason.Cancelled, why);
        EndSession();
        Become(ReplicaRole.Solo);
        Report($"clone ended: {why}");
    }

    private void EndSession()
    {
        Emit(new ReplicaEffect.CloseChannel(_session));
        (_session, _send, _lag, _detector, _peer) = (default, null, null, null, null);
        (_confirmed, _protected, _handOver) = (false, false, HandOver.None);
    }

    private void HearBackup(Instant now, IChannelMessage message)
    {
        _detector?.Step(now, DetectorInput.ChannelHeard);
        switch (message)
        {
            case LogAck ack when _send is not null:
                HearAck(now, ack);
                break;
            case ChannelClosed { Reason: ChannelCloseReason.TookOver } when Role == ReplicaRole.ProtectedPrimary:
                Halt(HaltReason.HandedOver, $"{_peer} took over");
                break;
            case ChannelClosed closed when Role == ReplicaRole.CloningPrimary:
                AbandonClone($"{_peer} gave up: {closed.Text}");
                break;
            case ChannelClosed closed when Role == ReplicaRole.ProtectedPrimary:
                ClaimNext(now, closed.Reason == ChannelCloseReason.Diverged ? DropCause.Diverged : DropCause.GaveUp, $"{_peer} gave up: {closed.Text}");
                break;
            default:
                break;
        }
    }

    private void HearAck(Instant now, LogAck ack)
    {
        var received = new Lsn(ack.ReceivedLsn);
        _send!.Acknowledge(now, received);
        if (ack.Resend && !_send.TryResume(now, received) && received < _send.Acknowledged && Role == ReplicaRole.ProtectedPrimary
            && _oldResend++ >= OldResendsMax)
        {
            // One such message can be late; many say that the backup lost what it had.
            ClaimNext(now, DropCause.EntriesGone, $"{_peer} misses entries that are gone");
        }
        if (received >= _send.Acknowledged)
            _oldResend = 0;
        _lag!.Executed(now, new Lsn(ack.ExecutedLsn), new Instant(ack.EchoedTicks), ack.ExecutedIcount);
        if (ack.ExecutedLsn > _backupExecuted.Value)
            _backupExecuted = new Lsn(ack.ExecutedLsn);
        // The backup does not go live before this plus the lease (docs/failure-model.md); a stamp from the future is a lie.
        if (Role == ReplicaRole.ProtectedPrimary && ack.LeaseTicks <= now.Ticks && _handOver != HandOver.Yielded)
            _lease = Instant.Max(_lease, new Instant(ack.LeaseTicks) + _options.LeaseDuration);
    }

    private const int OldResendsMax = 16;
    private int _oldResend;
    private Instant _lease;

    private void SettleLive(Instant now)
    {
        if (Role == ReplicaRole.CloningPrimary)
            SettleClone(now);
        if (Role == ReplicaRole.ProtectedPrimary)
            SettleProtected(now);
        if (Role == ReplicaRole.Halted)
            return;
        if (now < _fence && _gate.Release(_send?.Acknowledged ?? Lsn.None) is { Count: > 0 } released)
        {
            foreach (var output in Role == ReplicaRole.ProtectedPrimary ? released : [])
                _delays.Add(now - output.Since);
            Emit(new ReplicaEffect.ReleaseOutputs(released));
        }
        if (_session != default)
            Talk(now);
        if (_ended && _gate.Count == 0 && (_send is null || Role == ReplicaRole.CloningPrimary || _send.Count == 0))
        {
            if (_session != default)
                Close(ChannelCloseReason.Ended, "the machine ended");
            Halt(HaltReason.MachineEnded, "the machine ended, and all it said has left");
            return;
        }
        Pace(now);
    }

    private void SettleClone(Instant now)
    {
        if (_send is { IsFull: true })
        {
            // An unprotected machine never waits for a copy.
            AbandonClone("the log grew beyond its limit before the copy was complete");
            return;
        }
        // Outputs from before the copy will not be made again by the backup: they must have left.
        if (!_confirmed || _fence != FenceTime.Open || _gate.LastReleased < _switch.LastOutput || _ended)
            return;
        _entitledFrom = _switch.LastLsn < _gate.LastHandedMark ? _gate.LastHandedMark : _switch.LastLsn;
        // Blocks of separate disks were copied behind the switch, with what the machine had written until then, whether or not the fence let other outputs pass.
        if (_options.HasSeparateDisks)
            _entitledFrom = _lastLsn;
        _gate.Hold();
        _detector = new FailureDetector(_options, now);
        _lease = now + _options.LeaseDuration;
        _oldResend = 0;
        Become(ReplicaRole.ProtectedPrimary);
        _lastSent = Instant.Earliest;
    }

    private void SettleProtected(Instant now)
    {
        if (!_protected && _send!.Acknowledged >= _entitledFrom)
        {
            _protected = true;
            Report($"protected by {_peer}");
        }
        if (_detector!.Step(now, DetectorInput.Tick) == PeerHealth.Suspect)
            ClaimNext(now, DropCause.Silent, $"{_peer} is silent");
        _send!.ResendWhenStuck(now);
        StepHandOver();
        SetFence(_handOver == HandOver.Yielded ? FenceTime.Closed : _lease);
        if (now >= _lease && now >= _nextCheck && !_arbiter.IsAsking)
        {
            // Perhaps the backup has taken over; if so, it is better to know.
            _nextCheck = now + _options.FailureTimeout;
            Ask(now, _arbiter.Check(now, Generation));
        }
    }

    private void BeginHandOver() => _handOver = _handOver == HandOver.None ? HandOver.Stopping : _handOver;

    private void StepHandOver()
    {
        bool said = _gate.Count == 0 && _send!.Count == 0;
        // Not before the backup may take over.
        if (_handOver == HandOver.Stopping && said && _protected && _stop.HasFlag(StopReasons.HandingOver))
        {
            _handOver = HandOver.Quiescing;
            Emit(new ReplicaEffect.QuiesceDisks());
        }
        else if (_handOver == HandOver.Draining && said)
        {
            _handOver = HandOver.Yielded;
            _lastSent = Instant.Earliest;
        }
    }

    /// <summary>Sends what is due, or that there is nothing.</summary>
    private void Talk(Instant now)
    {
        if (_send is not null && (Role == ReplicaRole.ProtectedPrimary || _confirmed))
        {
            foreach (var batch in _send.Flush(now))
            {
                SendAppend(now, LogFrame.Write(batch.Entries), batch.Entries[0].Lsn, batch.Entries[^1].Lsn, batch.Recorded);
            }
        }
        if (_lastSent == Instant.Earliest || now - _lastSent >= _options.HeartbeatInterval)
        {
            SendAppend(now, [], _lastLsn, _lastLsn, now);
            if (_handOver == HandOver.Yielded)
                Emit(new ReplicaEffect.Send(new FailoverYield(_session.Generation, _session.Attempt, _lastLsn.Value, _gate.LastAdded)));
        }
        else if (_gate.LastReleased > _releasedSent && now - Instant.Max(_lastSent, _lastReleasedSent) >= _options.BatchDelayMax && _send is not null)
        {
            (_releasedSent, _lastReleasedSent) = (_gate.LastReleased, now);
            Emit(new ReplicaEffect.Send(new LogReleased(_gate.LastReleased, _session.Generation, _session.Attempt)));
        }
    }

    private void SendAppend(Instant now, byte[] frames, Lsn first, Lsn last, Instant recorded)
    {
        _lastSent = now;
        _logBytesSent += frames.Length;
        _releasedSent = _gate.LastReleased;
        Emit(new ReplicaEffect.Send(new LogAppend(System.Runtime.InteropServices.ImmutableCollectionsMarshal.AsImmutableArray(frames),
            first.Value, last.Value, _session.Generation, _session.Attempt, now.Ticks, recorded.Ticks, _gate.LastReleased,
            Role == ReplicaRole.ProtectedPrimary, _entitledFrom.Value)));
    }

    private void Pace(Instant now)
    {
        var stop = _ended ? StopReasons.Ended : StopReasons.None;
        int share = 100;
        if (_gate.IsFull)
            stop |= StopReasons.OutputsFull;
        if (Role == ReplicaRole.ProtectedPrimary)
        {
            _lag!.Step(now);
            share = _lag.SharePercent;
            stop |= (_send!.MustStop ? StopReasons.LogFull : 0) | (_lag.MustStop ? StopReasons.Lag : 0)
                | (_handOver != HandOver.None ? StopReasons.HandingOver : 0);
        }
        SetPace(stop, share);
    }

    /// <summary>Wants to go on without the backup: only as the owner of the next generation.</summary>
    private void ClaimNext(Instant now, DropCause cause, string why)
    {
        if (_arbiter.IsClaiming)
            return;
        (_dropCause, _dropReason) = (cause, why);
        Report($"{why}: asking the arbiter for generation {Generation + 1}");
        Ask(now, _arbiter.Claim(now, Generation + 1));
    }

    private void GoOnAlone(ulong generation)
    {
        Close(ChannelCloseReason.Dropped, _dropReason);
        Generation = generation;
        string peer = _peer!;
        EndSession();
        _gate.PassThrough();
        Become(ReplicaRole.Solo);
        SetFence(FenceTime.Open);
        Emit(new ReplicaEffect.DropBackup(_dropCause, peer, _dropReason));
    }

    /// <summary>
    /// This process did not run for a while, and cannot know what happened meanwhile. A protected primary's lease takes care of that; a
    /// solo one has no rival by protocol, but an operator may have started the VM elsewhere.
    /// </summary>
    private void AfterPause(Instant now)
    {
        if (Role is not (ReplicaRole.Solo or ReplicaRole.CloningPrimary))
            return;
        SetFence(FenceTime.Closed);
        Ask(now, _arbiter.Check(now, Generation));
    }

    private void StillOwner()
    {
        if (Role is ReplicaRole.Solo or ReplicaRole.CloningPrimary)
            SetFence(FenceTime.Open);
    }
}
