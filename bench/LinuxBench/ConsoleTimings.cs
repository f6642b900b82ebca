using FtAkka.GuestKit;

namespace FtAkka.LinuxBench;

/// <summary>Cost of a part of a guest's run as its host sees it.</summary>
/// <param name="Wall">Time between the two console lines.</param>
/// <param name="Cpu">Processor time that the VM monitor's process used between them, all its threads together.</param>
/// <param name="Checksum">What the workload computed; empty for the boot.</param>
public readonly record struct ConsoleTiming(TimeSpan Wall, TimeSpan Cpu, string Checksum);

/// <summary>
/// Reads the console lines of a guest that runs <c>ftbench</c> and attributes time to boot and workloads. It has no clock of its
/// own: who reads the console says when each line came.
/// </summary>
public sealed class ConsoleTimings
{
    /// <summary>Name under which the boot to userland is kept.</summary>
    public const string Boot = "boot";

    private readonly Dictionary<string, ConsoleTiming> _timings = new(StringComparer.Ordinal);
    private readonly List<string> _failures = [];
    private (string Name, TimeSpan Wall, TimeSpan Cpu)? _open;

    /// <summary>What has been measured, by workload name.</summary>
    public IReadOnlyDictionary<string, ConsoleTiming> Timings => _timings;

    /// <summary>Workloads that reported a failure, with its text.</summary>
    public IReadOnlyList<string> Failures => _failures;

    /// <summary>Takes the next console line.</summary>
    /// <param name="line">The line without its end; kernel messages may stand anywhere between.</param>
    /// <param name="wall">When it came, since the monitor's process was started.</param>
    /// <param name="cpu">Processor time of the monitor's process by then.</param>
    public void Line(string line, TimeSpan wall, TimeSpan cpu)
    {
        line = line.TrimEnd('\r');
        if (line.StartsWith(InitramfsBuilder.UserlandLine, StringComparison.Ordinal))
        {
            _timings[Boot] = new ConsoleTiming(wall, cpu, string.Empty);
        }
        else if (line.StartsWith(LinuxWorkloads.StartMark, StringComparison.Ordinal))
        {
            _open = (line[LinuxWorkloads.StartMark.Length..], wall, cpu);
        }
        else if (line.StartsWith(LinuxWorkloads.FailedMark, StringComparison.Ordinal))
        {
            _failures.Add(line[LinuxWorkloads.FailedMark.Length..]);
            _open = null;
        }
        else if (line.StartsWith(LinuxWorkloads.EndMark, StringComparison.Ordinal))
        {
            End(line[LinuxWorkloads.EndMark.Length..].Split(' '), wall, cpu);
        }
    }

    private void End(string[] words, TimeSpan wall, TimeSpan cpu)
    {
        if (words.Length == 2 && _open is { } open && open.Name == words[0])
        {
            _timings[open.Name] = new ConsoleTiming(wall - open.Wall, cpu - open.Cpu, words[1]);
        }

        _open = null;
    }
}
