using System.Collections.Immutable;
using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.Machine;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Events;
using FtAkka.Replication.Devices;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;
using FtAkka.Replication.Replay;

namespace FtAkka.Actors.Protection;

/// <summary>What a <see cref="ReplicaShell"/> works with.</summary>
public sealed record ReplicaShellOptions
{
    /// <summary>Who the replica is.</summary>
    public required ReplicaIdentity Id { get; init; }

    /// <summary>Limits and intervals.</summary>
    public required ProtectionOptions Protection { get; init; }

    /// <summary>Limits of a clone.</summary>
    public CloneOptions CloneLimits { get; init; } = new();

    /// <summary>What a backup's host must know to build the same machine.</summary>
    public required string Profile { get; init; }

    /// <summary>The way to the other replica.</summary>
    public required IReplicaPort Port { get; init; }

    /// <summary>Decides who goes on.</summary>
    public required IArbiter Arbiter { get; init; }

    /// <summary>Monotonic clock.</summary>
    public required Func<TimeSpan> Clock { get; init; }

    /// <summary>Told <see cref="ReplicaEvents"/>; must not block.</summary>
    public required Action<object> Tell { get; init; }

    /// <summary>Runs long work that keeps nobody waiting, by default on a thread of its own.</summary>
    public Action<Action> InBackground { get; init; } = work => new Thread(() => work()) { IsBackground = true, Name = "replica" }.Start();

    /// <summary>The newest output of the serial console, and its position; null: a new backup has none from before its copy.</summary>
    public Func<(ulong Offset, ImmutableArray<byte> Bytes)>? ConsoleHistory { get; init; }

    /// <summary>Given that of the primary; must not block.</summary>
    public Action<ulong, ImmutableArray<byte>>? ConsoleHistoryReceived { get; init; }

    /// <summary>Given what this replica knows of a divergence; must not block. Null: it is only logged.</summary>
    public Action<DivergenceReport>? KeepEvidence { get; init; }

    /// <summary>How much of the log is kept for that, in bytes.</summary>
    public long EvidenceLogBytes { get; init; } = 8 << 20;

    /// <summary>Shown the entries that a live machine records; must not block.</summary>
    public Action<IReadOnlyList<LogEntry>>? Recorded { get; init; }

    /// <summary>Shown the outputs that a backup makes in replay; must not block.</summary>
    public Action<IReadOnlyList<MachineEffect>>? Replayed { get; init; }
}

/// <summary>
/// Runs one <see cref="Replica"/>: takes what happens on any thread (machine, wire, timer), steps the replica under a lock, and performs its
/// effects on the same thread, so that an acknowledgement releases outputs without a thread switch. Steps are short and never block.
/// </summary>
public sealed partial class ReplicaShell : IMachineObserver
{
    private readonly Lock sync = new();
    private readonly Queue<object> inputs = new();
    private readonly ReplicaShellOptions options;
    private readonly Replica replica;
    private readonly List<LogEntry> unfed = [];
    private readonly List<GatedOutput> goLiveOutputs = [];
    private readonly DivergenceEvidence evidence;
    private bool stepping;
    private bool dead;
    private string? peer;
    private IActorRef? machine;
    private GuestMachine? guest;
    private OutputPerformer? performer;
    private IActorRef? replay;
    private IActorRef? disks;
    private GoLivePlan? plan;
    private (StopReasons Stop, int Share) pace = (StopReasons.None, 100);
    private long fence;
    private readonly RateMeter logRate = new();
    private ulong digestsChecked;
    private ulong lastDigestIcount;
    private int reconnects;
    private FailoverTimes times = new();
    private bool quiescing;
    private string? protectWhenStarted;
    private readonly bool readsOnBackup;

    private ReplicaShell(ReplicaShellOptions options, Replica replica)
    {
        (this.options, this.replica) = (options, replica);
        fence = replica.Fence.Ticks;
        evidence = new DivergenceEvidence(options.EvidenceLogBytes);
        readsOnBackup = options.Protection.Disks.Any(disk => disk.BackupReads);
    }

