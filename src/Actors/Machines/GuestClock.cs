namespace FtAkka.Actors.Machines;

/// <summary>The guest's TSC as it should be now by the host's monotonic clock. Pure.</summary>
public sealed class GuestClock
{
    private readonly ulong tscHz;
    private readonly ulong originTsc;
    private readonly TimeSpan origin;

    /// <summary>A running clock that shows <paramref name="tsc"/> at <paramref name="now"/>.</summary>
    public GuestClock(ulong tscHz, ulong tsc, TimeSpan now)
    {
        this.tscHz = tscHz;
        originTsc = tsc;
        origin = now;
    }

    /// <summary>The TSC at <paramref name="now"/>.</summary>
    public ulong TscAt(TimeSpan now) => originTsc + TicksIn(now - origin);

    /// <summary>Time from now until the TSC shows <paramref name="tsc"/>, rounded up; zero if it does already.</summary>
    public TimeSpan Until(ulong tsc, TimeSpan now)
    {
        ulong current = TscAt(now);
        if (tsc <= current)
        {
            return TimeSpan.Zero;
        }
        UInt128 ticks = (((UInt128)(tsc - current) * TimeSpan.TicksPerSecond) + (tscHz - 1)) / tscHz;
        return ticks > (UInt128)TimeSpan.MaxValue.Ticks ? TimeSpan.MaxValue : TimeSpan.FromTicks((long)ticks);
    }

    private ulong TicksIn(TimeSpan time) =>
        time <= TimeSpan.Zero ? 0 : (ulong)((UInt128)(ulong)time.Ticks * tscHz / TimeSpan.TicksPerSecond);
}
