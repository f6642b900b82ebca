using FtAkka.Machine.Time;

namespace FtAkka.Machine.Tests.Time;

public sealed class VirtualClockTests
{
    [Fact]
    public void Instructions_alone_move_the_clock_at_the_configured_rate()
    {
        var clock = new VirtualClock(1, 32, initialTsc: 100);
        Assert.Equal(100UL, clock.TscAt(31));
        Assert.Equal(101UL, clock.TscAt(32));
        Assert.Equal(100UL + (1UL << 40), clock.TscAt(1UL << 45));
    }

    [Fact]
    public void Advance_moves_forward_and_never_back()
    {
        var clock = new VirtualClock(1, 32);
        Assert.True(clock.AdvanceTo(320, 1_000_000));
        Assert.Equal(1_000_000UL, clock.TscAt(320));
        Assert.False(clock.AdvanceTo(320, 999_999));
        Assert.False(clock.AdvanceTo(640, 1_000_010));
        Assert.Equal(1_000_010UL, clock.TscAt(640));
    }

    [Theory]
    [InlineData(1, 32)]
    [InlineData(3, 7)]
    [InlineData(5, 1)]
    [InlineData(1, 1)]
    public void Icount_of_a_tsc_is_the_first_at_which_the_clock_shows_it(uint numerator, uint denominator)
    {
        var clock = new VirtualClock(numerator, denominator, 10);
        clock.AdvanceTo(1000, 5000);
        for (var tsc = 5001UL; tsc < 5200; tsc++)
        {
            var icount = clock.IcountAt(tsc);
            Assert.True(clock.TscAt(icount) >= tsc);
            Assert.True(clock.TscAt(icount - 1) < tsc);
        }
        Assert.True(clock.IcountAt(4000) <= 1000);
    }

    [Fact]
    public void Deadline_beyond_all_icounts_saturates()
    {
        Assert.Equal(ulong.MaxValue, new VirtualClock(1, 32).IcountAt(ulong.MaxValue));
    }

    [Fact]
    public void Clock_is_monotonic_over_random_advances()
    {
        var random = new Random(4711);
        var clock = new VirtualClock(1, 32, initialTsc: 1000);
        var (icount, last) = (0UL, 0UL);
        for (var i = 0; i < 10_000; i++)
        {
            icount += (ulong)random.Next(1000);
            var now = clock.TscAt(icount);
            Assert.True(now >= last);
            clock.AdvanceTo(icount, now + (ulong)random.Next(200) - 100);
            last = clock.TscAt(icount);
            Assert.True(last >= now);
        }
    }

    [Fact]
    public void Snapshot_round_trip()
    {
        var clock = new VirtualClock(1, 32);
        clock.AdvanceTo(77, 9999);
        SnapshotRoundTrip.Check(clock, () => new VirtualClock(1, 32));
    }

    [Fact]
    public void Snapshot_of_a_clock_with_another_rate_is_of_another_machine()
    {
        var reader = new FtAkka.Machine.Snapshots.StateReader(SnapshotRoundTrip.Take(new VirtualClock(1, 16)));
        Assert.Equal(FtAkka.Machine.Snapshots.SnapshotError.OtherMachine, new VirtualClock(1, 32).Restore(reader));
    }
}
