using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace FtAkka.WireBench;

/// <summary>One line of the benchmark's result.</summary>
/// <param name="Transport">What carried the messages.</param>
/// <param name="MessageBytes">Size of a message body.</param>
/// <param name="RoundTripBestMicroseconds">Best median of the rounds.</param>
/// <param name="RoundTripMedianMicroseconds">Median of the rounds' medians: the figure to compare.</param>
/// <param name="RoundTrip99Microseconds">Median of the rounds' 99th percentiles; on a shared machine mostly the neighbours.</param>
/// <param name="RatioToSecureSocket">The median over that of the blocking TLS socket with messages of this size, same run.</param>
/// <param name="CpuMicroseconds">Processor time of both ends for a round trip, median of the rounds.</param>
/// <param name="MessagesPerSecond">One-way throughput, median of the rounds; 0 where it was not measured.</param>
/// <param name="MegabytesPerSecond">The same in units of 10^6 bytes of body.</param>
public sealed record WireBenchmarkRow(
    string Transport,
    int MessageBytes,
    double RoundTripBestMicroseconds,
    double RoundTripMedianMicroseconds,
    double RoundTrip99Microseconds,
    double RatioToSecureSocket,
    double CpuMicroseconds,
    double MessagesPerSecond,
    double MegabytesPerSecond);

/// <summary>The whole result, ready for JSON.</summary>
/// <param name="Machine">Processor, system and runtime.</param>
/// <param name="Rounds">Interleaved rounds per row.</param>
/// <param name="RoundTrips">Round trips measured in each round.</param>
/// <param name="OneWayMessages">Messages of each throughput round.</param>
/// <param name="Rows">The figures.</param>
public sealed record WireBenchmarkResult(
    string Machine, int Rounds, int RoundTrips, int OneWayMessages, IReadOnlyList<WireBenchmarkRow> Rows);

/// <summary>
/// Round trip, processor time and throughput of remoting on loopback, beside plain .NET sockets in the same run. All parties are in one
/// process; the rounds of the transports are interleaved, so that a busy neighbour hits all of them alike.
/// </summary>
public static class WireBenchmark
{
    /// <summary>The yardstick: a blocking socket with TLS 1.3.</summary>
    public const string SecureSocket = "socket, blocking, TLS";

    /// <summary>Above this size fewer messages are measured.</summary>
    private const int LargeBytes = 64 * 1024;

    private const int FewerLarge = 20;
    private static readonly int[] Sizes = [64, 4096, 262_144];

    private sealed record Subject(string Name, Func<int, Task<double[]>> RoundTrip, Func<int, Task<double>>? OneWay);

