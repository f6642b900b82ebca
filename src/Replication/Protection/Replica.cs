using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Protection;

/// <summary>One session of the log channel: one attempt of the primary of one generation to have a backup.</summary>
public readonly record struct ChannelSession(ulong Generation, ulong Attempt);

/// <summary>
/// All decisions of one replica: roles, output rule, log channel, lag, failure detection, arbiter, going live. Pure: the shell hands in
/// what happened with the time, and performs the effects in order. Steps are short, and may be taken from any thread, one at a time.
/// </summary>
/// <remarks>docs/failure-model.md says what may be lost, which harm that could do, and which rule here prevents it.</remarks>
public sealed partial class Replica
{
    private readonly ReplicaIdentity _id;
    private readonly ProtectionOptions _options;
    private readonly ArbiterClient _arbiter;
    private readonly OutputGate _gate;
    private List<ReplicaEffect> _effects = [];
    private ChannelSession _session;
    private string? _peer;
    private FailureDetector? _detector;
    private Instant _lastStep;
    private Instant _lastSent;
    private Instant _fence;
    private StopReasons _stop;
    private int _share = 100;
    private ulong _icount;
    private bool _ended;
    private Lsn _endedAt;

    private Replica(ReplicaIdentity id, ProtectionOptions options, GateMode mode, LogPosition position, Instant now)
    {
        ArgumentNullException.ThrowIfNull(id);
        ArgumentNullException.ThrowIfNull(options);
        if (options.Validate() is { } wrong)
            throw new ArgumentException(wrong, nameof(options));
        (_id, _options) = (id, options);
        _arbiter = new ArbiterClient(id, options);
        _gate = new OutputGate(options, mode, position.LastOutput);
        _lastStep = _lastSent = now;
        _lastLsn = position.LastLsn;
    }

    /// <summary>A live, unprotected replica, whose generation the arbiter has granted.</summary>
    public static Replica StartSolo(ReplicaIdentity id, ProtectionOptions options, ulong generation, LogPosition position, Instant now)
    {
        ArgumentOutOfRangeException.ThrowIfZero(generation);
        return new Replica(id, options, GateMode.PassThrough, position, now) { Role = ReplicaRole.Solo, Generation = generation, _fence = FenceTime.Open };
    }

    /// <summary>A backup that has accepted the offer of a copy in this session.</summary>
    public static Replica StartBackup(ReplicaIdentity id, ProtectionOptions options, ChannelSession session, string primaryNode, Instant now) =>
        new(id, options, GateMode.Replaying, default, now)
        {
            Role = ReplicaRole.BackupSyncing,
            Generation = session.Generation,
            _session = session,
            _peer = primaryNode,
            _detector = new FailureDetector(options, now),
            _fence = FenceTime.Closed,
        };

    /// <summary>What this replica is now.</summary>
    public ReplicaRole Role { get; private set; }

    /// <summary>The generation it belongs to; of a live replica, the one it owns.</summary>
    public ulong Generation { get; private set; }

    /// <summary>The session of its log channel, if it has a peer.</summary>
    public ChannelSession Session => _session;

    /// <summary>Devices may act before this: <see cref="FenceTime.Open"/>, <see cref="FenceTime.Closed"/>, or the end of a protected primary's lease.</summary>
    public Instant Fence => _fence;

    /// <summary>Takes an input.</summary>
    /// <returns>What to do, in order.</returns>
    public IReadOnlyList<ReplicaEffect> Step(Instant now, ReplicaInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (Role == ReplicaRole.Halted)
            return [];
        now = Instant.Max(now, _lastStep);
        if (now - _lastStep > _options.PauseGuard)
            AfterPause(now);
        _lastStep = now;
        Take(now, input);
        if (_arbiter.Tick(now) is { } again)
            Ask(now, again);
        Settle(now);
        var effects = _effects;
        _effects = [];
        return effects;
    }

