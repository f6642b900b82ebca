using System.Globalization;
using System.Runtime.InteropServices;

namespace FtAkka.WireBench;

/// <summary>One line of the benchmark's result.</summary>
/// <param name="Transport">What carried the messages.</param>
/// <param name="MessageBytes">Size of a message body.</param>
/// <param name="RoundTripBestMicroseconds">Best median of the rounds.</param>
/// <param name="RoundTripMedianMicroseconds">Median of the rounds' medians: the figure to compare.</param>
/// <param name="RoundTrip99Microseconds">Median of the rounds' 99th percentiles; on a shared machine mostly the neighbours.</param>
/// <param name="MessagesPerSecond">One-way throughput, median of the rounds; 0 where it was not measured.</param>
/// <param name="MegabytesPerSecond">The same in units of 10^6 bytes of body.</param>
public sealed record WireBenchmarkRow(
    string Transport,
    int MessageBytes,
    double RoundTripBestMicroseconds,
    double RoundTripMedianMicroseconds,
    double RoundTrip99Microseconds,
    double MessagesPerSecond,
    double MegabytesPerSecond);

/// <summary>The whole result, ready for JSON.</summary>
/// <param name="Machine">Processor, system and runtime.</param>
/// <param name="Rounds">Interleaved rounds per row.</param>
/// <param name="RoundTrips">Round trips measured in each round.</param>
/// <param name="OneWayMessages">Messages of each throughput round.</param>
/// <param name="Rows">The figures.</param>
/// <param name="Ratio64">Median round trip of the wire without TLS over that of the asynchronous socket, 64-byte messages.</param>
/// <param name="Ratio4096">The same for 4 KiB messages.</param>
public sealed record WireBenchmarkResult(
    string Machine, int Rounds, int RoundTrips, int OneWayMessages, IReadOnlyList<WireBenchmarkRow> Rows, double Ratio64, double Ratio4096);

/// <summary>
/// Round trip and throughput of the remote wire on loopback, beside plain .NET sockets in the same run. All parties are in one
/// process; the rounds of the transports are interleaved, so that a busy neighbour hits all of them alike.
/// </summary>
public static class WireBenchmark
{
    /// <summary>Asynchronous sockets: the yardstick.</summary>
    public const string AsyncSocket = "socket, asynchronous";

    /// <summary>The wire without TLS.</summary>
    public const string PlainWire = "wire, actors";

    private static readonly int[] Sizes = [64, 4096];

    /// <summary>Runs the benchmark.</summary>
    /// <param name="rounds">Interleaved rounds, at least one.</param>
    /// <param name="roundTrips">Round trips measured in each round, after a tenth as many to warm up.</param>
    /// <param name="oneWayMessages">Messages in each throughput round.</param>
    /// <param name="progress">Told what is about to be measured.</param>
    public static async Task<WireBenchmarkResult> RunAsync(
        int rounds = 5, int roundTrips = 10_000, int oneWayMessages = 200_000, Action<string>? progress = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rounds, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(roundTrips, 100);
        ArgumentOutOfRangeException.ThrowIfLessThan(oneWayMessages, 1000);
        var rows = new List<WireBenchmarkRow>();
        await using var plain = await WirePair.StartAsync(tls: false).ConfigureAwait(false);
        await using var secure = await WirePair.StartAsync(tls: true).ConfigureAwait(false);
        foreach (var size in Sizes)
        {
            var subjects = new (string Name, Func<int, Task<double[]>> RoundTrip, Func<int, Task<double>>? OneWay)[]
            {
                ("socket, blocking", n => SocketPingPong.BlockingAsync(size, n), null),
                (AsyncSocket, n => SocketPingPong.AsynchronousAsync(size, n), n => SocketPingPong.OneWayAsync(size, n)),
                ("wire, interceptor", n => plain.InterceptedRoundTripsAsync(size, n), null),
                (PlainWire, n => plain.RoundTripsAsync(size, n), n => plain.OneWayAsync(size, n)),
                ("wire, interceptor, mutual TLS", n => secure.InterceptedRoundTripsAsync(size, n), null),
                ("wire, actors, mutual TLS", n => secure.RoundTripsAsync(size, n), n => secure.OneWayAsync(size, n)),
            };
            rows.AddRange(await MeasureAsync(subjects, size, rounds, roundTrips, oneWayMessages, progress).ConfigureAwait(false));
        }

        return new WireBenchmarkResult(
            string.Create(CultureInfo.InvariantCulture,
                $"{Environment.ProcessorCount} processors, {RuntimeInformation.OSDescription}, {RuntimeInformation.FrameworkDescription}"),
            rounds, roundTrips, oneWayMessages, rows, Ratio(rows, 64), Ratio(rows, 4096));
    }

    private static async Task<List<WireBenchmarkRow>> MeasureAsync(
        (string Name, Func<int, Task<double[]>> RoundTrip, Func<int, Task<double>>? OneWay)[] subjects,
        int size, int rounds, int roundTrips, int oneWayMessages, Action<string>? progress)
    {
        var medians = subjects.Select(_ => new List<double>()).ToArray();
        var tails = subjects.Select(_ => new List<double>()).ToArray();
        var rates = subjects.Select(_ => new List<double>()).ToArray();
        for (var round = 0; round < rounds; round++)
        {
            for (var i = 0; i < subjects.Length; i++)
            {
                progress?.Invoke(string.Create(CultureInfo.InvariantCulture,
                    $"round {round + 1} of {rounds}: {subjects[i].Name}, {size} bytes"));
                await subjects[i].RoundTrip(Math.Max(100, roundTrips / 10)).ConfigureAwait(false);
                var times = await subjects[i].RoundTrip(roundTrips).ConfigureAwait(false);
                Array.Sort(times);
                medians[i].Add(times[times.Length / 2]);
                tails[i].Add(times[times.Length * 99 / 100]);
                if (subjects[i].OneWay is { } oneWay)
                {
                    rates[i].Add(await oneWay(oneWayMessages).ConfigureAwait(false));
                }
            }
        }

        return [.. subjects.Select((subject, i) =>
        {
            var rate = rates[i].Count == 0 ? 0 : Median(rates[i]);
            return new WireBenchmarkRow(
                subject.Name, size, Math.Round(medians[i].Min(), 1), Math.Round(Median(medians[i]), 1), Math.Round(Median(tails[i]), 1),
                Math.Round(rate), Math.Round(rate * size / 1e6, 1));
        })];
    }

    private static double Median(List<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted[sorted.Length / 2];
    }

    private static double Ratio(List<WireBenchmarkRow> rows, int size)
    {
        double Of(string name) => rows.Single(r => r.Transport == name && r.MessageBytes == size).RoundTripMedianMicroseconds;
        return Math.Round(Of(PlainWire) / Of(AsyncSocket), 2);
    }
}
