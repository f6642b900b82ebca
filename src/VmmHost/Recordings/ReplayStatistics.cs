using System.Text.Json;
using FtAkka.Machine.Digest;
using FtAkka.Recordings;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Run;

namespace FtAkka.VmmHost.Recordings;

/// <summary>What <c>ftakka replay --stats</c> writes.</summary>
/// <param name="Icount">Where the replay ended.</param>
/// <param name="Instructions">Instructions executed.</param>
/// <param name="WallSeconds">Time it took.</param>
/// <param name="GuestSeconds">Guest time that passed.</param>
/// <param name="Mips">Million instructions per second.</param>
/// <param name="Entries">Log entries replayed.</param>
/// <param name="Outputs">Outputs the guest made.</param>
/// <param name="DigestsChecked">Digests compared and equal.</param>
/// <param name="KeyframesCompared">Keyframes compared and equal.</param>
/// <param name="End">Why it ended.</param>
/// <param name="Failure">What is wrong; null if the replay is the recording.</param>
/// <param name="LogCut">Where the log was cut, if it was.</param>
/// <param name="FullDigest">Digest over all of RAM at the end, if asked for.</param>
internal sealed record ReplayStatistics(
    ulong Icount,
    ulong Instructions,
    double WallSeconds,
    double GuestSeconds,
    double Mips,
    ulong Entries,
    ulong Outputs,
    ulong DigestsChecked,
    int KeyframesCompared,
    string End,
    string? Failure,
    string? LogCut,
    string? FullDigest)
{
    private static readonly JsonSerializerOptions Format = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    /// <summary>Statistics of a replay.</summary>
    public static ReplayStatistics Of(ReplayOutcome outcome, MachineDigest? digest) => new(
        outcome.Icount,
        outcome.Instructions,
        Math.Round(outcome.Elapsed.TotalSeconds, 6),
        Math.Round(outcome.GuestTime.TotalSeconds, 6),
        outcome.Elapsed > TimeSpan.Zero ? Math.Round(outcome.Instructions / outcome.Elapsed.TotalSeconds / 1e6, 3) : 0,
        outcome.Entries,
        outcome.Outputs,
        outcome.DigestsChecked,
        outcome.KeyframesCompared,
        outcome.End,
        outcome.Failure,
        outcome.Tail?.ToString(),
        digest is { } full ? RunStatistics.Line(full) : null);

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
