using System.Globalization;
using FtAkka.DeterministicSim.Cluster;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.DeterministicSim.Tests.Loop;

namespace FtAkka.DeterministicSim.Tests;

/// <summary>Entry point of the test assembly as a program of its own: tests start it to compare runs of two processes.</summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        switch (args)
        {
            case ["trace-hash", var seed]:
                var (result, _) = ClusterScenario.Run(ulong.Parse(seed, CultureInfo.InvariantCulture));
                Console.WriteLine($"{result.TraceHash} {result.TraceLines}");
                return 0;
            case ["cluster-hashes", var scenario, var first, var last]:
                for (ulong seed = ulong.Parse(first, CultureInfo.InvariantCulture); seed <= ulong.Parse(last, CultureInfo.InvariantCulture); seed++)
                {
                    Console.WriteLine(new ClusterRunner().Run(ScenarioLibrary.Get(scenario), seed, new RunOptions()).TraceHash);
                }
                return 0;
            default:
                Console.Error.WriteLine("usage: trace-hash SEED | cluster-hashes SCENARIO FIRST LAST");
                return 2;
        }
    }
}
