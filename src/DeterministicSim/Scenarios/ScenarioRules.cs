using FtAkka.Replication.Protection;

namespace FtAkka.DeterministicSim.Scenarios;

/// <summary>What every scenario must keep to, whether it was read from a file or made by a test.</summary>
public static class ScenarioRules
{
    /// <summary>Most hosts of a scenario.</summary>
    public const int HostsMost = 16;

    /// <summary>Longest time in which faults may strike.</summary>
    public static TimeSpan DurationMost { get; } = TimeSpan.FromHours(24);

    /// <summary>The settings that a scenario may change, with what each is.</summary>
    public static IReadOnlyList<string> Settings { get; } = ["heartbeat-interval", "failure-timeout", "channel-timeout", "lease", "pause-guard"];

    /// <summary>Throws for the first thing that is wrong.</summary>
    /// <exception cref="ScenarioException">Says what is wrong and what is allowed.</exception>
    public static void Validate(Scenario scenario)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        if (Problem(scenario) is { } problem)
        {
            throw new ScenarioException($"{scenario.Name}: {problem}");
        }
    }

    /// <summary>The first thing that is wrong with a scenario; null when nothing is.</summary>
    public static string? Problem(Scenario scenario)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        string? problem = NameProblem(scenario.Name) ?? HostsProblem(scenario.Hosts)
            ?? (scenario.Duration <= TimeSpan.Zero || scenario.Duration > DurationMost ? "duration: above 0 and at most 24 hours" : null)
            ?? (scenario.LivenessBound <= TimeSpan.Zero ? "liveness: a duration above 0" : null)
            ?? SettingsProblem(scenario.Settings);
        if (problem is not null)
        {
            return problem;
        }
        foreach (Fault fault in scenario.Faults)
        {
            if (FaultCatalog.Problem(fault, scenario.Hosts) is { } wrong)
            {
                return $"fault {ScenarioNames.Of(fault.Kind)}: {wrong}";
            }
            if (fault.At > scenario.Duration)
            {
                return $"fault {ScenarioNames.Of(fault.Kind)}: it strikes after the scenario's duration of {ScenarioUnits.Print(scenario.Duration)}";
            }
        }
        foreach (FaultRate rate in scenario.Rates)
        {
            if (FaultCatalog.Problem(rate) is { } wrong)
            {
                return $"chance {ScenarioNames.Of(rate.Kind)}: {wrong}";
            }
        }
        return scenario.OperatorRates.Select(rate => Problem(rate) is { } wrong ? $"chance {ScenarioPrinter.OperatorPrefix}{ScenarioNames.Of(rate.Action)}: {wrong}" : null).FirstOrDefault(wrong => wrong is not null)
            ?? scenario.Actions.Select(action => Problem(action, scenario.Hosts)).FirstOrDefault(wrong => wrong is not null)
            ?? scenario.Expect.Select(expectation => Expectations.Problem(expectation, scenario.Hosts)).FirstOrDefault(wrong => wrong is not null);
    }

    /// <summary>What is wrong with a name; null when nothing is.</summary>
    public static string? NameProblem(string name) =>
        name is { Length: > 0 and <= 80 } && name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-')
            ? null : $"scenario: a name of lower-case letters, digits and dashes, not '{name}'";

    /// <summary>What is wrong with a list of hosts; null when nothing is.</summary>
    public static string? HostsProblem(IReadOnlyCollection<string> hosts)
    {
        ArgumentNullException.ThrowIfNull(hosts);
        if (hosts.Count is < 1 or > HostsMost)
        {
            return $"hosts: from 1 to {HostsMost} names, not {hosts.Count}";
        }
        if (hosts.FirstOrDefault(host => !host.All(char.IsAsciiLetterOrDigit) || host.Length == 0 || host is FaultCatalog.Primary or FaultCatalog.Backup) is { } bad)
        {
            return $"hosts: names of letters and digits, other than primary and backup, not '{bad}'";
        }
        return hosts.Distinct(StringComparer.Ordinal).Count() == hosts.Count ? null : "hosts: each name once";
    }

    /// <summary>What is wrong with settings of the nodes; null when nothing is.</summary>
    public static string? SettingsProblem(IReadOnlyDictionary<string, string> settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        foreach (var (key, value) in settings)
        {
            if (!Settings.Contains(key))
            {
                return $"set: there is no setting '{key}': {string.Join(", ", Settings)}";
            }
            if (!ScenarioUnits.TryTime(value, out _))
            {
                return $"set {key}: a duration such as 300ms, not '{value}'";
            }
        }
        return ProtectionOf(settings).Validate() is { } wrong ? $"set: {wrong}" : null;
    }

    /// <summary>The protocol's options under a scenario's settings.</summary>
    public static ProtectionOptions ProtectionOf(IReadOnlyDictionary<string, string> settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        var options = new ProtectionOptions();
        return options with
        {
            HeartbeatInterval = Time("heartbeat-interval", options.HeartbeatInterval),
            FailureTimeout = Time("failure-timeout", options.FailureTimeout),
            ChannelTimeout = Time("channel-timeout", options.ChannelTimeout),
            LeaseDuration = Time("lease", options.LeaseDuration),
            PauseGuard = Time("pause-guard", options.PauseGuard),
        };

        TimeSpan Time(string key, TimeSpan otherwise) =>
            settings.TryGetValue(key, out string? text) && ScenarioUnits.TryTime(text, out TimeSpan time) ? time : otherwise;
    }

    /// <summary>What is wrong with acts by chance; null when nothing is.</summary>
    public static string? Problem(OperatorRate rate)
    {
        ArgumentNullException.ThrowIfNull(rate);
        return rate.PerSecond is > 0 and <= FaultPlanner.RateMost ? null : $"the rate must be above 0 and at most {FaultPlanner.RateMost} per second";
    }

    private static string? Problem(ScriptedAction action, IReadOnlyCollection<string> hosts)
    {
        string verb = ScenarioNames.Of(action.Action), names = string.Join(", ", hosts);
        if (action.Action == OperatorAction.Protect && !hosts.Contains(action.Host))
        {
            return $"operator protect: a host: {names}, not '{action.Host}'";
        }
        if (action.Host.Length > 0 && !hosts.Contains(action.Host))
        {
            return $"operator {verb}: there is no host '{action.Host}': {names}";
        }
        if (action.Host.Length > 0 && action.Action is not (OperatorAction.Protect or OperatorAction.Start))
        {
            return $"operator {verb}: it takes no host";
        }
        if (action.On is not ("" or FaultCatalog.Primary or FaultCatalog.Backup) && !hosts.Contains(action.On))
        {
            return $"operator {verb}: there is no host '{action.On}': {names}, {FaultCatalog.Primary} or {FaultCatalog.Backup}";
        }
        if (action.Action is OperatorAction.Start or OperatorAction.NodeStop && action.On.Length == 0)
        {
            return $"operator {verb}: 'on' is missing: {names}, {FaultCatalog.Primary} or {FaultCatalog.Backup}";
        }
        return action.TakeOver && action.Action != OperatorAction.Start ? $"operator {verb}: only start takes 'take-over'" : null;
    }
}
