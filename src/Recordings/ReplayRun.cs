using System.Diagnostics;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Replication.Replay;

namespace FtAkka.Recordings;

/// <summary>What to replay, and how.</summary>
public sealed record ReplayOptions
{
    /// <summary>First icount of interest.</summary>
    public ulong From { get; init; }

    /// <summary>Last one.</summary>
    public ulong To { get; init; } = ulong.MaxValue;

    /// <summary>Compare with every keyframe on the way.</summary>
    public bool Verify { get; init; }

    /// <summary>Seed of random stops; null for none.</summary>
    public ulong? ExtraStopsSeed { get; init; }
}

/// <summary>What a replay came to.</summary>
public sealed record ReplayOutcome
{
    /// <summary>Instructions executed.</summary>
    public required ulong Instructions { get; init; }

    /// <summary>Where it ended.</summary>
    public required ulong Icount { get; init; }

    /// <summary>Time it took.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>Guest time that passed.</summary>
    public required TimeSpan GuestTime { get; init; }

    /// <summary>Log entries replayed.</summary>
    public required ulong Entries { get; init; }

    /// <summary>Outputs made.</summary>
    public required ulong Outputs { get; init; }

    /// <summary>Digests compared, all equal but perhaps the last.</summary>
    public required ulong DigestsChecked { get; init; }

    /// <summary>Keyframes compared.</summary>
    public required int KeyframesCompared { get; init; }

    /// <summary>Why it ended, for people.</summary>
    public required string End { get; init; }

    /// <summary>Where the log was cut, if it was.</summary>
    public LogTail? Tail { get; init; }

    /// <summary>What is wrong; null if the replay is the recording.</summary>
    public string? Failure { get; init; }
}

/// <summary>Replays a recording from a keyframe to an icount.</summary>
public sealed class ReplayRun : IDisposable
{
    /// <summary>Instructions between looks at the clock and at cancellation.</summary>
    private const ulong Slice = 20_000_000;

    private static readonly TimeSpan ProgressEvery = TimeSpan.FromSeconds(5);

    private readonly RecordingReader recording;
    private readonly ReplayOptions options;
    private readonly RecordingReplay replay;
    private readonly Keyframe start;
    private readonly Queue<Keyframe> toCompare;
    private readonly ulong? end;
    private int compared;
    private ulong random;

    public ReplayRun(RecordingReader recording, ReplayOptions options)
    {
        this.recording = recording;
        this.options = options;
        start = recording.KeyframeFor(options.From);
        toCompare = new Queue<Keyframe>(options.Verify ? recording.Keyframes.Where(keyframe => keyframe.Icount > start.Icount) : []);
        random = options.ExtraStopsSeed ?? 0;
        replay = new RecordingReplay(recording, start);
        replay.Player.StopsAtCheckpoints = options.Verify;
        using LogFileReader log = recording.OpenLog();
        end = log.FindEnd();
    }

    /// <summary>Takes the outputs from <see cref="ReplayOptions.From"/> on.</summary>
    public Action<MachineEffect>? Output { get; init; }

    /// <summary>Takes a line now and then.</summary>
    public Action<string>? Progress { get; init; }

    /// <summary>The machine.</summary>
    public GuestMachine Machine => replay.Machine;

    /// <inheritdoc/>
    public void Dispose() => replay.Dispose();

    /// <summary>Replays.</summary>
    public ReplayOutcome Run(CancellationToken cancelled)
    {
        var watch = Stopwatch.StartNew();
        TimeSpan reported = TimeSpan.Zero;
        ulong firstTsc = Machine.Tsc;
        string? failure = null;
        PlayerStop stop = PlayerStop.BudgetSpent;
        while (stop is PlayerStop.BudgetSpent or PlayerStop.Checkpoint && failure is null && Machine.Icount < options.To && !cancelled.IsCancellationRequested)
        {
            PlayerExit exit = replay.Run(NextStop() - Machine.Icount);
            stop = exit.Stop;
            Release(exit.Effects);
            failure = stop == PlayerStop.Checkpoint ? CompareKeyframe() : null;
            if (watch.Elapsed - reported > ProgressEvery)
            {
                reported = watch.Elapsed;
                Progress?.Invoke(ProgressText(watch.Elapsed));
            }
        }
        return Conclude(stop, failure, watch.Elapsed, firstTsc);
    }

