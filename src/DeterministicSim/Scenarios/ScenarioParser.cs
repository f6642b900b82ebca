using System.Collections.Immutable;

namespace FtAkka.DeterministicSim.Scenarios;

/// <summary>
/// Reads scenario files: one statement a line, words separated by blanks, <c>#</c> begins a comment. docs/simulation.md has the grammar. A message
/// names file and line, what was found and what is allowed.
/// </summary>
public sealed class ScenarioParser
{
    private const string Statements = "scenario, about, hosts, guest, memory, devices, duration, liveness, auto-protect, set, fault, chance, operator, expect";

    private readonly string _file;
    private readonly HashSet<string> _once = new(StringComparer.Ordinal);
    private readonly List<string> _about = [];
    private readonly List<(int Line, Fault Fault)> _faults = [];
    private readonly List<FaultRate> _rates = [];
    private readonly List<OperatorRate> _operatorRates = [];
    private readonly List<ScriptedAction> _actions = [];
    private readonly List<Expectation> _expect = [];
    private readonly List<(int Line, string Key, string Value)> _settings = [];
    private Scenario _scenario = new() { Name = "", Guest = DefaultGuest };
    private int _line;

    private ScenarioParser(string file) => _file = file;

    /// <summary>The guest of a scenario that names none: ten rounds of service a second, with disk and network, and no end of its own.</summary>
    public static GuestSpec DefaultGuest { get; } = new("workload=service period=100000000 records=2000 seed=7", 4ul << 20, Disk: true, Nic: true);

    /// <summary>Reads a scenario.</summary>
    /// <param name="text">The file's content.</param>
    /// <param name="file">Its name, for messages.</param>
    /// <exception cref="ScenarioException">The text is no valid scenario.</exception>
    public static Scenario Parse(string text, string file)
    {
        ArgumentNullException.ThrowIfNull(text);
        return new ScenarioParser(file).ReadAll(text);
    }

    private Scenario ReadAll(string text)
    {
        string[] lines = text.ReplaceLineEndings("\n").Split('\n');
        for (_line = 1; _line <= lines.Length; _line++)
        {
            string line = lines[_line - 1].Trim();
            if (line.Length > 0 && line[0] != '#')
            {
                int blank = line.IndexOf(' ', StringComparison.Ordinal);
                Read(blank < 0 ? line : line[..blank], blank < 0 ? "" : line[blank..].Trim());
            }
        }
        if (_scenario.Name.Length == 0)
        {
            _line = 1;
            throw Wrong("a scenario begins with 'scenario NAME'");
        }
        return Checked();
    }

    /// <summary>What can only be said when every line was read: names may be used before the line that introduces them.</summary>
    private Scenario Checked()
    {
        foreach (var (line, fault) in _faults)
        {
            _line = line;
            Refuse($"fault {ScenarioNames.Of(fault.Kind)}", FaultCatalog.Problem(fault, _scenario.Hosts));
        }
        foreach (var (line, key, value) in _settings)
        {
            _line = line;
            Refuse(null, ScenarioRules.Settings.Contains(key) ? null : ScenarioRules.SettingsProblem(new Dictionary<string, string> { [key] = value }));
        }
        var scenario = _scenario with
        {
            Description = string.Join('\n', _about),
            Faults = [.. _faults.Select(fault => fault.Fault)],
            Rates = [.. _rates],
            OperatorRates = [.. _operatorRates],
            Actions = [.. _actions],
            Expect = [.. _expect],
            Settings = _settings.ToImmutableSortedDictionary(setting => setting.Key, setting => setting.Value, StringComparer.Ordinal),
        };
        if (ScenarioRules.Problem(scenario) is { } problem)
        {
            throw new ScenarioException($"{_file}: {problem}");
        }
        return scenario;
    }

    private void Read(string statement, string rest)
    {
        if (statement is not ("about" or "set" or "fault" or "chance" or "operator" or "expect") && !_once.Add(statement))
        {
            throw Wrong($"'{statement}' stands here a second time");
        }
        switch (statement)
        {
            case "scenario":
                Refuse(null, ScenarioRules.NameProblem(rest));
                _scenario = _scenario with { Name = rest };
                break;
            case "about":
                _about.Add(rest);
                break;
            case "hosts":
                string[] hosts = Words(rest);
                Refuse(null, ScenarioRules.HostsProblem(hosts));
                _scenario = _scenario with { Hosts = [.. hosts] };
                break;
            case "guest":
                _scenario = _scenario with { Guest = _scenario.Guest with { CommandLine = rest } };
                break;
            case "memory":
                _scenario = _scenario with { Guest = _scenario.Guest with { MemoryBytes = Size(rest) } };
                break;
            case "devices":
                ReadDevices(Words(rest));
                break;
            case "duration":
                _scenario = _scenario with { Duration = Time("duration", rest) };
                break;
            case "liveness":
                _scenario = _scenario with { LivenessBound = Time("liveness", rest) };
                break;
            case "auto-protect":
                _scenario = _scenario with { AutoProtect = rest is "yes" or "no" ? rest == "yes" : throw Wrong($"auto-protect: yes or no, not '{rest}'") };
                break;
            case "set":
                ReadSetting(Words(rest));
                break;
            case "fault":
                ReadFault(new Clauses(this, "fault", rest));
                break;
            case "chance" when rest.StartsWith(ScenarioPrinter.OperatorPrefix, StringComparison.Ordinal):
                ReadOperatorChance(new Clauses(this, "chance", rest));
                break;
            case "chance":
                ReadChance(new Clauses(this, "chance", rest));
                break;
            case "operator":
                ReadAction(new Clauses(this, "operator", rest));
                break;
            case "expect":
                ReadExpectation(rest);
                break;
            default:
                throw Wrong($"there is no statement '{statement}': {Statements}");
        }
    }

