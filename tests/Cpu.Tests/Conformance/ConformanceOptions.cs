using System.Globalization;

namespace FtAkka.Cpu.Tests.Conformance;

/// <summary>Seed and number of cases, from the environment or by default.</summary>
/// <param name="Seed">FTAKKA_CONFORMANCE_SEED; decimal.</param>
/// <param name="Cases">FTAKKA_CONFORMANCE_CASES, or 1,200,000 with FTAKKA_LONG_TESTS=1, or 6,000.</param>
internal sealed record ConformanceOptions(ulong Seed, int Cases)
{
    private const string SeedVariable = "FTAKKA_CONFORMANCE_SEED", CasesVariable = "FTAKKA_CONFORMANCE_CASES", LongVariable = "FTAKKA_LONG_TESTS";

    public static ConformanceOptions FromEnvironment()
    {
        string? seed = Environment.GetEnvironmentVariable(SeedVariable);
        string? cases = Environment.GetEnvironmentVariable(CasesVariable);
        bool @long = Environment.GetEnvironmentVariable(LongVariable) == "1";
        return new ConformanceOptions(
            seed is null ? 20251 : ulong.Parse(seed, CultureInfo.InvariantCulture),
            cases is not null ? int.Parse(cases, CultureInfo.InvariantCulture) : @long ? 1_200_000 : 6_000);
    }

    /// <summary>The command that runs exactly these cases again.</summary>
    public string Command(string test) => string.Create(CultureInfo.InvariantCulture,
        $"{SeedVariable}={Seed} {CasesVariable}={Cases} dotnet test tests/Cpu.Tests --filter {test}");
}
