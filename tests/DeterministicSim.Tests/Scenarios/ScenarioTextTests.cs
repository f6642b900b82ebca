using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Tests.Scenarios;

/// <summary>Scenario files: what can be said, what is refused and with which words, and that what is printed reads back.</summary>
public sealed class ScenarioTextTests
{
    private const string Everything = """
        # Every statement there is.
        scenario everything
        about First line.
        about Second line.
        hosts X Y Z
        guest workload=journal records=5
        memory 32MiB
        devices disk
        duration 1500ms
        liveness 5s
        auto-protect no
        set failure-timeout 400ms
        fault host-crash at 1s on primary for 2s
        fault host-pause when drain after 250us on backup for 30ms
        fault one-way-partition at 0 from X to Y
        fault flapping-partition at 1s between primary and Z for 300ms
        fault clock-drift at 0 on Z with -5000ppm
        fault disk-slow at 1ms with 7us
        chance frame-loss 0.05/s for 100ms..2s with 10..20ppm
        chance host-crash 1.5/s for 1s..1s when reissue
        chance operator-node-stop 0.25/s
        operator protect Z at 200ms
        operator protect Y at 300ms on backup once
        operator start at 400ms on Y backup Z take-over once
        operator power-off at 1s
        expect live any
        expect generation 2..4
        expect effect host-crash 1..
        """;

    [Fact]
    public void Every_statement_is_read()
    {
        Scenario scenario = ScenarioParser.Parse(Everything, "everything.scenario");
        Assert.Equal("First line.\nSecond line.", scenario.Description);
        Assert.Equal(["X", "Y", "Z"], scenario.Hosts.ToArray());
        Assert.Equal(new GuestSpec("workload=journal records=5", 32 << 20, Disk: true, Nic: false), scenario.Guest);
        Assert.Equal(TimeSpan.FromMilliseconds(1500), scenario.Duration);
        Assert.False(scenario.AutoProtect);
        Assert.Equal(new Fault(FaultKind.HostCrash, TimeSpan.FromSeconds(1), "primary", Duration: TimeSpan.FromSeconds(2)), scenario.Faults[0]);
        Assert.Equal(
            new Fault(FaultKind.HostPause, TimeSpan.FromMicroseconds(250), "backup", Duration: TimeSpan.FromMilliseconds(30), Moment: NamedMoment.Drain),
            scenario.Faults[1]);
        Assert.Equal(new Fault(FaultKind.OneWayPartition, TimeSpan.Zero, "X", "Y"), scenario.Faults[2]);
        Assert.Equal(-5000, scenario.Faults[4].Magnitude);
        Assert.Equal(
            new FaultRate(FaultKind.FrameLoss, 0.05, TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(2), 10, 20), scenario.Rates[0]);
        Assert.Equal(new ScriptedAction(TimeSpan.FromMilliseconds(200), OperatorAction.Protect, "Z"), scenario.Actions[0]);
        Assert.Equal(new OperatorRate(OperatorAction.NodeStop, 0.25), Assert.Single(scenario.OperatorRates));
        Assert.Equal(new ScriptedAction(TimeSpan.FromMilliseconds(300), OperatorAction.Protect, "Y", "backup", Once: true), scenario.Actions[1]);
        Assert.Equal(new ScriptedAction(TimeSpan.FromMilliseconds(400), OperatorAction.Start, "Z", "Y", TakeOver: true, Once: true), scenario.Actions[2]);
        Assert.Equal(new Expectation("effect", "host-crash 1.."), scenario.Expect[2]);
    }

    [Fact]
    public void Printed_scenario_reads_back_as_the_same()
    {
        foreach (Scenario scenario in ScenarioLibrary.Names.Select(ScenarioLibrary.Get).Append(ScenarioParser.Parse(Everything, "e")))
        {
            string text = ScenarioPrinter.Print(scenario);
            Scenario again = ScenarioParser.Parse(text, "printed");
            Assert.Equal(text, ScenarioPrinter.Print(again));
            Assert.Equal(scenario.Faults.ToArray(), again.Faults.ToArray());
            Assert.Equal(scenario.Rates.ToArray(), again.Rates.ToArray());
            Assert.Equal(scenario.Actions.ToArray(), again.Actions.ToArray());
            Assert.Equal(scenario.OperatorRates.ToArray(), again.OperatorRates.ToArray());
            Assert.Equal(scenario.Expect.ToArray(), again.Expect.ToArray());
            Assert.Equal(scenario.Settings, again.Settings);
            Assert.Equal(
                (scenario.Name, scenario.Description, scenario.Guest, scenario.Duration, scenario.LivenessBound, scenario.AutoProtect),
                (again.Name, again.Description, again.Guest, again.Duration, again.LivenessBound, again.AutoProtect));
        }
    }

