using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Tests.Scenarios;

/// <summary>Operator's acts by chance: the same for a seed, everywhere; as many as their rate says; each valid; and no fault moves for them.</summary>
public sealed class OperatorPlannerTests
{
    private static readonly Scenario Careless = ScenarioLibrary.Get("careless-operator");

    [Fact]
    public void Same_seed_same_acts() => Assert.Equal(OperatorPlanner.Plan(Careless, 42).ToArray(), OperatorPlanner.Plan(Careless, 42).ToArray());

    [Fact]
    public void Acts_of_many_seeds_are_valid_in_order_and_of_every_kind()
    {
        var kinds = new SortedSet<OperatorAction>();
        for (ulong seed = 0; seed < 100; seed++)
        {
            var acts = OperatorPlanner.Plan(Careless, seed);
            Assert.Null(ScenarioRules.Problem(Careless with { Actions = acts }));
            Assert.True(acts.Zip(acts.Skip(1)).All(pair => pair.First.At <= pair.Second.At));
            Assert.All(acts, act => Assert.True(act.Once && act.At <= Careless.Duration));
            kinds.UnionWith(acts.Select(act => act.Action));
        }
        Assert.Equal(Enum.GetValues<OperatorAction>(), kinds);
    }

    [Fact]
    public void Acts_have_their_rate()
    {
        Scenario scenario = Careless with { OperatorRates = [new OperatorRate(OperatorAction.Start, 0.5)], Duration = TimeSpan.FromSeconds(100) };
        int count = Enumerable.Range(1, 100).Sum(seed => OperatorPlanner.Plan(scenario, (ulong)seed).Length);
        // As in FaultPlannerTests: 5000 expected, standard deviation 71.
        Assert.InRange(count, 5000 - 355, 5000 + 355);
    }

    [Fact]
    public void Acts_move_no_fault() =>
        Assert.Equal(FaultPlanner.Plan(Careless with { OperatorRates = [] }, 7).ToArray(), FaultPlanner.Plan(Careless, 7).ToArray());
}