    private void ReadDevices(string[] words)
    {
        if (words is not ["none"] && (words.Length == 0 || words.Except(["disk", "own-disk", "read-disk", "nic"]).Any() || words.Count(word => word != "nic") > 1))
        {
            throw Wrong("devices: disk, own-disk or read-disk, nic, both, or none");
        }
        bool reads = words.Contains("read-disk");
        bool own = reads || words.Contains("own-disk");
        _scenario = _scenario with { Guest = _scenario.Guest with { Disk = own || words.Contains("disk"), Nic = words.Contains("nic"), OwnDisk = own, BackupReads = reads } };
    }

    private void ReadSetting(string[] words)
    {
        if (words is not [var key, var value])
        {
            throw Wrong($"set: 'set KEY VALUE', such as 'set failure-timeout 300ms'; keys: {string.Join(", ", ScenarioRules.Settings)}");
        }
        if (!ScenarioRules.Settings.Contains(key) || !ScenarioUnits.TryTime(value, out _))
        {
            Refuse(null, ScenarioRules.SettingsProblem(new Dictionary<string, string> { [key] = value }));
        }
        if (_settings.Exists(setting => setting.Key == key))
        {
            throw Wrong($"set {key}: it was set before");
        }
        _settings.Add((_line, key, value));
    }

    private void ReadFault(Clauses clauses)
    {
        var kind = clauses.Name<FaultKind>("a kind of fault");
        var fault = new Fault(kind, TimeSpan.Zero, "");
        clauses.ReadRest(
            ("at", () => fault = fault with { At = clauses.Time() }),
            ("when", () => fault = fault with { Moment = clauses.Name<NamedMoment>("a moment") }),
            ("after", () => fault = fault with { At = clauses.Time() }),
            ("on", () => fault = fault with { Target = clauses.Word("a host") }),
            ("between", () => fault = clauses.Pair(fault, "and")),
            ("from", () => fault = clauses.Pair(fault, "to")),
            ("for", () => fault = fault with { Duration = clauses.Time() }),
            ("with", () => fault = fault with { Magnitude = clauses.Magnitudes(FaultCatalog.Of(kind)).Least }));
        if (fault.Moment is null ? !clauses.Has("at") || clauses.Has("after") : clauses.Has("at"))
        {
            throw Wrong($"fault {ScenarioNames.Of(kind)}: 'at TIME', or 'when MOMENT' with or without 'after TIME'");
        }
        _faults.Add((_line, fault));
    }

    private void ReadChance(Clauses clauses)
    {
        var kind = clauses.Name<FaultKind>("a kind of fault");
        double perSecond = Rate(clauses, ScenarioNames.Of(kind));
        var rate = new FaultRate(kind, perSecond, TimeSpan.Zero, TimeSpan.Zero);
        clauses.ReadRest(
            ("for", () =>
            {
                var (least, most) = ScenarioUnits.Range(clauses.Word("durations such as 200ms..2s"));
                rate = rate with { DurationLeast = Time("for", least), DurationMost = Time("for", most) };
            }),
            ("with", () =>
            {
                var (least, most) = clauses.Magnitudes(FaultCatalog.Of(kind));
                rate = rate with { MagnitudeLeast = least, MagnitudeMost = most };
            }),
            ("when", () => rate = rate with { Moment = clauses.Name<NamedMoment>("a moment") }));
        Refuse($"chance {ScenarioNames.Of(kind)}", FaultCatalog.Problem(rate));
        _rates.Add(rate);
    }

    private void ReadOperatorChance(Clauses clauses)
    {
        var action = clauses.Name<OperatorAction>("an action", ScenarioPrinter.OperatorPrefix);
        string name = ScenarioPrinter.OperatorPrefix + ScenarioNames.Of(action);
        var rate = new OperatorRate(action, Rate(clauses, name));
        clauses.ReadRest();
        Refuse($"chance {name}", ScenarioRules.Problem(rate));
        _operatorRates.Add(rate);
    }

    private double Rate(Clauses clauses, string of)
    {
        string text = clauses.Word("a rate such as 0.05/s");
        return text.EndsWith("/s", StringComparison.Ordinal)
            && double.TryParse(text[..^2], System.Globalization.NumberStyles.AllowDecimalPoint, System.Globalization.CultureInfo.InvariantCulture, out double perSecond)
            ? perSecond : throw Wrong($"chance {of}: a rate such as 0.05/s, not '{text}'");
    }

