using System.Globalization;
using System.Text;

namespace FtAkka.DeterministicSim.Scenarios;

/// <summary>Writes scenarios as the text that <see cref="ScenarioParser"/> reads: what is printed and read again is the same scenario.</summary>
public static class ScenarioPrinter
{
    /// <summary>What stands before an operator's act in a statement of chance.</summary>
    public const string OperatorPrefix = "operator-";

    /// <summary>The text of a scenario. Values that are a file's defaults are left out.</summary>
    public static string Print(Scenario scenario)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        var defaults = new Scenario { Name = scenario.Name, Guest = ScenarioParser.DefaultGuest };
        var text = new StringBuilder();
        Line(text, "scenario", scenario.Name);
        foreach (string line in scenario.Description.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            Line(text, "about", line);
        }
        text.Append('\n');
        if (!scenario.Hosts.SequenceEqual(defaults.Hosts))
        {
            Line(text, "hosts", string.Join(' ', scenario.Hosts));
        }
        PrintGuest(text, scenario.Guest);
        Line(text, "duration", ScenarioUnits.Print(scenario.Duration));
        if (scenario.LivenessBound != defaults.LivenessBound)
        {
            Line(text, "liveness", ScenarioUnits.Print(scenario.LivenessBound));
        }
        if (!scenario.AutoProtect)
        {
            Line(text, "auto-protect", "no");
        }
        foreach (var (key, value) in scenario.Settings)
        {
            Line(text, "set", $"{key} {value}");
        }
        foreach (Fault fault in scenario.Faults)
        {
            Line(text, "fault", Print(fault));
        }
        foreach (FaultRate rate in scenario.Rates)
        {
            Line(text, "chance", Print(rate));
        }
        foreach (OperatorRate rate in scenario.OperatorRates)
        {
            Line(text, "chance", $"{OperatorPrefix}{ScenarioNames.Of(rate.Action)} {RateOf(rate.PerSecond)}");
        }
        foreach (ScriptedAction action in scenario.Actions)
        {
            Line(text, "operator", Print(action));
        }
        foreach (Expectation expectation in scenario.Expect)
        {
            Line(text, "expect", $"{expectation.What} {expectation.Value}");
        }
        return text.ToString();
    }

    /// <summary>One fault as its statement says it, without the word <c>fault</c>.</summary>
    public static string Print(Fault fault)
    {
        ArgumentNullException.ThrowIfNull(fault);
        FaultShape shape = FaultCatalog.Of(fault.Kind);
        var text = new StringBuilder(ScenarioNames.Of(fault.Kind));
        if (fault.Moment is { } moment)
        {
            text.Append(CultureInfo.InvariantCulture, $" when {ScenarioNames.Of(moment)}");
            text.Append(fault.At == TimeSpan.Zero ? "" : $" after {ScenarioUnits.Print(fault.At)}");
        }
        else
        {
            text.Append(CultureInfo.InvariantCulture, $" at {ScenarioUnits.Print(fault.At)}");
        }
        if (shape.Scope == FaultScope.Link)
        {
            text.Append(FaultCatalog.IsDirected(fault.Kind) ? $" from {fault.Target} to {fault.Other}" : $" between {fault.Target} and {fault.Other}");
        }
        else
        {
            text.Append(Prefixed(" on ", fault.Target));
        }
        text.Append(fault.Duration == TimeSpan.Zero ? "" : $" for {ScenarioUnits.Print(fault.Duration)}");
        text.Append(fault.Magnitude == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $" with {fault.Magnitude}{shape.Unit}"));
        return text.ToString();
    }

    /// <summary>One act of an operator as its statement says it, without the word <c>operator</c>.</summary>
    public static string Print(ScriptedAction action)
    {
        ArgumentNullException.ThrowIfNull(action);
        bool starts = action.Action == OperatorAction.Start;
        return $"{ScenarioNames.Of(action.Action)}{(starts ? "" : Prefixed(" ", action.Host))} at {ScenarioUnits.Print(action.At)}{Prefixed(" on ", action.On)}"
            + $"{(starts ? Prefixed(" backup ", action.Host) : "")}{(action.TakeOver ? " take-over" : "")}{(action.Once ? " once" : "")}";
    }

    private static string RateOf(double perSecond) => $"{((decimal)perSecond).ToString(CultureInfo.InvariantCulture)}/s";

    private static string Print(FaultRate rate)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{ScenarioNames.Of(rate.Kind)} {RateOf(rate.PerSecond)}");
        if (rate.DurationMost > TimeSpan.Zero)
        {
            text.Append(CultureInfo.InvariantCulture, $" for {ScenarioUnits.Print(rate.DurationLeast)}..{ScenarioUnits.Print(rate.DurationMost)}");
        }
        if (rate.MagnitudeLeast != 0 || rate.MagnitudeMost != 0)
        {
            text.Append(CultureInfo.InvariantCulture, $" with {rate.MagnitudeLeast}..{rate.MagnitudeMost}{FaultCatalog.Of(rate.Kind).Unit}");
        }
        text.Append(rate.Moment is { } moment ? $" when {ScenarioNames.Of(moment)}" : "");
        return text.ToString();
    }

    private static void PrintGuest(StringBuilder text, GuestSpec guest)
    {
        if (guest.CommandLine != ScenarioParser.DefaultGuest.CommandLine)
        {
            Line(text, "guest", guest.CommandLine);
        }
        if (guest.MemoryBytes != ScenarioParser.DefaultGuest.MemoryBytes)
        {
            Line(text, "memory", ScenarioUnits.Print(guest.MemoryBytes));
        }
        if (!guest.Disk || !guest.Nic || guest.OwnDisk)
        {
            Line(text, "devices", DevicesOf(guest));
        }
    }

    private static string DevicesOf(GuestSpec guest)
    {
        string[] words = [.. guest.Disk ? new[] { guest.BackupReads ? "read-disk" : guest.OwnDisk ? "own-disk" : "disk" } : [], .. guest.Nic ? new[] { "nic" } : []];
        return words.Length == 0 ? "none" : string.Join(' ', words);
    }

    private static void Line(StringBuilder text, string statement, string rest) => text.Append(CultureInfo.InvariantCulture, $"{statement} {rest}\n");

    private static string Prefixed(string prefix, string text) => text.Length == 0 ? "" : prefix + text;
}
