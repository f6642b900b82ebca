using System.Globalization;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Log;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Tests.Protection;

/// <summary>One replica's core with a machine of zeroes, whose copy is read and written at once. All other effects are left to the test.</summary>
internal sealed class CoreHost(string name, ProtectionOptions options)
{
    private static readonly MachineDigest Digest = new(0, 1, 2, 3);

    private readonly Queue<ReplicaInput> copyAnswers = new();

    /// <summary>What the last step wanted.</summary>
    public IReadOnlyList<ReplicaEffect> Effects { get; private set; } = [];

    /// <summary>What all steps wanted.</summary>
    public List<ReplicaEffect> All { get; } = [];

    /// <summary>Messages for the other replica.</summary>
    public Queue<IChannelMessage> Sent { get; } = new();

    public ReplicaCore? Core { get; private set; }

    private ReplicaSetup Setup => new() { Id = new ReplicaIdentity("vm", name, 1), Protection = options, Profile = "profile" };

    /// <summary>Live, its machine running.</summary>
    public CoreHost StartLive(Instant now)
    {
        Core = ReplicaCore.StartSolo(Setup, 1, default, now);
        Step(now, new ReplicaInput.Begin());
        return Ready(now);
    }

    /// <summary>Live, its devices not open.</summary>
    public CoreHost Create(Instant now)
    {
        Core = ReplicaCore.StartSolo(Setup, 1, default, now);
        return this;
    }

    public CoreHost Ready(Instant now)
    {
        Step(now, new ReplicaInput.MachineReady(new MachineDevices([0], [ConsoleKind.Serial]), PageCount: 2));
        return this;
    }

    public IReadOnlyList<ReplicaEffect> Step(Instant now, ReplicaInput input)
    {
        if (input is ReplicaInput.Received { Message: CloneOffer offer } && Core is null)
        {
            Core = ReplicaCore.StartBackup(Setup, offer, now);
            input = new ReplicaInput.Begin();
        }
        Effects = Core!.Step(now, input);
        All.AddRange(Effects);
        foreach (ReplicaEffect effect in Effects)
        {
            if (effect is ReplicaEffect.Send send)
                Sent.Enqueue(send.Message);
            else if (effect is ReplicaEffect.ReadCopy read && Answer(read.Work) is { } copied)
                copyAnswers.Enqueue(new ReplicaInput.CopyRead(read.Session, copied));
            else if (effect is ReplicaEffect.WriteCopy write && Answer(write.Work) is { } written)
                copyAnswers.Enqueue(new ReplicaInput.CopyWritten(written));
        }
        return Effects;
    }

    /// <summary>Hands in what was read and written for the copy.</summary>
    public bool TryAnswerCopy(Instant now)
    {
        if (!copyAnswers.TryDequeue(out ReplicaInput? answer))
            return false;
        Step(now, answer);
        return true;
    }

    private CloneSenderInput? Answer(CloneSenderEffect.Work work) => work switch
    {
        CloneSenderEffect.ReadPages read => new CloneSenderInput.PagesRead([.. read.Pages.Select(page => new PageContent(page, []))]),
        CloneSenderEffect.CollectDirty => new CloneSenderInput.DirtyCollected([], []),
        CloneSenderEffect.HashBlocks hash => new CloneSenderInput.BlocksHashed([.. Enumerable.Range(0, hash.Count).Select(_ => BlockHash.Of(new byte[512]))]),
        CloneSenderEffect.ReadBlocks read => new CloneSenderInput.BlocksRead([.. read.Blocks.Select(block => new BlockContent(block, []))]),
        CloneSenderEffect.PauseAndCapture => new CloneSenderInput.Captured(new FinalCapture(new LogPosition(Core!.Status(default).LogEnd, 0), [1], [], Digest, [])),
        _ => null,
    };

    private static CloneReceiverInput? Answer(CloneReceiverEffect.Work work) => work switch
    {
        CloneReceiverEffect.CompareBlocks compare => new CloneReceiverInput.BlocksCompared(compare.Sequence, 0),
        CloneReceiverEffect.WriteBlocks write => new CloneReceiverInput.BlocksWritten(write.Sequence),
        CloneReceiverEffect.Restore => new CloneReceiverInput.Restored(Digest),
        _ => null,
    };
}

/// <summary>Two cores on hosts A and B, and the messages between them.</summary>
internal sealed class CorePair
{
    private static readonly ReplicaInput.Tick Tick = new();

    private ulong lsn;

    /// <summary>A runs the VM; B is empty.</summary>
    public CorePair(ProtectionOptions? options = null)
    {
        Options = options ?? new ProtectionOptions();
        (A, B) = (new CoreHost("A", Options), new CoreHost("B", Options));
        A.StartLive(Now);
    }

    public ProtectionOptions Options { get; }

    /// <summary>Heartbeats that were sent.</summary>
    public long Beats { get; set; }

    public CoreHost A { get; }

    public CoreHost B { get; }

    public Instant Now { get; private set; } = new(TimeSpan.TicksPerSecond);

    /// <summary>B replays what A records, and could take over.</summary>
    public static CorePair Protected(ProtectionOptions? options = null)
    {
        var pair = new CorePair(options);
        pair.A.Step(pair.Now, new ReplicaInput.Protect("B"));
        for (int turn = 0; turn < 100 && pair.A.Core!.Status(pair.Now) is not { Protected: true }; turn++)
        {
            pair.Deliver();
            pair.Pass(5);
        }
        Assert.True(pair.A.Core!.Status(pair.Now).Protected);
        Assert.Equal((ReplicaRole.ProtectedPrimary, ReplicaRole.Backup), (pair.A.Core.Role, pair.B.Core!.Role));
        return pair;
    }

