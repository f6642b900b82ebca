namespace FtAkka.DeterministicSim.Protocol;

/// <summary>A host's monotonic clock: it is off by a constant, and may run a little fast or slow. In ticks of 100 ns.</summary>
internal sealed class ProtocolClock
{
    private long _since;
    private long _reading;
    private long _perMillion;

    /// <summary>What it shows.</summary>
    public long Read(long time) => _reading + (time - _since) + ((time - _since) * _perMillion / 1_000_000);

    /// <summary>Before anybody has looked at it: it is ahead by so much. A monotonic clock begins somewhere above zero.</summary>
    public void Skew(long ticks) => _reading += ticks;

    /// <summary>From now on it runs fast by so many parts per million, or slow.</summary>
    public void Drift(long time, long perMillion)
    {
        (_reading, _since) = (Read(time), time);
        _perMillion = perMillion;
    }
}
