using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Tests.Scenarios;

/// <summary>Faults by chance: the same for a seed, everywhere; as many as their rate says; each valid.</summary>
public sealed class FaultPlannerTests
{
    private static readonly Scenario Mixed = ScenarioLibrary.Get("mixed-faults");

    [Fact]
    public void Same_seed_same_plan() => Assert.Equal(FaultPlanner.Plan(Mixed, 42).ToArray(), FaultPlanner.Plan(Mixed, 42).ToArray());

    [Fact]
    public void Other_seed_other_plan() => Assert.NotEqual(FaultPlanner.Plan(Mixed, 1).ToArray(), FaultPlanner.Plan(Mixed, 2).ToArray());

    /// <summary>Written down so that a change of the generator or of the planner shows: it would silently turn every recorded seed into another one.</summary>
    [Fact]
    public void Plan_of_a_seed_stays_what_it_was()
    {
        var scenario = new Scenario
        {
            Name = "golden",
            Guest = ScenarioParser.DefaultGuest,
            Duration = TimeSpan.FromSeconds(10),
            Rates =
            [
                new FaultRate(FaultKind.HostCrash, 0.3, TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(2)),
                new FaultRate(FaultKind.FrameLoss, 0.2, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), 10, 20),
            ],
        };
        Assert.Equal(Golden, FaultPlanner.Plan(scenario, 1).Select(ScenarioPrinter.Print));
    }

    private static readonly string[] Golden =
    [
        "frame-loss at 376ms for 1s with 20ppm",
        "host-crash at 598ms on primary for 944059us",
        "frame-loss at 2287ms for 1s with 20ppm",
        "frame-loss at 2525ms for 1s with 11ppm",
        "frame-loss at 4402ms for 1s with 16ppm",
    ];

    [Fact]
    public void Every_fault_of_many_seeds_is_valid_and_in_order()
    {
        for (ulong seed = 0; seed < 200; seed++)
        {
            var plan = FaultPlanner.Plan(Mixed, seed);
            Assert.All(plan, fault => Assert.Null(FaultCatalog.Problem(fault, Mixed.Hosts)));
            Assert.True(plan.Zip(plan.Skip(1)).All(pair => pair.First.At <= pair.Second.At));
            Assert.All(plan, fault => Assert.InRange(fault.At, TimeSpan.Zero, Mixed.Duration));
        }
    }

    [Fact]
    public void Arrivals_have_their_rate()
    {
        var rate = new FaultRate(FaultKind.HostPause, 0.5, TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(30));
        Scenario scenario = Mixed with { Rates = [rate], Duration = TimeSpan.FromSeconds(100) };
        int count = Enumerable.Range(1, 100).Sum(seed => FaultPlanner.Plan(scenario, (ulong)seed).Length);
        // 5000 expected, standard deviation 71: beyond five of them in a million runs, and the seeds are fixed.
        Assert.InRange(count, 5000 - 355, 5000 + 355);
        Assert.All(FaultPlanner.Plan(scenario, 1), fault => Assert.InRange(fault.Duration, rate.DurationLeast, rate.DurationMost));
    }

    [Fact]
    public void Another_rate_leaves_the_faults_of_the_others_alone()
    {
        Scenario more = Mixed with { Rates = Mixed.Rates.Add(new FaultRate(FaultKind.DigestWrong, 1, default, default)) };
        var before = FaultPlanner.Plan(Mixed, 5);
        Assert.Equal(before, FaultPlanner.Plan(more, 5).Where(before.Contains));
    }

    [Fact]
    public void Every_kind_is_in_the_catalog_with_a_default_within_its_bounds()
    {
        foreach (FaultKind kind in Enum.GetValues<FaultKind>())
        {
            FaultShape shape = FaultCatalog.Of(kind);
            if (shape.Unit is not null)
            {
                Assert.InRange(shape.Default, shape.Least, shape.Most);
            }
        }
        Assert.Equal(Enum.GetValues<FaultKind>().Length, FaultCatalog.All.Count());
    }

    [Fact]
    public void Plan_of_an_invalid_scenario_is_refused()
    {
        Scenario wrong = Mixed with { Faults = [new Fault(FaultKind.HostCrash, TimeSpan.Zero, "nobody")] };
        Assert.Contains("there is no host 'nobody'", Assert.Throws<ScenarioException>(() => FaultPlanner.Plan(wrong, 1)).Message, StringComparison.Ordinal);
    }
}