    /// <summary>A live replica without a backup, whose generation the arbiter has granted.</summary>
    public static ReplicaShell StartSolo(ReplicaShellOptions options, ulong generation)
    {
        ArgumentNullException.ThrowIfNull(options);
        return new ReplicaShell(options, Replica.StartSolo(options.Id, options.Protection, generation, default, Read(options)));
    }

    /// <summary>Called when <see cref="MayAct"/> may have become true, on the thread that made it so; must not block.</summary>
    public Action? FenceMoved { get; set; }

    /// <summary>Whether devices may act at this moment. Asked by devices immediately before they act, on their threads.</summary>
    public bool MayAct => options.Clock().Ticks < Volatile.Read(ref fence);

    /// <summary>Outputs are on their way: held, or handed to devices and not performed.</summary>
    public bool HasOutputsUnderWay
    {
        get
        {
            lock (sync)
            {
                return !dead && (replica.Status(Now).OutputsUnderWay > 0 || performer?.OutstandingDiskRequests > 0);
            }
        }
    }

    private Instant Now => Read(options);

    /// <summary>The runner for the live machine.</summary>
    /// <param name="live">The machine.</param>
    /// <param name="digestInterval">Instructions between digests in the log.</param>
    public IMachineRunner CreateRunner(GuestMachine live, ulong digestInterval) =>
        new ReplicaRunner(new MachineRecorder(live, digestInterval, plan?.Position ?? default) { DigestTaken = Witnessed }, this);

    /// <summary>Time has passed.</summary>
    public void Tick() => Post(new ReplicaInput.Tick());

    /// <summary>Name of the node of the peer's replica; null while there is none. May be read on any thread.</summary>
    public string? PeerNode => Volatile.Read(ref peer);

    /// <summary>The node of the peer was heard.</summary>
    public void NodeHeard(string node)
    {
        if (node == peer)
        {
            Post(new ReplicaInput.PeerNodeHeard());
        }
    }

    /// <summary>Messages of that node were lost on the way: the connection broke and is there again.</summary>
    public void Reconnected(string node)
    {
        lock (sync)
        {
            if (node != peer)
            {
                return;
            }
            reconnects++;
        }
        Post(new ReplicaInput.ChannelReconnected());
    }

    /// <summary>A message of the peer's replica, on the thread that received it.</summary>
    public void Received(IChannelMessage message) => Post(message);

    /// <summary>Operator: make a backup on that node, as soon as there is a machine to copy.</summary>
    public void Protect(string node)
    {
        lock (sync)
        {
            if (machine is null)
            {
                protectWhenStarted = node;
                return;
            }
        }
        Post(new ReplicaInput.Protect(node));
    }

    /// <summary>Operator: go on without backup.</summary>
    public void Unprotect() => Post(new ReplicaInput.Unprotect());

    /// <summary>Operator: let the backup take over.</summary>
    public void PlannedFailover() => Post(new ReplicaInput.PlannedFailover());

    /// <summary>The node stops in order.</summary>
    public void Leave() => Post(new ReplicaInput.Leave());

    /// <summary>The machine is lost: fall silent, so that the backup takes over, and let no device act again.</summary>
    public void Die()
    {
        lock (sync)
        {
            dead = true;
            Volatile.Write(ref fence, FenceTime.Closed.Ticks);
        }
    }

    /// <summary>What an operator sees.</summary>
    public ReplicaView View()
    {
        lock (sync)
        {
            return new ReplicaView(replica.Status(Now), times, digestsChecked, lastDigestIcount, logRate.BitsPerSecond, reconnects, CloneProgress, options.Clock());
        }
    }

    /// <inheritdoc/>
    public void Started(IActorRef machine, GuestMachine guest, IReadOnlyList<DeviceLink> devices)
    {
        lock (sync)
        {
            (this.machine, this.guest) = (machine, guest);
            copy = null;   // The machine actor's from here on.
            performer = new OutputPerformer(machine, devices, options.Protection);
            disks?.Tell(new ReplicaDisksProtocol.Use([.. devices.Where(device => device.Kind == DeviceKind.Disk)]));
            ApplyPace();
            if (plan is not null)
            {
                TakeOver(plan, guest);
            }
            if (protectWhenStarted is { } node)
            {
                protectWhenStarted = null;
                Post(new ReplicaInput.Protect(node));
            }
        }
    }

