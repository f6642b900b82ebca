using System.Globalization;
using FtAkka.DeterministicSim.Tests.Loop;

namespace FtAkka.DeterministicSim.Tests;

/// <summary>Entry point of the test assembly as a program of its own: tests start it to compare runs of two processes.</summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        if (args is not ["trace-hash", var seed])
        {
            Console.Error.WriteLine("usage: trace-hash SEED");
            return 2;
        }

        var (result, _) = ClusterScenario.Run(ulong.Parse(seed, CultureInfo.InvariantCulture));
        Console.WriteLine($"{result.TraceHash} {result.TraceLines}");
        return 0;
    }
}