    private void ReadAction(Clauses clauses)
    {
        var action = clauses.Name<OperatorAction>("an action");
        string host = action == OperatorAction.Protect ? clauses.Word("a host") : "";
        var read = new ScriptedAction(TimeSpan.Zero, action, host);
        clauses.ReadRest(
            ("at", () => read = read with { At = clauses.Time() }),
            ("on", () => read = read with { On = clauses.Word("a host") }),
            ("backup", () => read = read with { Host = clauses.Word("a host") }),
            ("take-over", () => read = read with { TakeOver = true }),
            ("once", () => read = read with { Once = true }));
        if (!clauses.Has("at"))
        {
            throw Wrong($"operator {ScenarioNames.Of(action)}: 'at TIME' is missing");
        }
        _actions.Add(read);
    }

    private void ReadExpectation(string rest)
    {
        string[] words = Words(rest);
        if (words.Length < 2)
        {
            throw Wrong($"expect: 'expect WHAT VALUE'; what: {Expectations.Names}");
        }
        _expect.Add(new Expectation(words[0], string.Join(' ', words[1..])));
    }

    private static string[] Words(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private TimeSpan Time(string what, string text) =>
        ScenarioUnits.TryTime(text, out TimeSpan time) ? time : throw Wrong($"{what}: a number and a unit (us, ms, s, min, h), such as 500ms, not '{text}'");

    private ulong Size(string text) =>
        ScenarioUnits.TrySize(text, out ulong bytes) ? bytes : throw Wrong($"memory: a number of bytes, or with KiB, MiB or GiB, such as 16MiB, not '{text}'");

    private void Refuse(string? what, string? problem)
    {
        if (problem is not null)
        {
            throw Wrong(what is null ? problem : $"{what}: {problem}");
        }
    }

    private ScenarioException Wrong(string problem) => new($"{_file}:{_line}: {problem}");

    /// <summary>The words of one statement, read from left to right.</summary>
    private sealed class Clauses(ScenarioParser parser, string statement, string text)
    {
        private readonly string[] _words = Words(text);
        private readonly HashSet<string> _seen = new(StringComparer.Ordinal);
        private int _next;
        private string? _named;

        private string Subject => _named ?? statement;

        public bool Has(string keyword) => _seen.Contains(keyword);

        public string Word(string what) => _next < _words.Length ? _words[_next++] : throw parser.Wrong($"{Subject}: {what} is missing");

        public TimeSpan Time() => parser.Time(Subject, Word("a time"));

        public T Name<T>(string what, string prefix = "")
            where T : struct, Enum
        {
            string word = _next < _words.Length ? _words[_next++] : "";
            if (!ScenarioNames.TryParse(word[prefix.Length..], out T value))
            {
                throw parser.Wrong($"{Subject}: {what}, not '{word}': {prefix}{ScenarioNames.All<T>().Replace(", ", ", " + prefix, StringComparison.Ordinal)}");
            }
            if (_next == 1)
            {
                _named = $"{statement} {word}";
            }
            return value;
        }

        public Fault Pair(Fault fault, string joint)
        {
            string first = Word("a host");
            if (Word($"'{joint}'") != joint)
            {
                throw parser.Wrong($"{Subject}: '{joint}' must stand between the two hosts");
            }
            return fault with { Target = first, Other = Word("a host") };
        }

        public (long Least, long Most) Magnitudes(FaultShape shape)
        {
            string word = Word("a magnitude");
            if (shape.Unit is not { } unit)
            {
                throw parser.Wrong($"{Subject}: it has no magnitude: it takes no 'with'");
            }
            var (least, most) = ScenarioUnits.Range(word.EndsWith(unit, StringComparison.Ordinal) ? word[..^unit.Length] : "");
            const System.Globalization.NumberStyles Whole = System.Globalization.NumberStyles.AllowLeadingSign;
            var culture = System.Globalization.CultureInfo.InvariantCulture;
            return long.TryParse(least, Whole, culture, out long first) && long.TryParse(most, Whole, culture, out long last)
                ? (first, last)
                : throw parser.Wrong($"{Subject}: a magnitude between {shape.Least} and {shape.Most} with its unit, such as {shape.Default}{unit}, not '{word}'");
        }

        public void ReadRest(params (string Keyword, Action Read)[] clauses)
        {
            while (_next < _words.Length)
            {
                string keyword = _words[_next++];
                var clause = Array.Find(clauses, one => one.Keyword == keyword);
                if (clause.Read is null)
                {
                    throw parser.Wrong($"{Subject}: there is no clause '{keyword}': {string.Join(", ", clauses.Select(one => one.Keyword))}");
                }
                if (!_seen.Add(keyword))
                {
                    throw parser.Wrong($"{Subject}: '{keyword}' stands here twice");
                }
                clause.Read();
            }
        }
    }
}
