using FtAkka.Replication.Protection;

namespace FtAkka.Replication.Tests.Protection;

public sealed class OutputDelaysTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(1_000)]
    [InlineData(123_456)]
    [InlineData(90_000_000)]
    public void A_delay_is_read_at_most_an_eighth_too_long_and_never_too_short(long microseconds)
    {
        var delays = new OutputDelays();
        delays.Add(TimeSpan.FromMicroseconds(microseconds));
        double read = delays.AtShare(0.5).TotalMicroseconds;
        Assert.InRange(read, microseconds, microseconds * 1.125);
    }

    [Fact]
    public void Shares_are_those_of_the_sorted_delays()
    {
        var delays = new OutputDelays();
        for (int i = 1; i <= 1000; i++)
            delays.Add(TimeSpan.FromMilliseconds(i));
        Assert.Equal(1000, delays.Count);
        Assert.InRange(delays.AtShare(0.5).TotalMilliseconds, 500, 563);
        Assert.InRange(delays.AtShare(0.99).TotalMilliseconds, 990, 1114);
        Assert.InRange(delays.AtShare(0).TotalMilliseconds, 1, 1.2);
    }

    [Fact]
    public void Nothing_counted_is_zero_and_what_is_too_long_counts_as_the_longest()
    {
        var delays = new OutputDelays();
        Assert.Equal(TimeSpan.Zero, delays.AtShare(0.99));
        delays.Add(TimeSpan.FromHours(10));
        delays.Add(-TimeSpan.FromSeconds(1));
        Assert.Equal(TimeSpan.Zero, delays.AtShare(0.5));
        Assert.InRange(delays.AtShare(1), TimeSpan.FromMinutes(2), TimeSpan.FromMinutes(3));
    }
}
