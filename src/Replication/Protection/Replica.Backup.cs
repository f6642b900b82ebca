using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Protection;

/// <summary>The other side: syncing, backup, going live.</summary>
public sealed partial class Replica
{
    private readonly Queue<(Lsn Last, long Recorded)> _stamps = new();
    private LogReceiveBuffer? _receive;
    private long _leaseTicks = long.MinValue;
    private long _echo = long.MinValue;
    private bool _entitled;
    private Lsn _yieldAt;
    private bool _yielded;
    private Instant _lastAck;
    private Lsn _reported;
    private bool _ackDue;
    private bool _ackPending;
    private int _bytesSinceAck;
    private bool _resendDue;
    private bool _primaryEnded;

    private void TakeBackup(Instant now, ReplicaInput input)
    {
        switch (input)
        {
            case ReplicaInput.CopyAssembled copy when Role == ReplicaRole.BackupSyncing && _receive is null:
                _receive = new LogReceiveBuffer(_options, copy.Position.LastLsn);
                _gate.StartAfter(copy.Position.LastOutput);
                _icount = copy.Icount;
                _reported = copy.Position.LastLsn;
                (_ackDue, _resendDue) = (true, true);
                break;
            case ReplicaInput.Replayed replayed when _receive is not null:
                Replay(replayed);
                break;
            case ReplicaInput.OutputPerformed performed:
                _gate.Performed(performed.Number);
                break;
            case ReplicaInput.OwnDiskFailed failed:
                Close(ChannelCloseReason.Gone, $"a disk of {_id.Node} failed: {failed.What}");
                Halt(HaltReason.DiskFailed, $"this replica's own disk is no copy any more: {failed.What}");
                break;
            case ReplicaInput.Diverged diverged:
                Close(ChannelCloseReason.Diverged, $"diverged at icount {diverged.Divergence.Icount}: {diverged.Divergence.What}");
                Halt(HaltReason.Diverged, $"replay left the recording at entry {diverged.Divergence.Lsn}, icount {diverged.Divergence.Icount}: {diverged.Divergence.What}");
                break;
            case ReplicaInput.Leave when Role is ReplicaRole.Backup or ReplicaRole.BackupSyncing:
                Close(ChannelCloseReason.Gone, $"the node {_id.Node} stops");
                Halt(HaltReason.Left, "the node stops");
                break;
            case ReplicaInput.ChannelReconnected when _receive is not null:
                (_ackDue, _resendDue) = (true, true);
                break;
            default:
                break;
        }
    }

    private void Replay(ReplicaInput.Replayed replayed)
    {
        _icount = Math.Max(_icount, replayed.Icount);
        foreach (var output in replayed.Outputs)
        {
            var made = new GatedOutput(_gate.LastAdded + 1, output, Lsn.None);
            if (_gate.Add(made))
                Emit(new ReplicaEffect.ReleaseOutputs([made]));
        }
        _receive!.Executed(replayed.Executed);
        while (_stamps.TryPeek(out var stamp) && stamp.Last <= _receive.LastExecuted)
            _echo = Math.Max(_echo, _stamps.Dequeue().Recorded);
        _ended |= _endedAt != Lsn.None && _receive.LastExecuted >= _endedAt;
    }

    private void HearPrimary(Instant now, IChannelMessage message)
    {
        // Once the arbiter was asked there is no way back: what the primary says now must renew none of its rights.
        if (Role == ReplicaRole.GoingLive && _arbiter.IsClaiming)
            return;
        _detector!.Step(now, DetectorInput.ChannelHeard);
        if (Role == ReplicaRole.GoingLive && !_yielded)
        {
            Become(ReplicaRole.Backup);
            Report($"{_peer} is heard again");
        }
        switch (message)
        {
            case LogAppend append:
                HearAppend(append);
                break;
            case LogReleased released when _receive is not null:
                _gate.PeerReleased(released.ReleasedOutput);
                break;
            case FailoverYield yield when Role == ReplicaRole.Backup && _receive is not null:
                _yieldAt = new Lsn(yield.LastLsn);
                _yielded = _receive.LastReceived >= _yieldAt;
                _resendDue |= !_yielded;
                _ackDue = true;
                break;
            case ChannelClosed { Reason: ChannelCloseReason.Ended } when Role == ReplicaRole.Backup && _options.HasSeparateDisks && _endedAt != Lsn.None:
                // The machine has ended and all it said has left, but this replica's own disks lack what replay has still to write. Nobody is left to fall silent.
                _primaryEnded = true;
                _gate.PeerReleased(ulong.MaxValue);
                break;
            case ChannelClosed closed:
                Halt(closed.Reason == ChannelCloseReason.Ended ? HaltReason.MachineEnded : HaltReason.Dropped, closed.Text);
                break;
            default:
                break;
        }
    }