    [Fact]
    public void Printed_plan_of_a_seed_reads_back_as_the_same()
    {
        Scenario mixed = ScenarioLibrary.Get("mixed-faults");
        for (ulong seed = 1; seed <= 50; seed++)
        {
            Scenario scripted = mixed with { Rates = [], Faults = FaultPlanner.Plan(mixed, seed), OperatorRates = [], Actions = OperatorPlanner.Plan(mixed, seed) };
            Scenario read = ScenarioParser.Parse(ScenarioPrinter.Print(scripted), "printed");
            Assert.Equal(scripted.Faults.ToArray(), read.Faults.ToArray());
            Assert.Equal(scripted.Actions.ToArray(), read.Actions.ToArray());
        }
    }

    [Theory]
    [InlineData("faults x", "f:2: there is no statement 'faults': scenario, about, hosts, guest")]
    [InlineData("fault host-crush at 1s on A", "f:2: fault: a kind of fault, not 'host-crush': host-crash, host-pause, partition")]
    [InlineData("fault host-crash at 1s", "f:2: fault host-crash: 'on' is missing: A, B, C, primary or backup")]
    [InlineData("fault host-crash at 1s on D", "f:2: fault host-crash: there is no host 'D': A, B, C, primary or backup")]
    [InlineData("fault host-crash at soon on A", "f:2: fault host-crash: a number and a unit (us, ms, s, min, h), such as 500ms, not 'soon'")]
    [InlineData("fault host-crash on A", "f:2: fault host-crash: 'at TIME', or 'when MOMENT' with or without 'after TIME'")]
    [InlineData("fault host-crash at 1s on A when drain", "f:2: fault host-crash: 'at TIME', or 'when MOMENT' with or without 'after TIME'")]
    [InlineData("fault host-crash when lunch on A", "f:2: fault host-crash: a moment, not 'lunch': clone-round, final-switch")]
    [InlineData("fault host-crash at 1s on A on B", "f:2: fault host-crash: 'on' stands here twice")]
    [InlineData("fault host-crash at 1s on A because", "f:2: fault host-crash: there is no clause 'because': at, when, after, on")]
    [InlineData("fault host-crash at 1s on A with 5%", "f:2: fault host-crash: it has no magnitude: it takes no 'with'")]
    [InlineData("fault host-pause at 1s on A", "f:2: fault host-pause: 'for' is missing: a duration above zero, such as 500ms")]
    [InlineData("fault partition at 1s between A and A", "f:2: fault partition: the two hosts must differ; both are 'A'")]
    [InlineData("fault partition at 1s between A or B", "f:2: fault partition: 'and' must stand between the two hosts")]
    [InlineData("fault partition at 1s", "f:2: fault partition: 'between HOST and HOST' is missing")]
    [InlineData("fault one-way-partition at 1s", "f:2: fault one-way-partition: 'from HOST to HOST' is missing")]
    [InlineData("fault frame-loss at 1s on A", "f:2: fault frame-loss: it concerns the whole cluster: it takes no host")]
    [InlineData("fault frame-loss at 1s with 5", "f:2: fault frame-loss: a magnitude between 1 and 1000000 with its unit, such as 50000ppm, not '5'")]
    [InlineData("fault frame-loss at 1s with 2000000ppm", "f:2: fault frame-loss: the magnitude must be between 1 and 1000000 ppm")]
    [InlineData("fault digest-wrong at 1s for 2s", "f:2: fault digest-wrong: it happens at once: it takes no 'for'")]
    [InlineData("fault frame-loss when drain", "f:2: fault frame-loss: only host-crash and host-pause can strike at a moment")]
    [InlineData("chance host-crash often", "f:2: chance host-crash: a rate such as 0.05/s, not 'often'")]
    [InlineData("chance host-crash 99/s", "f:2: chance host-crash: the rate must be above 0 and at most 50 per second")]
    [InlineData("chance host-pause 1/s for 2s..1s", "f:2: chance host-pause: the durations must be LEAST..MOST, none below zero")]
    [InlineData("chance host-pause 1/s", "f:2: chance host-pause: 'for' is missing")]
    [InlineData("duration forever", "f:2: duration: a number and a unit (us, ms, s, min, h), such as 500ms, not 'forever'")]
    [InlineData("duration 0", "f: duration: above 0 and at most 24 hours")]
    [InlineData("duration 1s\nduration 2s", "f:3: 'duration' stands here a second time")]
    [InlineData("memory lots", "f:2: memory: a number of bytes, or with KiB, MiB or GiB, such as 16MiB, not 'lots'")]
    [InlineData("devices tape", "f:2: devices: disk, own-disk or read-disk, nic, both, or none")]
    [InlineData("auto-protect maybe", "f:2: auto-protect: yes or no, not 'maybe'")]
    [InlineData("hosts", "f:2: hosts: from 1 to 16 names, not 0")]
    [InlineData("hosts A primary", "f:2: hosts: names of letters and digits, other than primary and backup, not 'primary'")]
    [InlineData("hosts A A", "f:2: hosts: each name once")]
    [InlineData("set patience 3s", "f:2: set: there is no setting 'patience': heartbeat-interval, failure-timeout, channel-timeout, lease, pause-guard")]
    [InlineData("set lease long", "f:2: set lease: a duration such as 300ms, not 'long'")]
    [InlineData("set lease 2s", "f: set: lease must be longer than heartbeat-interval and, with clock-drift, not longer than failure-timeout")]
    [InlineData("operator dance at 1s", "f:2: operator: an action, not 'dance': protect, unprotect, failover, reset, power-off")]
    [InlineData("chance operator-dance 1/s", "f:2: chance: an action, not 'operator-dance': operator-protect, operator-unprotect, operator-failover, operator-reset, operator-power-off, operator-start, operator-node-stop")]
    [InlineData("chance operator-start", "f:2: chance operator-start: a rate such as 0.05/s is missing")]
    [InlineData("chance operator-start 60/s", "f:2: chance operator-start: the rate must be above 0 and at most 50 per second")]
    [InlineData("chance operator-start 1/s for 1s..2s", "f:2: chance operator-start: there is no clause 'for'")]
    [InlineData("operator start at 1s", "operator start: 'on' is missing: A, B, C, primary or backup")]
    [InlineData("operator node-stop at 1s on D", "operator node-stop: there is no host 'D': A, B, C, primary or backup")]
    [InlineData("operator failover at 1s take-over", "operator failover: only start takes 'take-over'")]
    [InlineData("operator failover at 1s backup C", "operator failover: it takes no host")]
    [InlineData("operator failover", "f:2: operator failover: 'at TIME' is missing")]
    [InlineData("operator protect D at 1s", "operator protect: a host: A, B, C, not 'D'")]
    [InlineData("expect joy 3", "expect: there is no 'joy': live, generation, protected, ended, lost, halted, effect, moment")]
    [InlineData("expect generation two", "expect generation: a number such as 2, or a range such as 2.. or 2..5, not 'two'")]
    [InlineData("expect", "f:2: expect: 'expect WHAT VALUE'; what: live")]
    [InlineData("fault host-crash at 31s on A", "fault host-crash: it strikes after the scenario's duration of 30s")]
    public void Mistake_is_named_with_its_line_and_what_is_allowed(string line, string message)
    {
        var wrong = Assert.Throws<ScenarioException>(() => ScenarioParser.Parse($"scenario s\n{line}\n", "f"));
        Assert.Contains(message, wrong.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "f:1: a scenario begins with 'scenario NAME'")]
    [InlineData("scenario Big", "f:1: scenario: a name of lower-case letters, digits and dashes, not 'Big'")]
    public void Scenario_without_a_name_is_refused(string text, string message)
    {
        var wrong = Assert.Throws<ScenarioException>(() => ScenarioParser.Parse(text, "f"));
        Assert.Equal(message, wrong.Message);
    }

    [Theory]
    [InlineData("0", 0)]
    [InlineData("7us", 70)]
    [InlineData("1.5ms", 15_000)]
    [InlineData("2min", 1_200_000_000)]
    public void Time_is_read(string text, long ticks)
    {
        Assert.True(ScenarioUnits.TryTime(text, out TimeSpan time));
        Assert.Equal(ticks, time.Ticks);
    }

    [Theory]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("s")]
    [InlineData("-1s")]
    [InlineData("1.2.3s")]
    [InlineData("99999999999999h")]
    public void Text_that_is_no_time_is_refused(string text) => Assert.False(ScenarioUnits.TryTime(text, out _));

    [Fact]
    public void Scenario_that_is_not_there_is_named()
    {
        var wrong = Assert.Throws<ScenarioException>(() => ScenarioLibrary.Open("no-such-scenario"));
        Assert.Contains("'no-such-scenario' is neither a scenario of the library ('sim list' has their names) nor a file.", wrong.Message, StringComparison.Ordinal);
    }
}
