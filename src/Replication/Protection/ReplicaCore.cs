using System.Collections.Immutable;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Protection;

/// <summary>
/// Everything that one replica decides: roles, output rule, log channel, copy, lag, failure detection, arbiter, going live, hand-over, divergence. Pure: whoever
/// performs its effects hands in what happened, with the time, and performs what each step returns, completely and in order, before the next step.
/// docs/failure-model.md says what may be lost, which harm that could do, and which rule here prevents it.
/// </summary>
/// <remarks>
/// The contract with the performer:
/// <list type="number">
/// <item><description><see cref="ReplicaInput.Begin"/> is the first input. <see cref="ReplicaEffect.HaltReplica"/> is the last effect; what is handed in after it is ignored.</description></item>
/// <item><description>
/// <see cref="ReplicaEffect.FenceChanged"/> holds for every device before the next effect is performed: a fence that closes comes before the message by which
/// another replica learns that it may act.
/// </description></item>
/// <item><description>
/// <see cref="ReplicaEffect.Send"/> needs no more than an attempt. <see cref="ReplicaEffect.Release"/> comes after the acknowledgement that allows it, so a performer
/// that reorders the two breaks nothing but the watermark: what a message reports as released must have been handed over.
/// </description></item>
/// <item><description>
/// Going live is a dialogue: <see cref="ReplicaEffect.StopReplay"/> is answered by <see cref="ReplicaInput.ReplayStopped"/>, which leads to
/// <see cref="ReplicaEffect.OpenDevices"/>, which is answered by <see cref="ReplicaInput.MachineReady"/>, which leads to <see cref="ReplicaEffect.Announce"/>,
/// <see cref="ReplicaEffect.Reissue"/>, <see cref="ReplicaEffect.Release"/>, <see cref="ReplicaEffect.Run"/>, in this order and in one step (the paper, 2.2 and 3.4).
/// The machine executes nothing between the end of replay and <see cref="ReplicaEffect.Run"/>.
/// </description></item>
/// <item><description>
/// What the machine has recorded is handed in by <see cref="ReplicaInput.Recorded"/> in order and without a gap, each output with its mark; the end of a disk
/// request (<see cref="ReplicaInput.DiskRequestEnded"/>) before the entry that records it.
/// </description></item>
/// <item><description>Replay executes no entry that was not fed, and reports outputs with or before the entry that covers them.</description></item>
/// <item><description>Answers of an old copy carry its session, and are ignored; answers of an old question to the arbiter likewise.</description></item>
/// </list>
/// </remarks>
public sealed class ReplicaCore
{
    private readonly ReplicaSetup _setup;
    private readonly LogRate _logRate = new();
    private IReplicaSide _side;
    private List<ReplicaEffect> _effects = [];
    private Instant _lastStep;
    private int _share = 100;
    private int _reconnects;
    private long _lastBeat;
    private ulong _digestsChecked;
    private ulong _lastDigestIcount;

    private ReplicaCore(ReplicaSetup setup, Instant now, Func<ReplicaCore, IReplicaSide> side)
    {
        ArgumentNullException.ThrowIfNull(setup);
        if (setup.Protection.Validate() is { } wrong)
            throw new ArgumentException(wrong, nameof(setup));
        (_setup, _lastStep) = (setup, now);
        Arbiter = new ArbiterClient(setup.Id, setup.Protection);
        Evidence = new DivergenceEvidence(setup.EvidenceLogBytes);
        _side = side(this);
    }

    /// <summary>A live, unprotected replica, whose generation the arbiter has granted.</summary>
    public static ReplicaCore StartSolo(ReplicaSetup setup, ulong generation, LogPosition position, Instant now)
    {
        ArgumentOutOfRangeException.ThrowIfZero(generation);
        return new ReplicaCore(setup, now, core => LiveSide.Start(core, setup, position)) { Role = ReplicaRole.Solo, Generation = generation, Fence = FenceTime.Open };
    }

    /// <summary>A backup that accepts the offer of a copy.</summary>
    public static ReplicaCore StartBackup(ReplicaSetup setup, CloneOffer offer, Instant now)
    {
        ArgumentNullException.ThrowIfNull(offer);
        return new ReplicaCore(setup, now, core => new BackupSide(core, setup, offer, now))
        {
            Role = ReplicaRole.BackupSyncing,
            Generation = offer.Generation,
            Session = new ChannelSession(offer.Generation, offer.Attempt),
            Peer = offer.Node,
            Fence = FenceTime.Closed,
        };
    }

