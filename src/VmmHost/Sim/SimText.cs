using System.Globalization;
using FtAkka.DeterministicSim.Exploring;
using FtAkka.DeterministicSim.Network;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.VmmHost.Sim;

/// <summary>Reports of simulations as text.</summary>
internal static class SimText
{
    private const int EventsBeforeViolation = 40;

    /// <summary>How one run went.</summary>
    public static void Write(TextWriter output, SimChoice choice, SimulationReport report, TimeSpan real)
    {
        output.WriteLine(Line($"{report.Scenario} (runner {choice.Runner}), seed {report.Seed}: {Seconds(report.VirtualTime)} s of virtual time in {Seconds(real)} s"));
        if (report.Violation is not null)
        {
            WriteFailure(output, choice, report);
            return;
        }
        output.WriteLine(Line($"every invariant held; {report.Generations} generations, {report.Instructions} instructions, {report.Plan.Length} faults"));
        output.WriteLine(Counts("effects", report.Effects));
        output.WriteLine(Counts("moments", report.MomentsReached));
        output.WriteLine(Counts("states", report.StatesReached));
        output.WriteLine(Counts("crashes at moments", report.CrashedAt));
        output.WriteLine(Counts("connections", report.Connections));
        output.WriteLine(Counts("generations by", report.GenerationsBy));
        output.WriteLine(Counts("verbs done", report.VerbsDone));
        output.WriteLine(Counts("verbs refused", report.VerbsRefused));
        output.WriteLine($"trace hash {report.TraceHash}");
    }

    /// <summary>Seed, options, first violated invariant, the events that led to it, and the command that repeats it.</summary>
    public static void WriteFailure(TextWriter output, SimChoice choice, SimulationReport report)
    {
        Violation violation = report.Violation!;
        output.WriteLine(Line($"FAILED: seed {report.Seed} of {report.Scenario} violates {violation.Invariant} at {Seconds(violation.At)} s of virtual time"));
        output.WriteLine($"  {violation.Detail}");
        string options = choice.CommandOptions.Length > 0 ? choice.CommandOptions.Trim() : "none";
        output.WriteLine(Line($"options: {options}; runner {choice.Runner}, duration {ScenarioUnits.Print(choice.Options.Duration ?? choice.Scenario.Duration)}, trace hash {report.TraceHash}"));
        output.WriteLine(Line($"faults of this seed: {report.Plan.Length}"));
        foreach (Fault fault in report.Plan.Where(fault => fault.At <= violation.At))
        {
            output.WriteLine($"  {ScenarioPrinter.Print(fault)}");
        }
        foreach (ScriptedAction action in report.Acts.Where(action => action.At <= violation.At))
        {
            output.WriteLine($"  operator {ScenarioPrinter.Print(action)}");
        }
        output.WriteLine("the events before it:");
        TimelineEvent[] telling = [.. report.Timeline.Where(one => one.Kind is not TimelineKind.Message)];
        foreach (TimelineEvent one in telling.TakeLast(EventsBeforeViolation))
        {
            output.WriteLine($"  {TimelineText.Plain(one).Split('\n')[0]}");   // not the stack of a connection that ended
        }
        output.WriteLine($"repeat:  {choice.RepeatCommand(report.Seed)}");
        output.WriteLine($"shrink:  {choice.ShrinkCommand(report.Seed)}");
    }

    /// <summary>The tables of an exploration.</summary>
    public static void WriteTables(TextWriter output, ExploreTally tally, Func<FaultKind, bool> knows)
    {
        output.WriteLine($"{"fault",-42} took effect");
        foreach (FaultShape shape in FaultCatalog.All)
        {
            string count = knows(shape.Kind) ? Line($"{tally.Effects.GetValueOrDefault(shape.Kind)}") : "(means nothing to this runner)";
            output.WriteLine($"  {ScenarioNames.Of(shape.Kind),-40} {count}");
        }
        output.WriteLine($"{"moment",-42} reached      crashed there");
        foreach (NamedMoment moment in Enum.GetValues<NamedMoment>())
        {
            output.WriteLine(Line($"  {ScenarioNames.Of(moment),-40} {tally.MomentsReached.GetValueOrDefault(moment),-12} {tally.CrashedAt.GetValueOrDefault(moment)}"));
        }
        if (tally.Connections.Count > 0)
        {
            output.WriteLine($"{"connections between hosts",-42} happened");
            foreach (ConnectionEvent what in Enum.GetValues<ConnectionEvent>())
            {
                output.WriteLine(Line($"  {ScenarioNames.Of(what),-40} {tally.Connections.GetValueOrDefault(what)}"));
            }
        }
        WriteGenerations(output, tally);
        WriteVerbs(output, tally);
    }

    private static void WriteGenerations(TextWriter output, ExploreTally tally)
    {
        if (tally.GenerationsBy.Count > 0)
        {
            output.WriteLine($"{"generations by",-42} happened");
            foreach (GenerationCause cause in Enum.GetValues<GenerationCause>())
            {
                output.WriteLine(Line($"  {ScenarioNames.Of(cause),-40} {tally.GenerationsBy.GetValueOrDefault(cause)}"));
            }
        }
    }

    private static void WriteVerbs(TextWriter output, ExploreTally tally)
    {
        if (tally.VerbsDone.Count + tally.VerbsRefused.Count > 0)
        {
            output.WriteLine($"{"verb",-42} done         refused");
            foreach (OperatorAction action in Enum.GetValues<OperatorAction>())
            {
                output.WriteLine(Line($"  {ScenarioNames.Of(action),-40} {tally.VerbsDone.GetValueOrDefault(action),-12} {tally.VerbsRefused.GetValueOrDefault(action)}"));
            }
        }
    }

    /// <summary>States of replicas that an exploration has reached, and those that it has not.</summary>
    public static void WriteStates(TextWriter output, ExploreTally tally)
    {
        output.WriteLine($"{"state",-42} entered");
        foreach (RunState state in Enum.GetValues<RunState>())
        {
            output.WriteLine(Line($"  {ScenarioNames.Of(state),-40} {tally.StatesReached.GetValueOrDefault(state)}"));
        }
        RunState[] missing = [.. RunStates.MustReach.Where(state => tally.StatesReached.GetValueOrDefault(state) == 0)];
        output.WriteLine(missing.Length == 0 ? "every state that must be reached was"
            : $"not reached, and should be before this says much: {string.Join(", ", missing.Select(ScenarioNames.Of))}");
    }

    public static string Seconds(TimeSpan time) => time.TotalSeconds.ToString("F3", CultureInfo.InvariantCulture);

    public static string Line(FormattableString text) => FormattableString.Invariant(text);

    private static string Counts<T>(string title, IReadOnlyDictionary<T, long> counts)
        where T : struct, Enum =>
        $"{title}: {(counts.Count == 0 ? "none" : string.Join(", ", counts.Select(pair => Line($"{ScenarioNames.Of(pair.Key)} {pair.Value}"))))}";
}
