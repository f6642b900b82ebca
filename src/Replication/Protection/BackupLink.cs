using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;

namespace FtAkka.Replication.Protection;

/// <summary>A primary's side of a session with a backup that replays: the log, the lag, the lease, the watch over the backup, the hand-over.</summary>
internal sealed class BackupLink
{
    /// <summary>One question for entries that are gone can be late; many say that the backup lost what it had.</summary>
    private const int OldResendsMax = 16;

    private readonly ReplicaCore _core;
    private readonly ProtectionOptions _options;
    private readonly FailureDetector _detector;
    private readonly HandOver _handOver = new();
    private Instant _lease;
    private Instant _nextCheck;
    private Instant _yielded;
    private bool _backupKnows;
    private int _oldResends;

    /// <param name="core">The replica.</param>
    /// <param name="options">Limits.</param>
    /// <param name="copied">The copy that has made the backup.</param>
    /// <param name="log">The log since then.</param>
    /// <param name="entitledFrom">The entry that the backup needs before it may take over.</param>
    /// <param name="now">Time.</param>
    public BackupLink(ReplicaCore core, ProtectionOptions options, CloneSwitch copied, SwitchedLog log, Lsn entitledFrom, Instant now)
    {
        (_core, _options, Peer, Session, Transmitter) = (core, options, copied.Peer, copied.Session, copied.Transmitter);
        (Entries, Lag, EntitledFrom) = (log.Entries, log.Lag, entitledFrom);
        _detector = new FailureDetector(options, now);
        _lease = now + options.LeaseDuration;
        Transmitter.SpeakAtOnce();
    }

    /// <summary>The backup's node.</summary>
    public string Peer { get; }

    /// <summary>The session.</summary>
    public ChannelSession Session { get; }

    /// <summary>Speaks to the backup.</summary>
    public LogTransmitter Transmitter { get; }

    /// <summary>Entries that the backup has not acknowledged.</summary>
    public LogSendBuffer Entries { get; }

    /// <summary>How far the backup is behind.</summary>
    public LagController Lag { get; }

    /// <summary>The entry that the backup needs before it may take over.</summary>
    public Lsn EntitledFrom { get; }

    /// <summary>The backup could take over now.</summary>
    public bool IsProtected { get; private set; }

    /// <summary>Newest entry that the backup has executed, as far as it has said.</summary>
    public Lsn BackupExecuted { get; private set; }

    /// <summary>A hand-over is under way: the machine must not run.</summary>
    public bool IsHandingOver => _handOver.IsUnderWay;

    /// <summary>The backup was told that it may take over.</summary>
    public bool HasYielded => _handOver.HasYielded;

    /// <summary>The backup's node, or its replica, was heard.</summary>
    public void Heard(Instant now, DetectorInput what) => _detector.Step(now, what);

    /// <summary>Begins a hand-over, if none is under way.</summary>
    public void BeginHandOver() => _handOver.Begin();

    /// <summary>A disk request has ended.</summary>
    public void DiskEnded() => _handOver.DiskEnded();

    /// <summary>Everything that the machine was given is recorded.</summary>
    public void Flushed() => _handOver.Flushed();

    /// <summary>The connection was made anew: what was not acknowledged is sent again.</summary>
    public void Reconnected(Instant now) => Entries.TryResume(now, Entries.Acknowledged);

    /// <summary>The backup acknowledges.</summary>
    /// <returns>False if it misses entries that are gone: it cannot follow any more.</returns>
    public bool TryHear(Instant now, LogAck ack)
    {
        var received = new Lsn(ack.ReceivedLsn);
        Entries.Acknowledge(now, received);
        _backupKnows |= ack.Entitled;
        bool isLost = ack.Resend && !Entries.TryResume(now, received) && received < Entries.Acknowledged && _oldResends++ >= OldResendsMax;
        if (received >= Entries.Acknowledged)
            _oldResends = 0;
        Lag.Executed(now, new Lsn(ack.ExecutedLsn), new Instant(ack.EchoedTicks), ack.ExecutedIcount);
        if (ack.ExecutedLsn > BackupExecuted.Value)
            BackupExecuted = new Lsn(ack.ExecutedLsn);
        // The backup does not go live before this plus the lease (docs/failure-model.md); a stamp from the future is a lie.
        if (ack.LeaseTicks <= now.Ticks && !HasYielded)
            _lease = Instant.Max(_lease, new Instant(ack.LeaseTicks) + _options.LeaseDuration);
        return !isLost;
    }

    /// <summary>
    /// Whether the backup has been silent for so long that it counts as dead. One to which this side has yielded drains the log and asks the arbiter, and has nothing
    /// to say meanwhile: its node's heartbeats are enough for <see cref="ProtectionOptions.PatienceMax"/>.
    /// </summary>
    public bool IsSilent(Instant now)
    {
        bool suspect = _detector.Step(now, DetectorInput.Tick) == PeerHealth.Suspect;
        bool takesOver = HasYielded && _detector.NodeBeats && now - _yielded < _options.PatienceMax;
        return suspect && !takesOver;
    }

    /// <summary>Moves on what depends on time and acknowledgements.</summary>
    /// <param name="now">Time.</param>
    /// <param name="machineStopped">The machine was told to stop for the hand-over.</param>
    /// <param name="outputsUnderWay">Outputs that have not left.</param>
    /// <param name="disksUnderWay">Disk requests that have not ended.</param>
    public void Settle(Instant now, bool machineStopped, int outputsUnderWay, int disksUnderWay)
    {
        if (!IsProtected && _backupKnows)
        {
            IsProtected = true;
            _core.LastError = null;
            _core.Report($"protected by {Peer}");
        }
        Entries.ResendWhenStuck(now);
        switch (_handOver.Next(machineStopped && IsProtected, outputsUnderWay == 0 && Entries.Count == 0, disksUnderWay))
        {
            case HandOverStep.Flush:
                _core.Emit(new ReplicaEffect.Flush());
                break;
            case HandOverStep.Yield:
                _yielded = now;
                Transmitter.SpeakAtOnce();
                break;
            default:
                break;
        }
        _core.SetFence(HasYielded ? FenceTime.Closed : _lease);
    }

    /// <summary>Whether the lease has run out, and it is time to look again who owns the VM: perhaps the backup has taken over.</summary>
    public bool MustCheckOwnership(Instant now)
    {
        if (now < _lease || now < _nextCheck)
            return false;
        _nextCheck = now + _options.FailureTimeout;
        return true;
    }
}
