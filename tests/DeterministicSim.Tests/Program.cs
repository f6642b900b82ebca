using System.Globalization;
using FtAkka.DeterministicSim.Cluster;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.DeterministicSim.Tests.Loop;
using FtAkka.DeterministicSim.Tests.Remoting;

namespace FtAkka.DeterministicSim.Tests;

/// <summary>Entry point of the test assembly as a program of its own: tests start it to compare runs of two processes.</summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        switch (args)
        {
            case ["trace-hash", var seed]:
                var (result, _) = ClusterScenario.Run(Number(seed));
                Console.WriteLine($"{result.TraceHash} {result.TraceLines}");
                return 0;
            case ["trace", var seed]:
                foreach (string line in ClusterScenario.Run(Number(seed), keepTrace: true).Result.Lines)
                {
                    Console.WriteLine(line);
                }
                return 0;
            case ["story-hash", var seed]:
                Console.WriteLine(RemotingStoryTests.Run(Number(seed)).TraceHash);
                return 0;
            case ["cluster-hashes", var scenario, var first, var last, .. var seconds]:
                WriteHashes(ScenarioLibrary.Get(scenario), Number(first), Number(last), seconds is [var duration] ? TimeSpan.FromSeconds(Number(duration)) : null);
                return 0;
            default:
                Console.Error.WriteLine("usage: trace-hash SEED | trace SEED | story-hash SEED | cluster-hashes SCENARIO FIRST LAST [SECONDS]");
                return 2;
        }
    }

    /// <summary>One line for each seed, upwards or downwards.</summary>
    private static void WriteHashes(Scenario scenario, ulong first, ulong last, TimeSpan? duration)
    {
        var runner = new ClusterRunner();
        for (ulong seed = first; ; seed = first < last ? seed + 1 : seed - 1)
        {
            Console.WriteLine(runner.Run(scenario, seed, new RunOptions { Duration = duration }).TraceHash);
            if (seed == last)
            {
                return;
            }
        }
    }

    private static ulong Number(string text) => ulong.Parse(text, CultureInfo.InvariantCulture);
}
