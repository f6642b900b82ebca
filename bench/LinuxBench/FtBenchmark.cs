using FtAkka.GuestKit;

namespace FtAkka.LinuxBench;

/// <summary>
/// Lets the fetched Debian guest run workloads without and with a backup, in turns, on two nodes of this host, and compares times; measures log, lag,
/// output delay and copies on the way.
/// </summary>
public static class FtBenchmark
{
    private const int MemoryMiB = 256;
    private static readonly TimeSpan IdleTime = TimeSpan.FromSeconds(5);

    /// <summary>Runs it, and fetches the guest before if need be.</summary>
    /// <param name="workloads">Workloads to run.</param>
    /// <param name="rounds">How often everything is run without and with a backup, in turns.</param>
    /// <param name="withNeighbour">Whether another guest runs the same on the other node while the guest has no backup.</param>
    /// <param name="start">Starts the nodes.</param>
    /// <param name="progress">Told what is going on.</param>
    /// <param name="cancelled">Ends it.</param>
    /// <exception cref="GuestKitException">No guest can be had, or a workload failed.</exception>
    public static async Task<FtBenchmarkResult> RunAsync(
        IReadOnlyList<LinuxWorkload> workloads, int rounds, bool withNeighbour, StartFtNodes start, Action<string> progress, CancellationToken cancelled)
    {
        GuestFolder guest = GuestFolder.Default;
        if (guest.PreferredKernel is null || !File.Exists(guest.Initramfs(LinuxWorkloads.Variant)))
        {
            new GuestFetch(new GuestFetchOptions { Variant = LinuxWorkloads.Variant, Programs = [LinuxBenchProgram.ForInitramfs] }, progress).Run();
        }
        using var folder = new TemporaryFolder(Path.GetTempPath());
        progress("booting the guest on A");
        using FtPair pair = await FtPair.StartAsync(start, folder.Path, MemoryMiB, withNeighbour, cancelled).ConfigureAwait(false);
        string words = string.Join(' ', workloads.Select(workload => workload.Name));
        var measured = new FtMeasurements();
        progress("once without measuring, so that everything is translated");
        await pair.RunAsync(words).ConfigureAwait(false);
        for (int round = 1; round <= rounds; round++)
        {
            progress($"round {round}, without a backup{(withNeighbour ? ", beside another guest" : "")}");
            measured.Alone((await pair.RunAsync(words, besideNeighbour: true).ConfigureAwait(false)).Timings);
            progress($"round {round}, copying to B");
            measured.Copies.Add(await pair.ProtectAsync("idle").ConfigureAwait(false));
            measured.IdleLog.Add(await pair.IdleLogAsync(IdleTime).ConfigureAwait(false));
            progress($"round {round}, protected, once without measuring, so that the backup has everything translated as well");
            await pair.RunAsync(words).ConfigureAwait(false);
            progress($"round {round}, protected");
            FtPair.WorkloadRun run = await pair.RunAsync(words).ConfigureAwait(false);
            measured.Protected(run.Timings, run.LogMbit);
            measured.Lag.AddRange(run.Lag);
            await pair.UnprotectAsync().ConfigureAwait(false);
            progress($"round {round}, copying to B while the guest compresses");
            await pair.Guest.TypeAsync("gzip gzip gzip gzip").ConfigureAwait(false);
            await Task.Delay(500, cancelled).ConfigureAwait(false);
            measured.Copies.Add(await pair.ProtectAsync("gzip").ConfigureAwait(false));
            await pair.Guest.DoneAsync().ConfigureAwait(false);
            await pair.UnprotectAsync().ConfigureAwait(false);
        }
        return Result(measured, workloads, await pair.Guest.StatusAsync().ConfigureAwait(false), guest);
    }

    private static FtBenchmarkResult Result(FtMeasurements measured, IReadOnlyList<LinuxWorkload> workloads, FtGuestStatus last, GuestFolder guest)
    {
        IReadOnlyList<FtBenchmarkRow> rows = measured.Rows(workloads);
        string kernel = FetchedFiles.ReadVerified(guest.KernelManifest)?.Facts.GetValueOrDefault("release") ?? "of unknown release";
        return new FtBenchmarkResult(
            rows, LinuxBenchmark.GeometricMean(rows.Select(row => (double?)row.Ratio)), LinuxBenchmark.GeometricMean(rows.Select(row => (double?)row.CpuRatio)),
            Math.Round(measured.IdleLog.Average(), 4), last.OutputDelayMedianMs, last.OutputDelayP99Ms, last.OutputsDelayed,
            [.. new[] { 0.5, 0.95, 0.99, 1 }.Select(share => FtMeasurements.AtShare(measured.Lag, share))], measured.Copies, FtMeasurements.Machine(kernel, MemoryMiB));
    }
}