    private string ProgressText(TimeSpan elapsed)
    {
        double perSecond = (Machine.Icount - start.Icount) / elapsed.TotalSeconds;
        string done = $"icount {ReadableCount.Of(Machine.Icount)}";
        string speed = $"{perSecond / 1e6:f0} million instructions per second";
        if (end is not { } last)
        {
            return $"{done}, {speed}";
        }
        ulong goal = Math.Min(last, options.To);
        double left = (goal - Math.Min(goal, Machine.Icount)) / Math.Max(perSecond, 1);
        return $"{done} of {ReadableCount.Of(goal)}, {speed}, about {Math.Ceiling(left):f0} s to go";
    }

    private ulong NextStop()
    {
        ulong step = options.ExtraStopsSeed is null ? Slice : NextRandom() % 1_000_003;
        return Math.Min(options.To, Machine.Icount + step);
    }

    /// <summary>Which instructions are stopped at need not be random in any strong sense.</summary>
    private ulong NextRandom()
    {
        random = unchecked((random * 6364136223846793005) + 1442695040888963407);
        return random >> 20;
    }

    private void Release(IReadOnlyList<MachineEffect> effects)
    {
        if (Output is null)
        {
            return;
        }
        foreach (MachineEffect effect in effects)
        {
            if (effect.Icount >= options.From)
            {
                Output(effect);
            }
        }
    }

    /// <summary>At a checkpoint: compares with the keyframe taken there. Returns what differs, or null.</summary>
    private string? CompareKeyframe()
    {
        while (toCompare.TryPeek(out Keyframe? keyframe) && keyframe.Header.Position.LastLsn <= replay.Player.LastExecuted)
        {
            toCompare.Dequeue();
            if (keyframe.Header.Position.LastLsn != replay.Player.LastExecuted)
            {
                continue;
            }
            KeyframeComparison comparison = RecordingReader.Compare(keyframe, Machine);
            if (!comparison.IsEqual)
            {
                string pages = string.Join(", ", comparison.Pages.Take(8).Select(page => $"0x{Machine.Memory.PhysicalAddressOf(page):x}"));
                return $"At icount {keyframe.Icount} the state is not that of {keyframe.Path}: "
                    + (comparison.StateDiffers ? "CPU or devices differ; " : "") + $"{comparison.Pages.Count} pages differ{(pages.Length > 0 ? $" ({pages} ...)" : "")}.";
            }
            compared++;
        }
        return null;
    }

    private ReplayOutcome Conclude(PlayerStop stop, string? failure, TimeSpan elapsed, ulong firstTsc)
    {
        if (replay.Player.Divergence is { } divergence)
        {
            failure = DivergenceText.Of(divergence, replay.Player.LastDigestIcount);
            string here = HostCpu.Model();
            if (recording.Manifest.HostCpu != here)
            {
                failure += $" It was recorded on another CPU, {recording.Manifest.HostCpu}; a few instructions give other results on this one, {here} (docs/determinism.md).";
            }
        }
        else if (failure is null && stop == PlayerStop.Starved && replay.Player.LastReceived < start.Header.Position.LastLsn)
        {
            failure = "The log ends before the keyframe from which the replay was to start.";
        }
        else if (failure is null && options.Verify && replay.Tail is { IsTorn: false } damage)
        {
            failure = $"The recording is damaged: {damage}";
        }
        return new ReplayOutcome
        {
            Instructions = Machine.Icount - start.Icount,
            Icount = Machine.Icount,
            Elapsed = elapsed,
            GuestTime = TimeSpan.FromSeconds((Machine.Tsc - firstTsc) / (double)recording.Manifest.Machine.TscHz),
            Entries = replay.Player.LastExecuted.Value - start.Header.Position.LastLsn.Value,
            Outputs = replay.Player.LastOutput - start.Header.Position.LastOutput,
            DigestsChecked = replay.Player.DigestsChecked,
            KeyframesCompared = compared,
            End = stop switch
            {
                PlayerStop.Ended => "the machine ended as recorded",
                PlayerStop.Starved => "the recording ends here",
                PlayerStop.Diverged => "replay left the recording",
                _ => "stopped as asked",
            },
            Tail = replay.Tail,
            Failure = failure,
        };
    }
}
