using System.Diagnostics;
using FtAkka.Replication.Tests.Protection.Simulated;
using Xunit.Abstractions;

namespace FtAkka.Replication.Tests.Protection;

/// <summary>
/// The decisions of two replicas against crashes, pauses, partitions, loss, repetition, reordering and an arbiter that comes and goes.
/// FTAKKA_SEEDS=first..last runs other seeds, FTAKKA_TRACE=seed prints one.
/// </summary>
public sealed class ProtocolSimulationTests(ITestOutputHelper output)
{
    [Fact]
    public void Every_seed_keeps_every_invariant()
    {
        var (first, last) = Range();
        var counts = new SortedDictionary<string, int>(StringComparer.Ordinal);
        var watch = Stopwatch.StartNew();
        for (int seed = first; seed <= last; seed++)
            RunSeed(seed, Mutation.None, counts);
        output.WriteLine($"{last - first + 1} seeds in {watch.Elapsed.TotalSeconds:F1} s");
        foreach (var (what, count) in counts)
            output.WriteLine($"{count,8}  {what}");
        if (last - first < 999)
            return;
        // A moment that is never met is never tested.
        foreach (string moment in (string[])["crash Solo", "crash CloningPrimary", "crash ProtectedPrimary", "crash BackupSyncing", "crash Backup", "crash GoingLive",
            "GoingLive -> Backup", "GoingLive -> Solo", "ProtectedPrimary -> Solo", "halt ArbiterLost", "halt HandedOver", "halt OwnershipLost", "halt MachineEnded", "clone failed",
            "stop LogFull", "stop OutputsFull", "outputs repeated", "end: live and protected", "end: switched off"])
        {
            Assert.True(counts.GetValueOrDefault(moment) > 0, $"no seed met: {moment}");
        }
    }

    /// <summary>A simulation that cannot see a planted fault proves nothing: each must be seen within so many seeds.</summary>
    [Theory]
    [InlineData(nameof(Mutation.ReleaseBeforeAck), 20)]
    [InlineData(nameof(Mutation.TwoWinners), 100)]
    [InlineData(nameof(Mutation.LostEntry), 20)]
    [InlineData(nameof(Mutation.SkippedReissue), 100)]
    [InlineData(nameof(Mutation.SkippedResend), 400)]
    [InlineData(nameof(Mutation.FenceIgnored), 400)]
    [InlineData(nameof(Mutation.ConsoleRepeated), 100)]
    [InlineData(nameof(Mutation.OffByOneIcount), 20)]
    [InlineData(nameof(Mutation.WatermarkAhead), 400)]
    [InlineData(nameof(Mutation.UnserializedDisk), 400)]
    [InlineData(nameof(Mutation.LeaseFromReceipt), 400)]
    public void Planted_fault_is_seen(string mutation, int seedsMax)
    {
        for (int seed = 1; seed <= seedsMax; seed++)
        {
            try
            {
                new SimulatedPair(seed, Enum.Parse<Mutation>(mutation), new(StringComparer.Ordinal)).Run();
            }
            catch (InvariantViolation violation)
            {
                output.WriteLine($"seen by seed {seed}: {violation.Message}");
                return;
            }
            catch (Exception failure) when (failure is InvalidOperationException or ArgumentException)
            {
                output.WriteLine($"stopped by seed {seed}: {failure.Message}");
                return;
            }
        }
        Assert.Fail($"{mutation} was not seen in {seedsMax} seeds");
    }

    [Fact]
    public void Same_seed_same_run()
    {
        for (int seed = 1; seed <= 20; seed++)
            Assert.Equal(Digest(seed), Digest(seed));

        static string Digest(int seed)
        {
            var trace = new List<string>();
            var counts = new SortedDictionary<string, int>(StringComparer.Ordinal);
            var pair = new SimulatedPair(seed, Mutation.None, counts) { Trace = trace.Add };
            pair.Run();
            return $"{pair.Steps} {trace.Count} {string.Join(' ', counts)} {trace[^1]}";
        }
    }

    private static (int First, int Last) Range()
    {
        string[] asked = (Environment.GetEnvironmentVariable("FTAKKA_SEEDS") ?? "1..1000").Split("..");
        return (int.Parse(asked[0], System.Globalization.CultureInfo.InvariantCulture), int.Parse(asked[1], System.Globalization.CultureInfo.InvariantCulture));
    }

    private static void RunSeed(int seed, Mutation mutation, SortedDictionary<string, int> counts)
    {
        var trace = new List<string>();
        bool tracing = Environment.GetEnvironmentVariable("FTAKKA_TRACE") == seed.ToString(System.Globalization.CultureInfo.InvariantCulture);
        var pair = new SimulatedPair(seed, mutation, counts) { Trace = tracing ? trace.Add : null };
        try
        {
            pair.Run();
        }
        catch (Exception failure) when (mutation == Mutation.None)
        {
            string how = tracing ? string.Join('\n', trace.TakeLast(4000)) : $"FTAKKA_SEEDS={seed}..{seed} FTAKKA_TRACE={seed} dotnet test tests/Replication.Tests --filter {nameof(ProtocolSimulationTests)}";
            Assert.Fail($"seed {seed} at {pair.Time / 10_000.0:F1} ms: {failure.Message}\n{(failure is InvariantViolation ? "" : failure)}\n{how}");
        }
    }
}