    /// <summary>Runs the benchmark.</summary>
    /// <param name="rounds">Interleaved rounds, at least one.</param>
    /// <param name="roundTrips">Round trips measured in each round, after a tenth as many to warm up; a twentieth of it for large messages.</param>
    /// <param name="oneWayMessages">Messages in each throughput round; a twentieth of it for large ones.</param>
    /// <param name="progress">Told what is about to be measured.</param>
    public static async Task<WireBenchmarkResult> RunAsync(
        int rounds = 5, int roundTrips = 10_000, int oneWayMessages = 200_000, Action<string>? progress = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rounds, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(roundTrips, 100);
        ArgumentOutOfRangeException.ThrowIfLessThan(oneWayMessages, 1000);
        var rows = new List<WireBenchmarkRow>();
        using var certificates = new BenchCertificates();
        using var socket = SecureSocketPingPong.Connect(null);
        using var secureSocket = SecureSocketPingPong.Connect(certificates.Socket);
        await using var transport = await TransportPair.StartAsync(null).ConfigureAwait(false);
        await using var secureTransport = await TransportPair.StartAsync(certificates.Folder).ConfigureAwait(false);
        await using var remote = await RemotePair.StartTcpAsync(null).ConfigureAwait(false);
        await using var secureRemote = await RemotePair.StartTcpAsync(certificates.Folder).ConfigureAwait(false);
        await using var dotNetty = await RemotePair.StartDotNettyAsync().ConfigureAwait(false);
        foreach (var size in Sizes)
        {
            var fewer = size > LargeBytes ? FewerLarge : 1;
            List<Subject> subjects =
            [
                new("socket, blocking", n => Task.Run(() => socket.RoundTrips(size, n)), n => Task.Run(() => socket.OneWay(size, n))),
                new(SecureSocket, n => Task.Run(() => secureSocket.RoundTrips(size, n)), n => Task.Run(() => secureSocket.OneWay(size, n))),
                new("tcp transport alone", n => transport.RoundTripsAsync(size, n), n => transport.OneWayAsync(size, n)),
                new("tcp transport alone, TLS", n => secureTransport.RoundTripsAsync(size, n), n => secureTransport.OneWayAsync(size, n)),
                new("Akka.Remote over tcp, endpoints", n => remote.EndpointRoundTripsAsync(size, n), null),
                new("Akka.Remote over tcp, TLS, endpoints", n => secureRemote.EndpointRoundTripsAsync(size, n), null),
                new("Akka.Remote over tcp", n => remote.RoundTripsAsync(size, n), n => remote.OneWayAsync(size, n)),
                new("Akka.Remote over tcp, TLS", n => secureRemote.RoundTripsAsync(size, n), n => secureRemote.OneWayAsync(size, n)),
                new("Akka.Remote over DotNetty", n => dotNetty.RoundTripsAsync(size, n), n => dotNetty.OneWayAsync(size, n)),
            ];

            rows.AddRange(await MeasureAsync(
                subjects, size, rounds, Math.Max(100, roundTrips / fewer), Math.Max(1000, oneWayMessages / fewer), progress).ConfigureAwait(false));
        }

        return new WireBenchmarkResult(
            string.Create(CultureInfo.InvariantCulture,
                $"{Environment.ProcessorCount} processors, {RuntimeInformation.OSDescription}, {RuntimeInformation.FrameworkDescription}"),
            rounds, roundTrips, oneWayMessages, rows);
    }

    private static async Task<List<WireBenchmarkRow>> MeasureAsync(
        List<Subject> subjects, int size, int rounds, int roundTrips, int oneWayMessages, Action<string>? progress)
    {
        var measured = subjects.Select(_ => new Rounds()).ToArray();
        for (var round = 0; round < rounds; round++)
        {
            for (var i = 0; i < subjects.Count; i++)
            {
                progress?.Invoke(string.Create(CultureInfo.InvariantCulture,
                    $"round {round + 1} of {rounds}: {subjects[i].Name}, {size} bytes"));
                await subjects[i].RoundTrip(Math.Max(100, roundTrips / 10)).ConfigureAwait(false);
                var before = Process.GetCurrentProcess().TotalProcessorTime;
                var times = await subjects[i].RoundTrip(roundTrips).ConfigureAwait(false);
                measured[i].Cpu.Add((Process.GetCurrentProcess().TotalProcessorTime - before).TotalMicroseconds / roundTrips);
                Array.Sort(times);
                measured[i].Medians.Add(times[times.Length / 2]);
                measured[i].Tails.Add(times[times.Length * 99 / 100]);
                if (subjects[i].OneWay is { } oneWay)
                {
                    measured[i].Rates.Add(await oneWay(oneWayMessages).ConfigureAwait(false));
                }
            }
        }

        var yardstick = Median(measured[subjects.FindIndex(subject => subject.Name == SecureSocket)].Medians);
        return [.. subjects.Zip(measured, (subject, all) => new WireBenchmarkRow(
            subject.Name, size, Math.Round(all.Medians.Min(), 1), Math.Round(Median(all.Medians), 1), Math.Round(Median(all.Tails), 1),
            Math.Round(Median(all.Medians) / yardstick, 2), Math.Round(Median(all.Cpu), 1),
            Math.Round(Median(all.Rates)), Math.Round(Median(all.Rates) * size / 1e6, 1)))];
    }

    private static double Median(List<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length == 0 ? 0 : sorted[sorted.Length / 2];
    }

    private sealed class Rounds
    {
        public List<double> Medians { get; } = [];

        public List<double> Tails { get; } = [];

        public List<double> Cpu { get; } = [];

        public List<double> Rates { get; } = [];
    }
}
