using System.Diagnostics;
using System.Runtime.ExceptionServices;

namespace FtAkka.DeterministicSim.Exploring;

/// <summary>What to explore.</summary>
public sealed record ExploreRequest
{
    /// <summary>Seeds.</summary>
    public required SeedRange Seeds { get; init; }

    /// <summary>Workers side by side.</summary>
    public int Jobs { get; init; } = 1;

    /// <summary>Stop after this much real time, wherever the seeds are; null for no limit.</summary>
    public TimeSpan? TimeLimit { get; init; }

    /// <summary>Collect failures instead of stopping at the first.</summary>
    public bool KeepGoing { get; init; }

    /// <summary>With <see cref="KeepGoing"/>: stop at so many failures all the same.</summary>
    public int FailuresMost { get; init; } = 100;
}

/// <summary>How an exploration went.</summary>
/// <param name="Tally">What the seeds came to.</param>
/// <param name="RealTime">How long it took.</param>
/// <param name="NextSeed">The first seed that was not begun.</param>
/// <param name="Interrupted">It was asked to end before it was through.</param>
public sealed record ExploreResult(ExploreTally Tally, TimeSpan RealTime, ulong NextSeed, bool Interrupted);

/// <summary>
/// Runs many seeds on several workers. Seeds are handed out in ascending order, in pieces of about half a second; without
/// <see cref="ExploreRequest.KeepGoing"/> no new piece is begun once a seed has failed.
/// </summary>
public sealed class Explorer(Func<ISeedWorker> makeWorker, ExploreRequest request)
{
    private static readonly TimeSpan PieceTime = TimeSpan.FromMilliseconds(500);
    private const ulong PieceMost = 100_000;

    private readonly Lock _lock = new();
    private readonly Stopwatch _watch = new();
    private ExploreTally _tally = ExploreTally.Empty;
    private ExceptionDispatchInfo? _broken;
    private ulong _next = request.Seeds.First;
    private bool _exhausted;

    /// <summary>Called now and then with what there is so far, by one worker at a time.</summary>
    public Action<ExploreTally, TimeSpan>? Progress { get; init; }

    /// <summary>Explores, and waits for the end. Interrupted, it gives what it has after the pieces under way.</summary>
    public ExploreResult Run(CancellationToken cancelled = default)
    {
        _watch.Start();
        Thread[] threads = [.. Enumerable.Range(0, request.Jobs).Select(number => new Thread(() => Work(cancelled)) { Name = $"explore {number}", IsBackground = true })];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        bool interrupted = cancelled.IsCancellationRequested;
        if (!interrupted)
        {
            // An interruption may have ended worker processes as well: what they had told counts.
            _broken?.Throw();
        }
        return new ExploreResult(_tally, _watch.Elapsed, _next, interrupted);
    }

    private void Work(CancellationToken cancelled)
    {
        try
        {
            using ISeedWorker worker = makeWorker();
            ulong size = 1;
            while (!cancelled.IsCancellationRequested && Take(size) is { } piece)
            {
                TimeSpan begin = _watch.Elapsed;
                ExploreTally tally = worker.Run(piece, !request.KeepGoing);
                TimeSpan took = _watch.Elapsed - begin;
                double fitting = piece.Count * (PieceTime.TotalSeconds / Math.Max(took.TotalSeconds, 1e-4));
                size = Math.Clamp((ulong)fitting, 1, Math.Min(piece.Count * 4, PieceMost));
                Add(tally);
            }
        }
        // Told to whoever waits for the exploration.
        catch (Exception failure)
        {
            lock (_lock)
            {
                _broken ??= ExceptionDispatchInfo.Capture(failure);
            }
        }
    }

    private SeedRange? Take(ulong size)
    {
        lock (_lock)
        {
            bool enough = !_tally.Failures.IsEmpty && (!request.KeepGoing || _tally.Failures.Length >= request.FailuresMost);
            if (_exhausted || enough || _broken is not null || (_next != request.Seeds.First && _watch.Elapsed >= request.TimeLimit))
            {
                return null;
            }
            ulong last = Math.Min(request.Seeds.Last, size - 1 > ulong.MaxValue - _next ? ulong.MaxValue : _next + size - 1);
            var piece = new SeedRange(_next, last);
            _exhausted = last == request.Seeds.Last;
            _next = unchecked(last + 1);
            return piece;
        }
    }

    private void Add(ExploreTally tally)
    {
        lock (_lock)
        {
            _tally = _tally.Add(tally);
            Progress?.Invoke(_tally, _watch.Elapsed);
        }
    }
}
