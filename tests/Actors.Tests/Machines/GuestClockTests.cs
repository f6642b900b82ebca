using FtAkka.Actors.Machines;

namespace FtAkka.Actors.Tests.Machines;

public sealed class GuestClockTests
{
    private static TimeSpan Ms(double milliseconds) => TimeSpan.FromMilliseconds(milliseconds);

    [Fact]
    public void Follows_the_hosts_clock_from_the_tsc_it_starts_with()
    {
        var clock = new GuestClock(tscHz: 2_000_000_000, tsc: 500, now: Ms(1000));
        Assert.Equal(500UL, clock.TscAt(Ms(1000)));
        Assert.Equal(500UL + 6_000_000, clock.TscAt(Ms(1003)));
    }

    [Fact]
    public void Time_until_a_tsc_is_rounded_up_so_that_it_is_not_early()
    {
        var clock = new GuestClock(3_000_000_000, 0, Ms(0));
        TimeSpan wait = clock.Until(3_000_001, Ms(0));
        Assert.True(clock.TscAt(wait) >= 3_000_001, $"at {wait} the clock shows {clock.TscAt(wait)}");
        Assert.Equal(TimeSpan.Zero, clock.Until(5, Ms(1)));
        Assert.Equal(TimeSpan.MaxValue, clock.Until(ulong.MaxValue, Ms(0)) > TimeSpan.FromDays(10000) ? TimeSpan.MaxValue : TimeSpan.Zero);
    }
}
