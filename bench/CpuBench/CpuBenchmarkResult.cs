using System.Text.Json.Serialization;

namespace FtAkka.CpuBench;

/// <summary>One program, executed natively and through the translator in the same process.</summary>
/// <param name="Name">Name of the program.</param>
/// <param name="NativeSeconds">CPU seconds on the host, the smallest of the repetitions.</param>
/// <param name="TranslatedSeconds">CPU seconds translated (ring 3, 4 KiB pages, exact counts), the smallest of the repetitions.</param>
/// <param name="Ratio">Translated by native; lower is better.</param>
/// <param name="ChecksumEqual">Whether all executions returned the same value.</param>
/// <param name="Checksum">What the program returned.</param>
/// <param name="Instructions">Guest instructions retired.</param>
/// <param name="QemuSeconds">CPU seconds under QEMU's TCG, null if not measured.</param>
/// <param name="QemuIcountSeconds">CPU seconds under QEMU's TCG with -icount shift=0, null if not measured.</param>
public sealed record CpuBenchmarkRow(
    [property: JsonPropertyName("name")] string Name,
    [property: JsonPropertyName("nativeSeconds")] double NativeSeconds,
    [property: JsonPropertyName("translatedSeconds")] double TranslatedSeconds,
    [property: JsonPropertyName("ratio")] double Ratio,
    [property: JsonPropertyName("checksumEqual")] bool ChecksumEqual,
    [property: JsonPropertyName("checksum")] long Checksum,
    [property: JsonPropertyName("instructions")] ulong Instructions,
    [property: JsonPropertyName("qemuSeconds")] double? QemuSeconds = null,
    [property: JsonPropertyName("qemuIcountSeconds")] double? QemuIcountSeconds = null);

/// <summary>The whole table. Serialises to the JSON that <c>ftakka bench cpu --json</c> prints.</summary>
/// <param name="GeometricMeanRatio">Over all programs.</param>
/// <param name="Programs">One row per program, in the order of the image.</param>
/// <param name="TranslatedInstructionsPerSecond">Guest instructions translated per CPU second, measured on the image's code with an empty cache each time.</param>
/// <param name="QemuGeometricMeanRatio">QEMU's TCG by native, over the programs it finished; null if there is no QEMU.</param>
/// <param name="QemuIcountGeometricMeanRatio">The same with -icount shift=0.</param>
/// <param name="QemuVersion">First line of <c>qemu-system-x86_64 --version</c>, or null.</param>
public sealed record CpuBenchmarkResult(
    [property: JsonPropertyName("geometricMeanRatio")] double GeometricMeanRatio,
    [property: JsonPropertyName("programs")] IReadOnlyList<CpuBenchmarkRow> Programs,
    [property: JsonPropertyName("translatedInstructionsPerSecond")] double TranslatedInstructionsPerSecond,
    [property: JsonPropertyName("qemuGeometricMeanRatio")] double? QemuGeometricMeanRatio = null,
    [property: JsonPropertyName("qemuIcountGeometricMeanRatio")] double? QemuIcountGeometricMeanRatio = null,
    [property: JsonPropertyName("qemuVersion")] string? QemuVersion = null);

/// <summary>What to measure.</summary>
public sealed record CpuBenchmarkOptions
{
    /// <summary>Each program runs this many times on each side; the fastest counts. 1 to 100.</summary>
    public int Repetitions { get; init; } = 3;

    /// <summary>Programs to run by name; empty for all.</summary>
    public IReadOnlyList<string> Programs { get; init; } = [];

    /// <summary>Also run the programs under qemu-system-x86_64, if it is installed. Takes a minute or two.</summary>
    public bool Qemu { get; init; } = true;

    /// <summary>Seconds after which a QEMU run is abandoned; what it has reported until then counts.</summary>
    public int QemuTimeoutSeconds { get; init; } = 240;
}
