namespace FtAkka.DeviceActors.Tests;

/// <summary>Lines that a guest causes are limited in rate, and none is lost without a trace.</summary>
public sealed class LineLimitTests
{
    [Fact]
    public void One_line_passes_in_each_interval_and_says_how_many_did_not()
    {
        var limit = new LineLimit();
        TimeSpan start = TimeSpan.FromHours(1), next = start + LineLimit.Interval;
        Assert.True(limit.TryTake(start, out string also));
        Assert.Equal("", also);
        Assert.False(limit.TryTake(start, out _));
        Assert.False(limit.TryTake(next - TimeSpan.FromTicks(1), out _));
        Assert.True(limit.TryTake(next, out also));
        Assert.Equal(" (and 2 more like it in the 10 s before)", also);
        Assert.False(limit.TryTake(next + TimeSpan.FromSeconds(1), out _));
        Assert.True(limit.TryTake(next + (2 * LineLimit.Interval), out also));
        Assert.Equal(" (and 1 more like it in the 20 s before)", also);
        Assert.True(limit.TryTake(next + (4 * LineLimit.Interval), out also));
        Assert.Equal("", also);
    }
}
