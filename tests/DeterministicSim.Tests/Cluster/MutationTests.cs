using FtAkka.DeterministicSim.Cluster;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;

namespace FtAkka.DeterministicSim.Tests.Cluster;

/// <summary>
/// The simulator's own test: each class of mistake, planted, is seen within a stated number of seeds of the mixed faults, and by a checker that
/// is meant for it.
/// </summary>
public sealed class MutationTests
{
    public static TheoryData<string, ulong, string[]> Mutations => new()
    {
        { "release-before-ack", 10, ["output-rule"] },
        { "skipped-reissue", 40, ["liveness", "durability"] },
        { "two-winners", 40, ["one-actor", "disk-content", "echo"] },
        { "lost-entry", 10, ["digests"] },
        { "off-by-one-icount", 10, ["digests"] },
        { "forgotten-bounce-buffer", 10, ["digests", "console"] },
        { "ignored-fence", 120, ["one-actor"] },
        { "ignored-digest", 40, ["digest-seen"] },
        { "differing-copy", 5, ["copy"] },
        { "mute-channel", 60, ["needless"] },
        { "false-restart", 90, ["needless"] },
        { "forgotten-replica", 5, ["one-replica"] },
        { "endless-offers", 5, ["bounded"] },
        { "jumping-clock", 10, ["guest-time"] },
    };

    [Theory]
    [MemberData(nameof(Mutations))]
    public void Planted_mistake_is_seen(string mutation, ulong seeds, string[] by) => Seen("mixed-faults", mutation, seeds, by);

    [Fact]
    public void Planted_mistake_that_only_a_demanding_guest_meets_is_seen() => Seen("demanding-mixed", "short-write", 10, ["disk-content", "durability"]);

    [Theory]
    [InlineData("own-disks-mixed", "forgotten-own-write", 20, "durability")]
    [InlineData("own-disks-mixed", "unfinished-resync", 20, "durability")]
    [InlineData("own-reads-mixed", "forgotten-own-write", 20, "digests")]
    [InlineData("own-reads-mixed", "stale-own-read", 10, "digests")]
    public void Planted_mistake_with_own_disks_is_seen(string scenario, string mutation, ulong seeds, string by) => Seen(scenario, mutation, seeds, [by]);

    [Fact]
    public void False_promise_is_seen() => Seen("disk-not-there", "false-promise", 1, ["promise"]);

    [Fact]
    public void Primary_that_does_not_stop_for_the_lag_of_its_backup_is_seen() => Seen("slow-backup", "endless-lag", 3, ["bounded"]);

    [Theory]
    [InlineData("careless-operator", "done-though-refused", 10)]
    [InlineData("careless-operator", "acts-though-refused", 10)]
    [InlineData("careless-operator", "forgotten-answer", 10)]
    [InlineData("planned-failover", "forgotten-failover", 3)]
    [InlineData("switched-off", "forgotten-power-off", 3)]
    [InlineData("careless-operator", "forgotten-unprotect", 10)]
    [InlineData("careless-operator", "forgotten-leave", 20)]
    public void Planted_mistake_of_a_node_that_is_asked_is_seen(string scenario, string mutation, ulong seeds) => Seen(scenario, mutation, seeds, ["operator"]);

    private static void Seen(string name, string mutation, ulong seeds, string[] by)
    {
        Scenario scenario = ScenarioLibrary.Get(name);
        var runner = new ClusterRunner();
        for (ulong seed = 1; seed <= seeds; seed++)
        {
            if (runner.Run(scenario, seed, new RunOptions { Mutation = mutation }).Violation is { } seen)
            {
                Assert.Contains(seen.Invariant, by);
                return;
            }
        }
        Assert.Fail($"{mutation} was not seen within {seeds} seeds.");
    }

    [Fact]
    public void Unknown_mistake_is_refused_with_the_names_of_those_there_are()
    {
        ArgumentException refused = Assert.Throws<ArgumentException>(() =>
            new ClusterRunner().Run(ScenarioLibrary.Get("primary-dies"), 1, new RunOptions { Mutation = "no-such" }));
        Assert.Contains("two-winners", refused.Message, StringComparison.Ordinal);
    }
}
