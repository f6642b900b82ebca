using System.Text.Json;
using System.Text.Json.Serialization;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.Machine.Digest;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Run;

/// <summary>What <c>--stats</c> writes.</summary>
/// <param name="Name">Name of the VM.</param>
/// <param name="End">Why it ended.</param>
/// <param name="Detail">More about the end, or null.</param>
/// <param name="RngSeed">Seed of the guest's randomness, hexadecimal; with the same inputs it repeats the run.</param>
/// <param name="Icount">Instructions retired.</param>
/// <param name="Restarts">How often the machine was started again.</param>
/// <param name="WallSeconds">Time from power-on to the end.</param>
/// <param name="ExecutingSeconds">Part of it spent executing guest instructions.</param>
/// <param name="Mips">Million instructions per second of executing.</param>
/// <param name="ClockLagMaxMilliseconds">The farthest the guest's clock was behind the host's.</param>
/// <param name="ClockAdvances">How often that clock was advanced while the guest was executing.</param>
/// <param name="ClockAdvancesLate">How often it was then behind by more than 10 ms.</param>
/// <param name="Exits">How often the machine was run, by why the run ended.</param>
/// <param name="Inputs">Input events by kind.</param>
/// <param name="Effects">Effects by kind; console output that followed on one another counts once.</param>
/// <param name="Cpu">Counters of the vCPU.</param>
/// <param name="Digests">Digests taken, if any were asked for.</param>
internal sealed record RunStatistics(
    string Name,
    MachineEndReason End,
    string? Detail,
    string RngSeed,
    ulong Icount,
    ulong Restarts,
    double WallSeconds,
    double ExecutingSeconds,
    double Mips,
    double ClockLagMaxMilliseconds,
    ulong ClockAdvances,
    ulong ClockAdvancesLate,
    IReadOnlyDictionary<string, ulong> Exits,
    IReadOnlyDictionary<string, ulong> Inputs,
    IReadOnlyDictionary<string, ulong> Effects,
    IReadOnlyDictionary<string, ulong> Cpu,
    IReadOnlyList<string> Digests)
{
    private static readonly JsonSerializerOptions Format = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DictionaryKeyPolicy = JsonNamingPolicy.CamelCase,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    /// <summary>Statistics of an ended run.</summary>
    public static RunStatistics Of(VmProtocol.Ended ended, MachineReport report, ulong rngSeed, IReadOnlyList<MachineDigest> digests) => new(
        ended.Name,
        ended.Reason,
        ended.Detail,
        $"0x{rngSeed:x}",
        report.Icount,
        report.Restarts,
        Math.Round(report.Elapsed.TotalSeconds, 6),
        Math.Round(report.Executing.TotalSeconds, 6),
        report.Executing > TimeSpan.Zero ? Math.Round(report.Icount / report.Executing.TotalSeconds / 1e6, 3) : 0,
        Math.Round(report.ClockLagMax.TotalMilliseconds, 3),
        report.ClockAdvances,
        report.ClockAdvancesLate,
        report.Exits.ToDictionary(exit => exit.Key.ToString(), exit => exit.Value),
        report.Inputs,
        report.Effects,
        report.Cpu,
        [.. digests.Select(Line)]);

    /// <summary>One digest as a line of text.</summary>
    public static string Line(MachineDigest digest) =>
        $"icount {digest.Icount} cpu {digest.Cpu:x16} devices {digest.Devices:x16} memory {digest.Memory:x16}";

    /// <summary>Writes a JSON file.</summary>
    /// <exception cref="CommandFailedException">The file cannot be written.</exception>
    public void Write(string path)
    {
        try
        {
            File.WriteAllText(path, JsonSerializer.Serialize(this, Format) + "\n");
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException($"Cannot write the statistics {path}: {refused.Message}", refused);
        }
    }
}