    /// <summary>Who this replica is.</summary>
    public ReplicaIdentity Id => _setup.Id;

    /// <summary>What this replica is now.</summary>
    public ReplicaRole Role { get; private set; }

    /// <summary>The generation it belongs to; of a live replica, the one it owns.</summary>
    public ulong Generation { get; private set; }

    /// <summary>The session of its log channel; the default value if it has no peer.</summary>
    public ChannelSession Session { get; private set; }

    /// <summary>The node of the other replica; null if there is none.</summary>
    public string? Peer { get; private set; }

    /// <summary>Devices may act before this: <see cref="FenceTime.Open"/>, <see cref="FenceTime.Closed"/>, or the end of a protected primary's lease.</summary>
    public Instant Fence { get; private set; }

    /// <summary>Why the machine stands still, live or in replay.</summary>
    public StopReasons Stopped { get; private set; }

    /// <summary>Outputs are on their way: held, or handed to devices and not performed.</summary>
    public bool HasOutputsUnderWay => _side.HasOutputsUnderWay;

    internal ArbiterClient Arbiter { get; }

    internal DivergenceEvidence Evidence { get; }

    internal FailoverTimes Times { get; set; } = new();

    /// <summary>See <see cref="ReplicaView"/>.</summary>
    internal string? LastError { get; set; }

    /// <summary>Takes an input.</summary>
    /// <param name="now">A reading of the host's monotonic clock.</param>
    /// <param name="input">What happened.</param>
    /// <returns>What to do, in order.</returns>
    public IReadOnlyList<ReplicaEffect> Step(Instant now, ReplicaInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (Role == ReplicaRole.Halted)
            return [];
        now = Instant.Max(now, _lastStep);
        if (now - _lastStep > _setup.Protection.PauseGuard)
            _side.AfterPause(now);
        _lastStep = now;
        Take(now, input);
        if (Role != ReplicaRole.Halted && Arbiter.Tick(now) is { } again)
            Ask(now, again);
        if (Role != ReplicaRole.Halted)
            _side.Settle(now);
        var effects = _effects;
        _effects = [];
        return effects;
    }

    /// <summary>What an operator sees.</summary>
    public ReplicaView View(Instant now) =>
        new(Status(now), Times, _digestsChecked, _lastDigestIcount, _logRate.BitsPerSecond, _reconnects, _side.LastClone, now.SinceStart, LastError);

    /// <summary>The protocol's state.</summary>
    public ReplicaStatus Status(Instant now) => _side.Describe(now, new ReplicaStatus
    {
        Role = Role,
        Generation = Generation,
        Peer = Peer,
        SharePercent = _share,
        Stopped = Stopped,
        ArbiterFailures = Arbiter.Failures,
    });

    private void Take(Instant now, ReplicaInput input)
    {
        switch (input)
        {
            case ReplicaInput.NodeRestarted { Node: var node }:
                if (node == Peer)
                {
                    _side.PeerRestarted(now);
                }
                break;
            case ReplicaInput.Received { Message: var message }:
                if (Peer is not null && new ChannelSession(message.Generation, message.Attempt) == Session)
                {
                    if (message is ReplicaBeat beat)
                    {
                        Follow(now, beat);
                        break;
                    }
                    _logRate.Add((message as LogAppend)?.Frames.Length ?? 0);
                    _side.Hear(now, message);
                }
                break;
            case ReplicaInput.ArbiterAnswered answer:
                if (Arbiter.Answered(now, answer.Attempt, answer.Verdict) is { } step)
                    Ask(now, step);
                else if (answer.Verdict == OwnershipVerdict.Unreachable && Arbiter.Failures == 1)
                    Report("the arbiter's storage does not answer: waiting for it");
                break;
            case ReplicaInput.HostFailed failed:
                Halt(HaltReason.HostFailed, failed.What);
                break;
            default:
                if (input is ReplicaInput.Tick)
                    _logRate.Tick(now);
                _side.Step(now, input);
                break;
        }
    }