    /// <summary>What an operator sees.</summary>
    public ReplicaStatus Status(Instant now) => new()
    {
        Role = Role,
        Generation = Generation,
        Peer = _peer,
        Protected = Role == ReplicaRole.Backup || (Role == ReplicaRole.ProtectedPrimary && _protected),
        LogEnd = _receive?.LastReceived ?? _lastLsn,
        Acknowledged = _send?.Acknowledged ?? _receive?.LastReceived ?? Lsn.None,
        Executed = _receive?.LastExecuted ?? _backupExecuted,
        Icount = _icount,
        LogEntries = _send?.Count ?? _receive?.Count ?? 0,
        LogBytes = _send?.Bytes ?? _receive?.Bytes ?? 0,
        HeldOutputs = _gate.Held,
        OutputsUnderWay = _gate.Count,
        OutputBytes = _gate.Bytes,
        LastReleased = _gate.LastReleased,
        Lag = _lag?.Lag(now) ?? TimeSpan.Zero,
        SharePercent = _share,
        Stopped = _stop,
        ArbiterFailures = _arbiter.Failures,
        LogBytesSent = _logBytesSent,
        OutputDelayMedian = _delays.AtShare(0.5),
        OutputDelayP99 = _delays.AtShare(0.99),
        OutputsDelayed = _delays.Count,
    };

    private void Take(Instant now, ReplicaInput input)
    {
        switch (input)
        {
            case ReplicaInput.PeerNodeHeard:
                _detector?.Step(now, DetectorInput.NodeHeard);
                break;
            case ReplicaInput.Received { Message: var message } when new ChannelSession(message.Generation, message.Attempt) == _session:
                if (ReplicaRoles.IsLive(Role))
                    HearBackup(now, message);
                else
                    HearPrimary(now, message);
                break;
            case ReplicaInput.ArbiterAnswered answer:
                if (_arbiter.Answered(now, answer.Attempt, answer.Verdict) is { } step)
                    Ask(now, step);
                else if (answer.Verdict == OwnershipVerdict.Unreachable && _arbiter.Failures == 1)
                    Report("the arbiter's storage does not answer: waiting for it");
                break;
            default:
                if (ReplicaRoles.IsLive(Role))
                    TakeLive(now, input);
                else
                    TakeBackup(now, input);
                break;
        }
    }

    private void Settle(Instant now)
    {
        if (ReplicaRoles.IsLive(Role))
            SettleLive(now);
        else if (Role != ReplicaRole.Halted)
            SettleBackup(now);
    }

    /// <summary>Performs what the arbiter's client asks for, or what its answer means.</summary>
    private void Ask(Instant now, ArbiterStep? step)
    {
        switch (step)
        {
            case ArbiterStep.Claim claim:
                Emit(new ReplicaEffect.AskArbiter(claim.Attempt, claim.Wanted));
                break;
            case ArbiterStep.Check check:
                Emit(new ReplicaEffect.CheckOwnership(check.Attempt, check.Held));
                break;
            case ArbiterStep.Settled { Verdict: OwnershipVerdict.Lost } lost:
                Halt(lost.WasCheck ? HaltReason.OwnershipLost : HaltReason.ArbiterLost,
                    $"another replica owns {_id.Vm} from generation {lost.Question.Generation} on or a later one");
                break;
            case ArbiterStep.Settled { WasCheck: true }:
                StillOwner();
                break;
            case ArbiterStep.Settled won when Role == ReplicaRole.GoingLive:
                GoLive(now, won.Question.Generation);
                break;
            case ArbiterStep.Settled won when Role == ReplicaRole.ProtectedPrimary:
                GoOnAlone(won.Question.Generation);
                break;
            default:
                break;
        }
    }

    private void Become(ReplicaRole role)
    {
        if (!ReplicaRoles.MayFollow(Role, role))
            throw new InvalidOperationException($"a replica that is {Role} cannot become {role}.");
        Emit(new ReplicaEffect.RoleChanged(Role, role, Generation));
        Role = role;
    }

    private void Halt(HaltReason reason, string what)
    {
        // Devices first: nothing may leave once this replica knows that it must not act.
        SetFence(FenceTime.Closed);
        Become(ReplicaRole.Halted);
        if (_session != default)
            Emit(new ReplicaEffect.CloseChannel(_session));
        Emit(new ReplicaEffect.HaltReplica(reason, what));
    }

    private void SetFence(Instant until)
    {
        if (until == _fence)
            return;
        _fence = until;
        Emit(new ReplicaEffect.FenceChanged(until));
    }

    private void SetPace(StopReasons stop, int share)
    {
        if (stop == _stop && share == _share)
            return;
        (_stop, _share) = (stop, share);
        Emit(new ReplicaEffect.SetPace(stop, share));
    }

    private void Close(ChannelCloseReason reason, string text) =>
        Emit(new ReplicaEffect.Send(new ChannelClosed(_session.Generation, _session.Attempt, reason, text)));

    private void Report(string what) => Emit(new ReplicaEffect.ReportStatus(what));

    private void Emit(ReplicaEffect effect) => _effects.Add(effect);
}
