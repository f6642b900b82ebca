using System.Diagnostics;

namespace FtAkka.LinuxBench;

/// <summary>
/// Two nodes with mutual TLS on this host, and a guest on the first. One guest for all runs: the
/// translations it has at a run without backup are those it has with one.
/// </summary>
internal sealed class FtPair : IDisposable
{
    private const string Vm = "bench";

    private static readonly TimeSpan SampleInterval = TimeSpan.FromMilliseconds(50);

    /// <summary>Longer than the defaults: a host with all processors busy must not be taken for dead in the middle. Nothing but detection depends on them.</summary>
    private const string Timing =
        "ftakka.ft { heartbeat-interval = 100ms, failure-timeout = 4s, lease = 3s, pause-guard = 2s, channel-timeout = 20s }\n";

    private readonly IFtNode primary;
    private readonly IFtNode backup;
    private readonly CancellationTokenSource ended;
    private readonly Stopwatch clock = Stopwatch.StartNew();
    private FtGuest? neighbour;

    private FtPair(IFtNode primary, IFtNode backup, CancellationToken cancelled)
    {
        (this.primary, this.backup) = (primary, backup);
        ended = CancellationTokenSource.CreateLinkedTokenSource(cancelled);
    }

    /// <summary>The guest that is measured.</summary>
    public FtGuest Guest { get; private set; } = null!;

    /// <summary>What the workloads of the last run took.</summary>
    /// <param name="Timings">On the wall, and of the primary's processor.</param>
    /// <param name="LogMbit">Log sent meanwhile, in Mbit/s.</param>
    /// <param name="Lag">Samples of the lag, in milliseconds.</param>
    internal sealed record WorkloadRun(ConsoleTimings Timings, IReadOnlyDictionary<string, double> LogMbit, IReadOnlyList<double> Lag);

    /// <summary>Starts nodes and guest, in files of <paramref name="folder"/>; with a neighbour also a guest on the other node, which nobody protects.</summary>
    public static async Task<FtPair> StartAsync(StartFtNodes start, string folder, int memoryMiB, bool withNeighbour, CancellationToken cancelled)
    {
        (IFtNode primary, IFtNode backup) = await start(Path.Combine(folder, "cluster"), Timing, cancelled).ConfigureAwait(false);
        var pair = new FtPair(primary, backup, cancelled);
        try
        {
            pair.Guest = await FtGuest.BootAsync(Vm, primary, folder, memoryMiB, pair.clock, pair.ended.Token).ConfigureAwait(false);
            pair.neighbour = withNeighbour
                ? await FtGuest.BootAsync("neighbour", backup, folder, memoryMiB, pair.clock, pair.ended.Token).ConfigureAwait(false)
                : null;
            return pair;
        }
        catch
        {
            pair.Dispose();
            throw;
        }
    }

    /// <summary>Runs workloads, and the same on the neighbour for as long, if there is one and it is wanted.</summary>
    public async Task<WorkloadRun> RunAsync(string workloads, bool besideNeighbour = false)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(ended.Token);
        Task<(List<(TimeSpan At, long Bytes)> Bytes, List<double> Lag)> sampling = SampleAsync(enough.Token);
        if (besideNeighbour && neighbour is not null)
        {
            // Twice, so that it is not done before the other.
            await neighbour.TypeAsync($"{workloads} {workloads}").ConfigureAwait(false);
        }
        (ConsoleTimings timings, IReadOnlyList<(string Name, TimeSpan At)> marks) = await Guest.RunAsync(workloads).ConfigureAwait(false);
        await enough.CancelAsync().ConfigureAwait(false);
        (List<(TimeSpan At, long Bytes)> bytes, List<double> lag) = await sampling.ConfigureAwait(false);
        if (besideNeighbour && neighbour is not null)
        {
            await neighbour.DoneAsync().ConfigureAwait(false);
        }
        var log = new Dictionary<string, double>(StringComparer.Ordinal);
        for (int i = 1; i < marks.Count; i += 2)
        {
            log[marks[i].Name] = FtMeasurements.MbitBetween(bytes, marks[i - 1].At, marks[i].At);
        }
        return new WorkloadRun(timings, log, lag);
    }

    /// <summary>Gives the guest a backup.</summary>
    public async Task<FtBenchmarkCopy> ProtectAsync(string what)
    {
        TimeSpan begin = default;
        FtGuestStatus status = await Guest.StatusAsync().ConfigureAwait(false);
        bool asked = false;
        await Guest.UntilAsync("the guest to be protected", async () =>
        {
            if (!asked || status.IsSolo)
            {
                // The other node refuses until it has closed what it had; the time runs from the attempt that succeeds.
                begin = clock.Elapsed;
                asked = true;
                await Guest.ProtectAsync(backup.Name).ConfigureAwait(false);
                await Task.Delay(20, ended.Token).ConfigureAwait(false);
            }
            status = await Guest.StatusAsync().ConfigureAwait(false);
            return status.IsProtected;
        }).ConfigureAwait(false);
        double total = Math.Round((clock.Elapsed - begin).TotalMilliseconds);
        return new FtBenchmarkCopy(what, status.CopyPauseMs ?? 0, total, status.CopyState ?? "");
    }

    /// <summary>Takes the backup away.</summary>
    public async Task UnprotectAsync()
    {
        await Guest.UnprotectAsync().ConfigureAwait(false);
        await Guest.UntilAsync("the guest to be without backup", async () => (await Guest.StatusAsync().ConfigureAwait(false)).IsSolo).ConfigureAwait(false);
    }

    /// <summary>Log sent while the guest does nothing, in Mbit/s.</summary>
    public async Task<double> IdleLogAsync(TimeSpan time)
    {
        long before = (await Guest.StatusAsync().ConfigureAwait(false)).LogBytesSent;
        TimeSpan begin = clock.Elapsed;
        await Task.Delay(time, ended.Token).ConfigureAwait(false);
        return ((await Guest.StatusAsync().ConfigureAwait(false)).LogBytesSent - before) * 8 / 1e6 / (clock.Elapsed - begin).TotalSeconds;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        ended.Cancel();
        primary.Dispose();
        backup.Dispose();
        ended.Dispose();
    }

    private async Task<(List<(TimeSpan At, long Bytes)> Bytes, List<double> Lag)> SampleAsync(CancellationToken enough)
    {
        var bytes = new List<(TimeSpan At, long Bytes)>();
        var lag = new List<double>();
        while (!enough.IsCancellationRequested)
        {
            FtGuestStatus status = await Guest.StatusAsync().ConfigureAwait(false);
            bytes.Add((clock.Elapsed, status.LogBytesSent));
            if (status.IsProtected)
            {
                lag.Add(status.LagMs);
            }
            await Task.WhenAny(Task.Delay(SampleInterval, enough)).ConfigureAwait(false);
        }
        return (bytes, lag);
    }
}