    /// <summary>The process of the peer's replica lives. Beats that are missing were lost with all that was under way between them.</summary>
    private void Follow(Instant now, ReplicaBeat beat)
    {
        _side.NodeHeard(now);
        bool isGap = _lastBeat > 0 && beat.Sequence > _lastBeat + 1;
        if (isGap)
        {
            Report($"{beat.Sequence - _lastBeat - 1} heartbeats of {Peer} were lost, the channel is resumed");
            _reconnects++;
            _side.Reconnected(now);
        }
        _lastBeat = Math.Max(_lastBeat, beat.Sequence);
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
                    $"another replica owns {Id.Vm} from generation {lost.Question.Generation} on or a later one");
                break;
            case ArbiterStep.Settled { WasCheck: true }:
                _side.StillOwner();
                break;
            case ArbiterStep.Settled won:
                _side.Won(now, won.Question.Generation);
                break;
            default:
                break;
        }
    }

    /// <summary>Asks the arbiter for the generation after this one.</summary>
    internal void ClaimNext(Instant now) => Ask(now, Arbiter.Claim(now, Generation + 1));

    /// <summary>Asks the arbiter whether this replica still owns its generation.</summary>
    internal void CheckOwnership(Instant now) => Ask(now, Arbiter.Check(now, Generation));

    /// <summary>This replica owns a generation from now on.</summary>
    internal void Own(ulong generation) => Generation = generation;

    internal void OpenSession(string peer, ChannelSession session)
    {
        (Peer, Session, _lastBeat) = (peer, session, 0);
        Evidence.Clear();
    }

    internal void CloseSession() => (Peer, Session) = (null, default);

    /// <summary>The backup becomes the live replica: its generation is won.</summary>
    internal void GoLive(LiveSide side)
    {
        _side = side;
        Become(ReplicaRole.Solo);
        SetFence(FenceTime.Open);
    }

    /// <summary>The machine runs live.</summary>
    internal void WentLive(Instant now, int outputsResent, int requestsReissued) =>
        Times = Times with { Live = now.SinceStart, OutputsResent = outputsResent, DiskRequestsReissued = requestsReissued };

    internal void NoteDigests(ulong digestsChecked, ulong lastDigestIcount) => (_digestsChecked, _lastDigestIcount) = (digestsChecked, lastDigestIcount);

    internal void Become(ReplicaRole role)
    {
        if (!ReplicaRoles.MayFollow(Role, role))
            throw new InvalidOperationException($"a replica that is {Role} cannot become {role}.");
        Emit(new ReplicaEffect.RoleChanged(Role, role, Generation));
        Role = role;
    }

    internal void Halt(HaltReason reason, string what)
    {
        if (Role == ReplicaRole.Halted)
            return;
        // Devices first: nothing may leave once this replica knows that it must not act.
        SetFence(FenceTime.Closed);
        Become(ReplicaRole.Halted);
        CloseSession();
        Emit(new ReplicaEffect.HaltReplica(reason, what));
    }

    internal void SetFence(Instant until)
    {
        if (until == Fence)
            return;
        Fence = until;
        Emit(new ReplicaEffect.FenceChanged(until));
    }

    internal void SetPace(StopReasons stop, int share)
    {
        if (stop == Stopped && share == _share)
            return;
        (Stopped, _share) = (stop, share);
        Emit(new ReplicaEffect.SetPace(stop, share));
    }

    /// <summary>Tells the peer that the session ends, if there is one.</summary>
    internal void Close(ChannelCloseReason reason, string text)
    {
        if (Peer is { } peer)
            Send(peer, new ChannelClosed(Session.Generation, Session.Attempt, reason, text));
    }

    internal void Send(string node, IChannelMessage message)
    {
        _logRate.Add((message as LogAppend)?.Frames.Length ?? 0);
        Emit(new ReplicaEffect.Send(node, message));
    }

    internal void KeepEvidence(string side, Lsn lsn, ulong icount, string what, ImmutableArray<string> differences) =>
        Emit(new ReplicaEffect.KeepEvidence(new DivergenceReport(Id.Vm, Id.Node, side, Session, lsn, icount, what, differences, Evidence.Log)));

    internal void Report(string what) => Emit(new ReplicaEffect.ReportStatus(what));

    internal void Emit(ReplicaEffect effect) => _effects.Add(effect);
}
