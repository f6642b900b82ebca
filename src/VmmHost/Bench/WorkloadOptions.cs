using System.CommandLine;
using System.CommandLine.Parsing;
using FtAkka.LinuxBench;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Bench;

/// <summary>The options of benchmarks that let a Debian guest run workloads under several monitors.</summary>
/// <param name="result">What counts of several rounds, for the help.</param>
internal sealed class WorkloadOptions(string result)
{
    private const int RoundsMax = 100;

    private readonly Option<bool> json = ReportOptions.Json();

    private readonly Option<string[]> only = new("--only")
    {
        Description = $"Workloads to run: {string.Join(", ", LinuxWorkloads.All.Select(workload => workload.Name))}. Default: all.",
        HelpName = "NAMES",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<bool> noQemu = new("--no-qemu") { Description = "Leave out QEMU." };

    private readonly Option<int> rounds = new("--rounds")
    {
        Description = $"How often each monitor runs everything, 1 to {RoundsMax}; {result}.",
        DefaultValueFactory = _ => 1,
        HelpName = "N",
    };

    /// <summary>Adds them to a verb.</summary>
    public void AddTo(Command command)
    {
        only.Validators.Add(CheckNames);
        rounds.Validators.Add(CheckRounds);
        foreach (Option option in new Option[] { json, only, noQemu, rounds })
        {
            command.Options.Add(option);
        }
    }

    /// <summary>Whether the result is to be printed as JSON.</summary>
    public bool IsJson(ParseResult parsed) => parsed.GetValue(json);

    /// <summary>Whether to run QEMU beside.</summary>
    public bool WithQemu(ParseResult parsed) => !parsed.GetValue(noQemu);

    /// <summary>How often to run everything.</summary>
    public int Rounds(ParseResult parsed) => parsed.GetValue(rounds);

    /// <summary>The workloads asked for.</summary>
    public IReadOnlyList<LinuxWorkload> Workloads(ParseResult parsed)
    {
        string[] names = [.. Names(parsed.GetValue(only))];
        return [.. LinuxWorkloads.All.Where(workload => names.Length == 0 || names.Contains(workload.Name))];
    }

    private static IEnumerable<string> Names(string[]? words) =>
        (words ?? []).SelectMany(word => word.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));

    private static void CheckNames(OptionResult result)
    {
        if (Names(result.GetValueOrDefault<string[]>()).FirstOrDefault(name => LinuxWorkloads.All.All(workload => workload.Name != name)) is { } unknown)
        {
            result.AddError($"--only: there is no workload '{unknown}'.");
        }
    }

    private static void CheckRounds(OptionResult result)
    {
        if (result.GetValueOrDefault<int>() is < 1 or > RoundsMax)
        {
            result.AddError($"--rounds must be between 1 and {RoundsMax}.");
        }
    }
}