    private void HearAppend(LogAppend append)
    {
        _leaseTicks = Math.Max(_leaseTicks, append.SentAtTicks);
        if (_receive is null)
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
            var taken = _receive.Receive(entries);
            _resendDue |= taken.Gap;
            // What came again did so because an acknowledgement was lost.
            _ackDue |= taken.Gap || taken.Fresh.Count < entries.Count;
            if (taken.Fresh.Count == 0)
                continue;
            if (taken.Fresh[^1].Lsn == entries[^1].Lsn)
                _stamps.Enqueue((entries[^1].Lsn, append.RecordedTicks));
            _ackDue |= HasOutput(taken.Fresh);
            if (taken.Fresh[^1].Payload is EndPayload)
                _endedAt = taken.Fresh[^1].Lsn;
            Emit(new ReplicaEffect.FeedReplay(taken.Fresh));
        }
        _entitled |= append.Entitled && _receive.LastReceived.Value >= append.EntitledFromLsn;
        if (_entitled && Role == ReplicaRole.BackupSyncing)
        {
            Become(ReplicaRole.Backup);
            Report($"backup of {_peer}");
        }
    }

    private static bool HasOutput(IReadOnlyList<LogEntry> entries)
    {
        foreach (var entry in entries)
        {
            if (entry.Payload is OutputMarkPayload)
                return true;
        }
        return false;
    }

    private void SettleBackup(Instant now)
    {
        bool suspect = _detector!.Step(now, DetectorInput.Tick) == PeerHealth.Suspect;
        if (Role == ReplicaRole.BackupSyncing && suspect)
        {
            Halt(HaltReason.PrimaryLostBeforeSync, $"{_peer} fell silent before this copy could take over");
            return;
        }
        // An ended machine has nothing to take over, once all it said has left.
        if (_ended && Role == ReplicaRole.Backup && _gate.PeerLastReleased >= _gate.LastAdded && _gate.OwnPending == 0)
        {
            Acknowledge(now);
            Halt(HaltReason.MachineEnded, "the machine ended");
            return;
        }
        if (Role == ReplicaRole.Backup && (suspect || _yielded) && !_primaryEnded)
        {
            Become(ReplicaRole.GoingLive);
            Report(_yielded ? $"{_peer} hands over" : $"{_peer} is silent");
            Emit(new ReplicaEffect.DrainThenGoLive(_receive!.LastReceived));
        }
        // A replica whose own disk is not where its machine is could not go on, and must not keep another from it.
        if (Role == ReplicaRole.GoingLive && !_arbiter.IsClaiming && _receive!.LastExecuted >= _receive.LastReceived && _gate.OwnPending == 0)
            Ask(now, _arbiter.Claim(now, Generation + 1));
        bool reportDue = _receive is not null && (_ackPending || _receive.LastExecuted > _reported) && now - _lastAck >= _options.ExecutionReportInterval;
        if (Role != ReplicaRole.GoingLive && _receive is not null && (_ackDue || reportDue))
            Acknowledge(now);
        SetPace(MustHoldReplay ? StopReasons.ReplayOutputsFull : StopReasons.None, 100);
    }

    /// <summary>
    /// A full gate holds replay until the primary reports that outputs have left. A replica that goes live may hear no more of that: only its own disk, whose requests
    /// end without the primary, still holds it, since what it owes there is limited too. When they have ended it goes on, full or not.
    /// </summary>
    private bool MustHoldReplay => _gate.IsFull && (Role != ReplicaRole.GoingLive || _gate.OwnPending > 0);

    private void Acknowledge(Instant now)
    {
        (_lastAck, _reported) = (now, _receive!.LastExecuted);
        if (!_primaryEnded)
        {
            Emit(new ReplicaEffect.Send(new LogAck(_receive.LastReceived.Value, _receive.LastExecuted.Value, _icount, _echo,
                _session.Generation, _session.Attempt, _leaseTicks, _resendDue)));
        }
        (_ackDue, _ackPending, _resendDue, _bytesSinceAck) = (false, false, false, 0);
    }

    /// <summary>The next generation is won: the paper's order, 2.2 and 3.4.</summary>
    private void GoLive(Instant now, ulong generation)
    {
        Close(ChannelCloseReason.TookOver, $"generation {generation} is here");
        Generation = generation;
        _lastLsn = _receive!.LastReceived;
        var position = new LogPosition(_lastLsn, _gate.LastAdded);
        Emit(new ReplicaEffect.CloseChannel(_session));
        (_session, _peer, _detector, _receive) = (default, null, null, null);
        _lastSent = now;
        Become(ReplicaRole.Solo);
        SetFence(FenceTime.Open);
        SetPace(_ended ? StopReasons.Ended : StopReasons.None, 100);
        Emit(new ReplicaEffect.AnnounceAddress());
        Emit(new ReplicaEffect.ReissuePendingDiskIo());
        Emit(new ReplicaEffect.ReleaseOutputs(_gate.GoLive()));
        Emit(new ReplicaEffect.BecomeLive(generation, position));
    }
}
