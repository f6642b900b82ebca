using System.Collections.Immutable;
using System.Text.Json;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Reports;

/// <summary>First line of a trace file.</summary>
/// <param name="Trace">Version of the format: 1.</param>
/// <param name="Runner">What ran: <c>cluster</c> or <c>protocol</c>.</param>
/// <param name="ScenarioText">The scenario as text, so that the file can be run again without any other.</param>
/// <param name="Hosts">Hosts, in the order of lanes.</param>
/// <param name="Mutation">The mistake that was planted, if one was.</param>
/// <param name="Report">How the run went, without its time line.</param>
public sealed record TraceHeader(int Trace, string Runner, string ScenarioText, ImmutableArray<string> Hosts, string? Mutation, SimulationReport Report);

/// <summary>
/// A run with its time line, as a file of JSON lines: a <see cref="TraceHeader"/>, then one <see cref="TimelineEvent"/> to a line, in order of time.
/// docs/simulation.md describes it.
/// </summary>
/// <param name="Header">The first line.</param>
/// <param name="Events">All others.</param>
public sealed record TraceFile(TraceHeader Header, ImmutableArray<TimelineEvent> Events)
{
    /// <summary>The version that this program writes and reads.</summary>
    public const int Version = 1;

    /// <summary>The trace of a run.</summary>
    public static TraceFile Of(Scenario scenario, SimulationReport report, string runner, string? mutation)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        ArgumentNullException.ThrowIfNull(report);
        return new TraceFile(
            new TraceHeader(Version, runner, ScenarioPrinter.Print(scenario), scenario.Hosts, mutation, report with { Timeline = [] }), report.Timeline);
    }

    /// <summary>Writes it.</summary>
    public void Write(TextWriter output)
    {
        ArgumentNullException.ThrowIfNull(output);
        output.WriteLine(JsonSerializer.Serialize(Header, ReportJson.Line));
        foreach (TimelineEvent one in Events)
        {
            output.WriteLine(JsonSerializer.Serialize(one, ReportJson.Line));
        }
    }

    /// <summary>Reads one. A last line that was cut off is dropped.</summary>
    /// <exception cref="ScenarioException">It is no trace, or one of another version.</exception>
    public static TraceFile Read(TextReader input, string file)
    {
        ArgumentNullException.ThrowIfNull(input);
        int number = 1;
        try
        {
            TraceHeader? header = JsonSerializer.Deserialize<TraceHeader>(input.ReadLine() ?? "", ReportJson.Line);
            if (header is not { Trace: Version })
            {
                throw new ScenarioException($"{file}: a trace of version {header?.Trace}; this program reads version {Version}");
            }
            var events = ImmutableArray.CreateBuilder<TimelineEvent>();
            for (string? line = input.ReadLine(), next; line is not null; line = next)
            {
                next = input.ReadLine();
                number++;
                if (next is null && !line.EndsWith('}'))
                {
                    break;
                }
                events.Add(JsonSerializer.Deserialize<TimelineEvent>(line, ReportJson.Line)!);
            }
            return new TraceFile(header, events.ToImmutable());
        }
        catch (JsonException wrong)
        {
            throw new ScenarioException($"{file}:{number}: no line of a trace: {wrong.Message}", wrong);
        }
    }
}