    /// <summary>The paper's order (2.2, 3.4): addresses, pending disk requests, outputs that may not have left. The machine runs afterwards.</summary>
    private void TakeOver(GoLivePlan from, GuestMachine guest)
    {
        foreach (DeviceLink nic in performer!.Nics)
        {
            if (nic.Dialect.Announcement is { } announcement)
            {
                nic.Actor.Tell(announcement, machine);
            }
        }
        (int Disk, Machine.Virtio.Block.DiskRequest Request)[] pending = [.. guest.OutstandingDiskRequests];
        performer.Reissue(pending, guest.Icount);
        Perform(from.Outputs);
        times = times with { Live = options.Clock(), OutputsResent = from.Outputs.Count, DiskRequestsReissued = pending.Length };
    }

    /// <inheritdoc/>
    public void Heard(DeviceLink device, DeviceNews news)
    {
        lock (sync)
        {
            if (performer is null)
            {
                return;
            }
            foreach (ulong number in performer.Heard(device, news))
            {
                Post(new ReplicaInput.OutputPerformed(number));
            }
            if (quiescing && performer.OutstandingDiskRequests == 0)
            {
                Quiesced();
            }
        }
    }

    internal void Recorded(IReadOnlyList<LogEntry> entries, IReadOnlyList<MachineEffect> outputs, ulong icount)
    {
        options.Recorded?.Invoke(entries);
        if (Volatile.Read(ref peer) is not null)
        {
            lock (sync)
            {
                evidence.Keep(entries);
            }
        }
        Post(new ReplicaInput.Recorded(WithoutOwnReads(entries), outputs, icount));
    }

    internal void Replayed(Lsn executed, ulong icount, IReadOnlyList<MachineEffect> outputs, ulong digests, ulong lastDigest)
    {
        if (outputs.Count > 0)
        {
            options.Replayed?.Invoke(outputs);
        }
        (digestsChecked, lastDigestIcount) = (digests, lastDigest);
        Post(new ReplicaInput.Replayed(executed, icount, outputs));
    }

    /// <summary>The machine has just taken a digest for the log.</summary>
    internal void Witnessed(GuestMachine at, IReadOnlyList<PageDigest> pages)
    {
        if (Volatile.Read(ref peer) is null)
        {
            return;
        }
        var witness = StateWitness.Of(at, pages);
        lock (sync)
        {
            evidence.Keep(witness);
        }
    }

    internal void Diverged(Divergence divergence, StateWitness witness)
    {
        lock (sync)
        {
            if (peer is not null)
            {
                options.Port.Send(peer, witness.ToMessage(replica.Session, divergence.Lsn));
            }
            KeepEvidence("backup", divergence.Lsn, divergence.Icount, Describe(divergence), []);
        }
        Post(new ReplicaInput.Diverged(divergence));
    }

    /// <summary>The backup says what it had where it diverged; it closes next.</summary>
    private void HearWitness(DivergenceWitness message)
    {
        if (new ChannelSession(message.Generation, message.Attempt) != replica.Session)
        {
            return;
        }
        ImmutableArray<string> differences = evidence.At(message.Icount) is { } own ? StateWitness.Differences(own, StateWitness.Of(message)) : [];
        string first = differences.IsEmpty ? "no register and no page, or the digest is not kept any more" : differences[0];
        options.Tell(new ReplicaEvents.Reported($"the backup on {peer} diverged at icount {message.Icount}; the first difference: {first}"));
        KeepEvidence("primary", new Lsn(message.Lsn), message.Icount, $"the backup on {peer} reported it", differences);
    }

