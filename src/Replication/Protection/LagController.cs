using FtAkka.Replication.Log;

namespace FtAkka.Replication.Protection;

/// <summary>
/// Execution lag, and what the primary does about it (the paper, 3.2). The lag is the age of the newest entry that the backup has
/// executed, on the primary's own clock, whose stamps the backup echoes; the backup's clock does not enter. An idle machine makes no
/// entries, so time without anything left to execute does not count. Pure.
/// </summary>
/// <remarks>
/// What counts for the share is the least lag in an interval: a host that is late with a report, or was itself not running, shows a
/// high lag for a moment, and slowing the machine would not help it. The lag is an integral of the difference in speed, so a share that followed the lag alone
/// would swing; it follows the ratio of the two machines' speeds, in instructions, and the lag only decides whether to be below it (to catch up)
/// or to feel the way up again.
/// </remarks>
public sealed class LagController
{
    private readonly ProtectionOptions _options;
    private Lsn _recorded;
    private Lsn _executed;
    private Instant _echo;
    private Instant _busySince;
    private Instant _nextAdjustment;
    private TimeSpan _least = TimeSpan.MaxValue;
    private TimeSpan _leastBefore;
    private int _samples;
    private int _slowIntervals;
    private int _raise = 1;
    private double _follows = 100;
    private Instant _lastAdjustment;
    private ulong _recordedIcount;
    private ulong _executedIcount;
    private ulong _recordedBefore;
    private ulong _executedBefore;
    private double _recordedSpeed;
    private double _executedSpeed;

    /// <param name="options">Thresholds and steps.</param>
    /// <param name="start">Newest entry both sides have.</param>
    /// <param name="now">Time.</param>
    /// <param name="icount">Instructions both sides have retired.</param>
    public LagController(ProtectionOptions options, Lsn start, Instant now, ulong icount = 0)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        _recorded = _executed = start;
        _echo = _busySince = now;
        _lastAdjustment = now;
        _nextAdjustment = now + options.LagAdjustInterval;
        _recordedIcount = _executedIcount = _recordedBefore = _executedBefore = icount;
    }

    /// <summary>An interval with fewer looks says little: this process hardly ran.</summary>
    private const int SamplesMin = 3;

    private const int StepsMax = 5;

    /// <summary>The longest step up, in percent.</summary>
    private const int RaiseMax = 8;

    /// <summary>Of the speed that the backup has, while it is to catch up.</summary>
    private const int CatchUpPercent = 90;

    private static readonly TimeSpan SpeedWindow = TimeSpan.FromMilliseconds(500);

    /// <summary>What of the CPU's time the machine may have, in percent.</summary>
    public int SharePercent { get; private set; } = 100;

    /// <summary>The machine must stop until the backup has caught up.</summary>
    public bool MustStop { get; private set; }

    /// <summary>A take-over now would not take much longer than the failure timeout: the backup is near enough for the VM to be called protected.</summary>
    public bool IsNear { get; private set; } = true;

    /// <summary>The primary has recorded up to here.</summary>
    public void Recorded(Instant now, Lsn lsn, ulong icount)
    {
        _recordedIcount = Math.Max(_recordedIcount, icount);
        if (lsn <= _recorded)
            return;
        if (_executed >= _recorded)
            _busySince = now;
        _recorded = lsn;
    }

    /// <summary>The backup has executed up to here, where the primary's clock showed <paramref name="echo"/>.</summary>
    public void Executed(Instant now, Lsn lsn, Instant echo, ulong icount)
    {
        _executedIcount = Math.Max(_executedIcount, Math.Min(icount, _recordedIcount));
        if (lsn <= _executed || lsn > _recorded || echo > now)
            return;
        _executed = lsn;
        _echo = Instant.Max(_echo, echo);
    }

    /// <summary>Lag at this moment.</summary>
    public TimeSpan Lag(Instant now) => _executed >= _recorded ? TimeSpan.Zero : now - Instant.Max(_echo, _busySince);

    /// <summary>
    /// How long the backup needs from this moment on to execute what it has not executed, if nothing is added: by its own speed, which shows while it is behind; one
    /// that is near is no slower than the primary was.
    /// </summary>
    public TimeSpan Drain(Instant now)
    {
        var lag = Lag(now);
        return lag <= _options.LagTarget || _executedSpeed <= 0 ? lag : TimeSpan.FromMilliseconds((_recordedIcount - _executedIcount) / _executedSpeed);
    }

    /// <summary>Adjusts <see cref="SharePercent"/>, <see cref="MustStop"/> and <see cref="IsNear"/>.</summary>
    public void Step(Instant now)
    {
        var lag = Lag(now);
        MustStop = MustStop ? lag > _options.LagResume : lag > _options.LagStop;
        IsNear = IsNear ? lag <= _options.LagProtectedMax : lag <= _options.LagTarget;
        _least = lag < _least ? lag : _least;
        _samples++;
        if (now < _nextAdjustment)
            return;
        var interval = now - _lastAdjustment;
        // A backup that did nothing at all, or a primary, stands still: no share makes that better, and LagStop is there for it.
        bool telling = _samples >= SamplesMin && _executedIcount > _executedBefore && _recordedIcount > _recordedBefore;
        var least = _least;
        bool catchingUp = _leastBefore - least >= interval / 8;
        (_lastAdjustment, _nextAdjustment, _least, _leastBefore, _samples) = (now, now + _options.LagAdjustInterval, TimeSpan.MaxValue, least, 0);
        if (telling)
            Measure(interval);
        (_recordedBefore, _executedBefore) = (_recordedIcount, _executedIcount);
        // Once is no slowness: an interval that began with a stall shows the rest of it.
        bool slow = telling && !catchingUp && least > _options.LagTarget;
        _slowIntervals = slow ? _slowIntervals + 1 : 0;
        if (_slowIntervals > 1 || least + least <= _options.LagTarget)
            Adjust(least);
    }

    /// <summary>Mean speeds of both machines over a few intervals.</summary>
    private void Measure(TimeSpan interval)
    {
        // The first is all there is to go by.
        double weight = _executedSpeed > 0 ? Math.Min(1, interval / SpeedWindow) : 1;
        _recordedSpeed += (((_recordedIcount - _recordedBefore) / interval.TotalMilliseconds) - _recordedSpeed) * weight;
        _executedSpeed += (((_executedIcount - _executedBefore) / interval.TotalMilliseconds) - _executedSpeed) * weight;
    }

    private void Adjust(TimeSpan lag)
    {
        int step = _options.ShareStepPercent;
        if (lag > _options.LagTarget)
        {
            // The backup is busy all the time: its speed is all it has, and this share of ours is as much.
            _follows = _recordedSpeed > 0 && !MustStop ? SharePercent * _executedSpeed / _recordedSpeed : _follows;
            _raise = 1;
            int wanted = (int)(_follows * CatchUpPercent / 100);
            if (wanted < SharePercent)
                SharePercent = Math.Max(_options.ShareMinPercent, Math.Max(wanted, SharePercent - (StepsMax * step)));
        }
        else
        {
            bool known = SharePercent + step < _follows;
            // In proportion: four percent more are much for a machine that has ten. A backup that keeps up with every step has become faster, as
            // when it had yet to translate the guest's code: the steps double, or the primary would pay for it for seconds.
            SharePercent = Math.Min(100, SharePercent + Math.Clamp(SharePercent / 6, 1, known ? step : _raise));
            _raise = known ? _raise : Math.Min(2 * _raise, RaiseMax);
        }
    }
}