    /// <summary>A has offered a copy, and nobody has answered.</summary>
    public CoreHost Cloning()
    {
        A.Step(Now, new ReplicaInput.Protect("B"));
        return A;
    }

    /// <summary>Time passes for both, in ticks of 10 ms at most.</summary>
    public void Pass(int milliseconds)
    {
        for (int left = milliseconds; left > 0; left -= 10)
        {
            Now += TimeSpan.FromMilliseconds(Math.Min(10, left));
            A.Step(Now, Tick);
            if (B.Core is not null)
                B.Step(Now, Tick);
        }
    }

    /// <summary>Time passes for one of them alone, and for its last step what it wanted is returned.</summary>
    public List<ReplicaEffect> PassFor(CoreHost host, int milliseconds)
    {
        var effects = new List<ReplicaEffect>();
        for (int left = milliseconds; left > 0; left -= 10)
        {
            Now += TimeSpan.FromMilliseconds(Math.Min(10, left));
            effects.AddRange(host.Step(Now, Tick));
        }
        return effects;
    }

    /// <summary>Everything that is under way arrives.</summary>
    public void Deliver()
    {
        bool any = true;
        for (int i = 0; any && i < 1000; i++)
        {
            any = A.TryAnswerCopy(Now) | B.TryAnswerCopy(Now);
            if (A.Sent.TryDequeue(out IChannelMessage? toB))
                any |= B.Step(Now, new ReplicaInput.Received(toB)) is not null;
            if (B.Sent.TryDequeue(out IChannelMessage? toA))
                any |= A.Step(Now, new ReplicaInput.Received(toA)) is not null;
        }
    }

    /// <summary>A's machine has made outputs, or only run.</summary>
    public IReadOnlyList<ReplicaEffect> Record(params MachineEffect[] outputs)
    {
        ulong before = A.Core!.Status(Now).LogEnd.Value;
        lsn = before + 1;
        LogPayload payload = outputs.Length == 0 ? new InputPayload(new ClockAdvance(lsn)) : new OutputMarkPayload(Made += (ulong)outputs.Length);
        return A.Step(Now, new ReplicaInput.Recorded([new LogEntry(new Lsn(lsn), lsn, payload)], outputs, lsn));
    }

    /// <summary>Outputs that A's machine has made.</summary>
    public ulong Made { get; private set; }

    /// <summary>B's machine has replayed all that it was given, and made these outputs.</summary>
    public IReadOnlyList<ReplicaEffect> Replay(params MachineEffect[] outputs)
    {
        ReplicaStatus status = B.Core!.Status(Now);
        return B.Step(Now, new ReplicaInput.Replayed(status.LogEnd, status.LogEnd.Value, outputs));
    }

    public static ConsoleOutput Text(ulong offset) => new(1, ConsoleKind.Serial, offset, [7]);

    public static NetTransmit Frame() => new(1, 0, [[1, 2, 3]]);

    public static DiskRequested Write(ulong id) => new(1, 0, new DiskRequest(id, DiskRequestKind.Write, 8 * id, 512, [.. new byte[512]]));

    public static DiskRequested Read(ulong id) => new(1, 0, new DiskRequest(id, DiskRequestKind.Read, 8 * id, 512, []));

    /// <summary>Effects in a few words, in order; what only tells people is left out.</summary>
    public static string Words(IEnumerable<ReplicaEffect> effects) => string.Join(", ", effects.Where(effect => effect is not ReplicaEffect.ReportStatus).Select(WordsOf));

    private static string WordsOf(ReplicaEffect effect) => effect switch
    {
        ReplicaEffect.RoleChanged changed => $"{changed.From} to {changed.To}",
        ReplicaEffect.Send { Message: ChannelClosed closed } => $"Send ChannelClosed {closed.Reason}",
        ReplicaEffect.Send send => $"Send {send.Message.GetType().Name}",
        ReplicaEffect.Release release => $"Release {string.Join(' ', release.Outputs.Select(output => output.Number))}",
        ReplicaEffect.PerformOwn own => $"PerformOwn {string.Join(' ', own.Requests.Select(output => output.Number))}",
        ReplicaEffect.Reissue reissue => $"Reissue {string.Join(' ', reissue.Requests.Select(pending => pending.Request.Id))}".TrimEnd(),
        ReplicaEffect.SetPace pace => $"SetPace {pace.Stop} {pace.SharePercent}",
        ReplicaEffect.FenceChanged fence => $"FenceChanged {(fence.Until == FenceTime.Open ? "open" : fence.Until == FenceTime.Closed ? "closed" : "lease")}",
        ReplicaEffect.HaltReplica halt => $"Halt {halt.Reason}",
        ReplicaEffect.DropBackup drop => $"DropBackup {drop.Cause}",
        ReplicaEffect.ForgetOwnRead forget => string.Create(CultureInfo.InvariantCulture, $"ForgetOwnRead {forget.Id}"),
        ReplicaEffect.ReadCopy read => $"ReadCopy {read.Work.GetType().Name}",
        ReplicaEffect.WriteCopy write => $"WriteCopy {write.Work.GetType().Name}",
        _ => effect.GetType().Name,
    };
}