    private static string Describe(Divergence divergence) => divergence is { Expected: { } expected, Actual: { } actual }
        ? $"{divergence.What} ({string.Join(", ", new[] { ("CPU", expected.Cpu != actual.Cpu), ("devices", expected.Devices != actual.Devices), ("memory", expected.Memory != actual.Memory) }
            .Where(part => part.Item2).Select(part => part.Item1))} differ)"
        : divergence.What;

    private void KeepEvidence(string side, Lsn lsn, ulong icount, string what, ImmutableArray<string> differences) =>
        options.KeepEvidence?.Invoke(new DivergenceReport(options.Id.Vm, options.Id.Node, side, replica.Session, lsn, icount, what, differences, evidence.Log));

    private static Instant Read(ReplicaShellOptions options) => new(options.Clock().Ticks);

    /// <summary>Takes an input. What effects lead to is taken after them, in order.</summary>
    private void Post(object input)
    {
        lock (sync)
        {
            inputs.Enqueue(input);
            if (stepping)
            {
                return;
            }
            stepping = true;
            try
            {
                while (!dead && inputs.TryDequeue(out object? next))
                {
                    Step(next);
                }
            }
#pragma warning disable CA1031 // A mistake of the protocol must not end the wire's thread: the replica falls silent, and the other one takes over.
            catch (Exception mistake)
#pragma warning restore CA1031
            {
                dead = true;
                Volatile.Write(ref fence, FenceTime.Closed.Ticks);
                options.Tell(new ReplicaEvents.Failed(mistake));
            }
            finally
            {
                stepping = false;
            }
        }
    }

    private void Step(object input)
    {
        switch (input)
        {
            case ReplicaInput replicaInput:
                StepReplica(replicaInput);
                break;
            case ConsoleHistory history:
                if (new ChannelSession(history.Generation, history.Attempt) == replica.Session)
                {
                    options.ConsoleHistoryReceived?.Invoke(history.Offset, history.Bytes);
                }
                break;
            case DivergenceWitness witness:
                HearWitness(witness);
                break;
            case IChannelMessage message:
                if (!ReplicaRoles.IsLive(replica.Role))
                {
                    times = replica.Role == ReplicaRole.Backup ? times with { LastHeard = options.Clock() } : times;
                }
                if (message is LogAppend append)
                {
                    logRate.Add(append.Frames.Length);
                }
                StepCloneWith(message);
                StepReplica(new ReplicaInput.Received(message));
                break;
            case CloneSenderInput senderInput:
                StepSender(senderInput);
                break;
            case CloneReceiverInput receiverInput:
                StepReceiver(receiverInput);
                break;
            default:
                throw new InvalidOperationException($"Nobody takes {input}.");
        }
    }

    private void StepReplica(ReplicaInput input)
    {
        if (input is ReplicaInput.Tick)
        {
            logRate.Tick(options.Clock());
            TickClone();
        }
        foreach (ReplicaEffect effect in replica.Step(Now, input))
        {
            Perform(effect);
        }
    }

    private void Perform(ReplicaEffect effect)
    {
        switch (effect)
        {
            case ReplicaEffect.Send send:
                if (peer is not null)
                {
                    logRate.Add(send.Message is LogAppend append ? append.Frames.Length : 0);
                    options.Port.Send(peer, send.Message);
                }
                break;
            case ReplicaEffect.ReleaseOutputs release:
                Release(release.Outputs);
                break;
            case ReplicaEffect.FeedReplay feed:
                Feed(feed.Entries);
                break;
            case ReplicaEffect.FenceChanged changed:
                Volatile.Write(ref fence, changed.Until.Ticks);
                FenceMoved?.Invoke();
                break;
            case ReplicaEffect.SetPace set:
                pace = (set.Stop, set.SharePercent);
                ApplyPace();
                break;
            case ReplicaEffect.AskArbiter ask:
                times = replica.Role == ReplicaRole.GoingLive && times.Drained == default ? times with { Drained = options.Clock() } : times;
                options.Arbiter.Claim(ask.Claim, verdict => Post(new ReplicaInput.ArbiterAnswered(ask.Attempt, verdict)));
                break;
            case ReplicaEffect.CheckOwnership check:
                options.Arbiter.Check(check.Claim, verdict => Post(new ReplicaInput.ArbiterAnswered(check.Attempt, verdict)));
                break;
            case ReplicaEffect.OpenChannel open:
                OpenChannel(open);
                break;
            case ReplicaEffect.AbortClone:
                StopSender();
                break;
            case ReplicaEffect.DrainThenGoLive:
                times = times with { Suspected = options.Clock(), Drained = default };
                break;
            case ReplicaEffect.QuiesceDisks:
                Quiesce();
                break;
            default:
                Report(effect);
                break;
        }
    }

    /// <summary>Effects that only the supervisor acts on.</summary>
    private void Report(ReplicaEffect effect)
    {
        switch (effect)
        {
            case ReplicaEffect.RoleChanged changed:
                if (changed.To == ReplicaRole.ProtectedPrimary)
                {
                    SendConsoleHistory();
                }
                performer?.ReadEpoch = changed.To == ReplicaRole.ProtectedPrimary ? ++readEpochs : 0;
                options.Tell(new ReplicaEvents.RoleChanged(changed.From, changed.To, changed.Generation));
                break;
            case ReplicaEffect.ReportStatus report:
                options.Tell(new ReplicaEvents.Reported(report.What));
                break;
            case ReplicaEffect.CloseChannel:
                StopSender();
                peer = null;
                break;
            case ReplicaEffect.DropBackup drop:
                options.Tell(new ReplicaEvents.BackupDropped(drop.Cause, drop.Peer, drop.Why));
                break;
            case ReplicaEffect.BecomeLive live:
                times = times with { Won = options.Clock() };
                plan = new GoLivePlan(live.Generation, live.Position, [.. goLiveOutputs]);
                goLiveOutputs.Clear();
                options.Tell(new ReplicaEvents.GoLive(plan));
                break;
            case ReplicaEffect.HaltReplica halt:
                Volatile.Write(ref fence, FenceTime.Closed.Ticks);
                options.Tell(new ReplicaEvents.Halted(halt.Reason, halt.What));
                break;
            // Both are part of starting the devices of a machine that goes live (Started).
            case ReplicaEffect.AnnounceAddress or ReplicaEffect.ReissuePendingDiskIo:
                break;
            default:
                throw new InvalidOperationException($"Nobody performs {effect}.");
        }
    }

    private void Release(IReadOnlyList<GatedOutput> outputs)
    {
        if (performer is null)
        {
            foreach (GatedOutput output in outputs)
            {
                // In replay no other output leaves; going live, no disk request is among them.
                if (output.Effect is DiskRequested own)
                {
                    disks!.Tell(new ReplicaDisksProtocol.Perform(output.Number, own.Disk, own.Request));
                }
                else
                {
                    goLiveOutputs.Add(output);
                }
            }
        }
        else
        {
            Perform(outputs);
        }
    }

    private void Perform(IReadOnlyList<GatedOutput> outputs)
    {
        foreach (ulong number in performer!.Perform(outputs))
        {
            Post(new ReplicaInput.OutputPerformed(number));
        }
    }

    private void Feed(IReadOnlyList<LogEntry> entries)
    {
        evidence.Keep(entries);
        ForgetOwnReads(entries);
        if (replay is null)
        {
            unfed.AddRange(entries);
        }
        else
        {
            replay.Tell(new ReplayProtocol.Feed(entries));
        }
    }

    private void ApplyPace()
    {
        replay?.Tell(new ReplayProtocol.Hold(pace.Stop.HasFlag(StopReasons.ReplayOutputsFull)));
        machine?.Tell(new MachineProtocol.SetShare(pace.Stop == StopReasons.None ? pace.Share : 0));
    }

    private void Quiesce()
    {
        quiescing = true;
        if (performer!.OutstandingDiskRequests == 0)
        {
            Quiesced();
        }
    }

    /// <summary>All requests have completed; the completions in the machine's mailbox are recorded before it looks at this.</summary>
    private void Quiesced()
    {
        quiescing = false;
        machine!.Tell(new MachineProtocol.Inspect(runner =>
        {
            runner.Run(0);
            Post(new ReplicaInput.DisksQuiesced());
        }));
    }
}
