using FtAkka.Replication.Protection;

namespace FtAkka.Nodes.Tests;

/// <summary>A node that its host gives no time sees it by the gaps in its own steps.</summary>
public sealed class StepGapsTests
{
    private static readonly ProtectionOptions Options = new() { HeartbeatInterval = Milliseconds(50), PauseGuard = Milliseconds(150) };

    private static TimeSpan Milliseconds(int count) => TimeSpan.FromMilliseconds(count);

    [Fact]
    public void Steps_in_time_are_no_gaps()
    {
        var gaps = new StepGaps(Options);
        for (int at = 0; at < 10_000; at += 50 + (at % 7 * 14))
        {
            Assert.Null(gaps.Step(Milliseconds(at)));
        }
        Assert.Equal(new NodeGaps(0, TimeSpan.Zero), gaps.Seen);
    }

    [Fact]
    public void Gap_is_told_at_once_and_those_that_follow_are_told_together()
    {
        var gaps = new StepGaps(Options);
        gaps.Step(Milliseconds(0));
        Assert.Equal(Milliseconds(200), gaps.Step(Milliseconds(200)));
        Assert.Null(gaps.Step(Milliseconds(700)));   // 500 ms
        Assert.Null(gaps.Step(Milliseconds(1000)));  // 300 ms
        for (int at = 1050; at <= 10_500; at += 50)
        {
            Assert.Null(gaps.Step(Milliseconds(at)));
        }
        Assert.Equal(Milliseconds(500), gaps.Step(Milliseconds(10_700)));
        Assert.Equal(new NodeGaps(4, Milliseconds(500)), gaps.Seen);
    }

    [Fact]
    public void Interval_of_heartbeats_that_is_longer_than_the_guard_is_no_gap()
    {
        var gaps = new StepGaps(Options with { HeartbeatInterval = Milliseconds(200) });
        gaps.Step(Milliseconds(0));
        Assert.Null(gaps.Step(Milliseconds(210)));
        Assert.NotNull(gaps.Step(Milliseconds(650)));
    }
}
