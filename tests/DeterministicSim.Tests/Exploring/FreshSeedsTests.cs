using System.Security.Cryptography;
using FtAkka.DeterministicSim.Exploring;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using Xunit.Abstractions;

namespace FtAkka.DeterministicSim.Tests.Exploring;

/// <summary>
/// Seeds that nobody has run before: a minute of them in CI (FTAKKA_CI=1), a few seconds otherwise. What was run is printed, and a failure with the
/// command that repeats it. FTAKKA_FRESH_SECONDS sets another time.
/// </summary>
public sealed class FreshSeedsTests(ITestOutputHelper output)
{
    private const int SecondsInCi = 30;
    private const int SecondsOtherwise = 3;

    [Theory]
    [InlineData(ScenarioRunners.Protocol)]
    [InlineData(ScenarioRunners.Cluster)]
    public void Fresh_seeds_of_mixed_faults_keep_every_invariant(string runner)
    {
        Scenario mixed = ScenarioLibrary.Get("mixed-faults");
        ulong first = BitConverter.ToUInt32(RandomNumberGenerator.GetBytes(4)) * 1_000_000ul;
        var request = new ExploreRequest { Seeds = new SeedRange(first, first + 999_999), TimeLimit = Time };
        ExploreResult result = new Explorer(() => new LocalSeedWorker(ScenarioRunners.Create(runner), mixed, new RunOptions()), request).Run();

        string protocol = runner == ScenarioRunners.Protocol ? " --protocol" : "";
        string ran = FormattableString.Invariant(
            $"{runner}: seeds {first}..{result.NextSeed - 1}, {result.Tally.Seeds} run in {result.RealTime.TotalSeconds:F1} s, {result.Tally.VirtualTime.TotalSeconds:F0} s of virtual time");
        output.WriteLine(ran);
        Console.WriteLine(ran);
        Assert.All(result.Tally.Failures, failure => Assert.Fail(FormattableString.Invariant(
            $"{failure.Violation}\n./ftakka sim run mixed-faults --seed {failure.Seed}{protocol}")));
        Assert.True(result.Tally.Seeds > 0);
    }

    private static TimeSpan Time => TimeSpan.FromSeconds(
        int.TryParse(Environment.GetEnvironmentVariable("FTAKKA_FRESH_SECONDS"), out int seconds) ? seconds
        : Environment.GetEnvironmentVariable("FTAKKA_CI") == "1" ? SecondsInCi : SecondsOtherwise);
}
