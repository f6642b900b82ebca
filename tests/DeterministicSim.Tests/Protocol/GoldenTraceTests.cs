using System.Globalization;
using System.Runtime.CompilerServices;
using FtAkka.DeterministicSim.Protocol;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Tests.Protocol;

/// <summary>
/// Traces of some seeds as they were written down: the same on every machine and with every Akka, and after every change that means to change nothing. A
/// change of the protocol, of its simulator or of the scenario gives others: FTAKKA_RENEW_GOLDEN=1 writes them down, and the commit says why.
/// </summary>
public sealed class GoldenTraceTests
{
    private const ulong Seeds = 12;
    private const string FileName = "traces.golden";

    [Fact]
    public void Traces_are_those_that_were_written_down()
    {
        string file = Path.Combine(Folder(), FileName);
        string[] traces = [.. Traces()];
        if (Environment.GetEnvironmentVariable("FTAKKA_RENEW_GOLDEN") == "1")
        {
            File.WriteAllLines(file, traces);
        }
        Assert.True(File.ReadAllLines(file).SequenceEqual(traces),
            $"Other traces than in {FileName}. If they are meant to be others: FTAKKA_RENEW_GOLDEN=1 dotnet test tests/DeterministicSim.Tests --filter GoldenTrace\n{string.Join('\n', traces)}");
    }

    private static IEnumerable<string> Traces()
    {
        Scenario mixed = ScenarioLibrary.Get("mixed-faults");
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            SimulationReport report = new ProtocolRunner().Run(mixed, seed, new RunOptions());
            yield return string.Create(CultureInfo.InvariantCulture, $"{seed} {report.TraceHash} {report.VirtualTime.Ticks} {report.Generations}");
        }
    }

    private static string Folder([CallerFilePath] string file = "") => Path.GetDirectoryName(file)!;
}
