using FtAkka.Replication.Log;

namespace FtAkka.Replication.Protection;

/// <summary>
/// Execution lag, and what the primary does about it (the paper, 3.2). The lag is the age of the newest entry that the backup has
/// executed, on the primary's own clock, whose stamps the backup echoes; the backup's clock does not enter. An idle machine makes no
/// entries, so time without anything left to execute does not count. Pure.
/// </summary>
public sealed class LagController
{
    private readonly ProtectionOptions _options;
    private Lsn _recorded;
    private Lsn _executed;
    private Instant _echo;
    private Instant _busySince;
    private Instant _nextAdjustment;

    /// <param name="options">Thresholds and steps.</param>
    /// <param name="start">Newest entry both sides have.</param>
    /// <param name="now">Time.</param>
    public LagController(ProtectionOptions options, Lsn start, Instant now)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        _recorded = _executed = start;
        _echo = _busySince = now;
        _nextAdjustment = now + options.LagAdjustInterval;
    }

    /// <summary>What of the CPU's time the machine may have, in percent.</summary>
    public int SharePercent { get; private set; } = 100;

    /// <summary>The machine must stop until the backup has caught up.</summary>
    public bool MustStop { get; private set; }

    /// <summary>The primary has recorded up to here.</summary>
    public void Recorded(Instant now, Lsn lsn)
    {
        if (lsn <= _recorded)
            return;
        if (_executed >= _recorded)
            _busySince = now;
        _recorded = lsn;
    }

    /// <summary>The backup has executed up to here, where the primary's clock showed <paramref name="echo"/>.</summary>
    public void Executed(Instant now, Lsn lsn, Instant echo)
    {
        if (lsn <= _executed || lsn > _recorded || echo > now)
            return;
        _executed = lsn;
        _echo = Instant.Max(_echo, echo);
    }

    /// <summary>Lag at this moment.</summary>
    public TimeSpan Lag(Instant now) => _executed >= _recorded ? TimeSpan.Zero : now - Instant.Max(_echo, _busySince);

    /// <summary>Adjusts <see cref="SharePercent"/> and <see cref="MustStop"/>.</summary>
    public void Step(Instant now)
    {
        var lag = Lag(now);
        MustStop = MustStop ? lag > _options.LagResume : lag > _options.LagStop;
        if (now < _nextAdjustment)
            return;
        _nextAdjustment = now + _options.LagAdjustInterval;
        if (lag > _options.LagTarget)
            SharePercent = Math.Max(_options.ShareMinPercent, SharePercent - _options.ShareStepPercent);
        else if (lag + lag <= _options.LagTarget)
            SharePercent = Math.Min(100, SharePercent + _options.ShareStepPercent);
    }
}
