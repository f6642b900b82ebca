namespace FtAkka.DeterministicSim.Loop;

/// <summary>
/// A host's clocks as functions of true time: a monotonic one that may have begun elsewhere and may run fast or slow, and a wall clock that may
/// jump as well. Outlives the systems that are started on the host.
/// </summary>
public sealed class HostClock
{
    private const long Million = 1_000_000;

    private TimeSpan _since;
    private TimeSpan _reading;
    private TimeSpan _wallClockAhead;

    /// <summary>Parts per million by which the clock runs fast; negative: slow.</summary>
    public long DriftPerMillion { get; private set; }

    /// <summary>The monotonic clock's reading at a true time, which must not be before the last change.</summary>
    public TimeSpan At(TimeSpan trueTime)
    {
        long elapsed = (trueTime - _since).Ticks;
        return _reading + TimeSpan.FromTicks(elapsed + (elapsed * DriftPerMillion / Million));
    }

    /// <summary>The wall clock's reading, as time since the simulation's date of birth.</summary>
    public TimeSpan WallClockAt(TimeSpan trueTime) => At(trueTime) + _wallClockAhead;

    /// <summary>How long a wait of this length by the clock takes: never less than it should.</summary>
    public TimeSpan TrueTime(TimeSpan byTheClock) => DriftPerMillion == 0 || byTheClock <= TimeSpan.Zero
        ? byTheClock
        : TimeSpan.FromTicks((long)(((Int128)byTheClock.Ticks * Million + (Million + DriftPerMillion - 1)) / (Million + DriftPerMillion)));

    /// <summary>The clock shows so much more from now on, as after another time since power-on. Only while nothing runs on the host.</summary>
    public void Skew(TimeSpan by) => _reading += by;

    /// <summary>The clock runs at another speed from now on.</summary>
    public void Drift(TimeSpan trueTime, long perMillion)
    {
        (_reading, _since) = (At(trueTime), trueTime);
        DriftPerMillion = perMillion;
    }

    /// <summary>The wall clock jumps; the monotonic one does not.</summary>
    public void Jump(TimeSpan by) => _wallClockAhead += by;
}
