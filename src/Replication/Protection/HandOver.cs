namespace FtAkka.Replication.Protection;

/// <summary>What a primary that hands over has to do next.</summary>
internal enum HandOverStep
{
    /// <summary>Wait.</summary>
    None,

    /// <summary>Record what the machine was given and has not recorded.</summary>
    Flush,

    /// <summary>Tell the backup that it may take over: nothing leaves here any more.</summary>
    Yield,
}

/// <summary>
/// The planned failover on the primary's side. The machine stops; its outputs leave; its disk requests end, and their ends are recorded; the backup gets the
/// rest of the log; the primary yields. Nothing is lost then, and nothing is done twice.
/// </summary>
internal sealed class HandOver
{
    private enum Phase
    {
        None,
        /// <summary>The machine stops, outputs leave, disk requests end.</summary>
        Stopping,
        /// <summary>The ends of disk requests are recorded.</summary>
        Flushing,
        /// <summary>The last entries are on their way.</summary>
        Draining,
        Yielded,
    }

    private Phase _phase;
    private bool _endedSinceFlush;

    /// <summary>It was begun.</summary>
    public bool IsUnderWay => _phase != Phase.None;

    /// <summary>The backup may take over, and this replica may not act any more.</summary>
    public bool HasYielded => _phase == Phase.Yielded;

    /// <summary>Begins, unless it has begun already.</summary>
    public void Begin() => _phase = _phase == Phase.None ? Phase.Stopping : _phase;

    /// <summary>Looks at what has happened.</summary>
    /// <param name="mayYield">The machine was told to stop, and the backup may take over.</param>
    /// <param name="allSaid">No output is under way, and the backup has acknowledged every entry.</param>
    /// <param name="disksUnderWay">Disk requests that have not ended.</param>
    public HandOverStep Next(bool mayYield, bool allSaid, int disksUnderWay)
    {
        if (_phase == Phase.Stopping && mayYield && allSaid && disksUnderWay == 0)
        {
            _phase = Phase.Flushing;
            return HandOverStep.Flush;
        }
        if (_phase != Phase.Draining || !allSaid || disksUnderWay > 0)
            return HandOverStep.None;
        if (_endedSinceFlush)
        {
            // The machine was still running when it was told to stop, and had issued another request: that has ended, which is not recorded yet.
            (_phase, _endedSinceFlush) = (Phase.Flushing, false);
            return HandOverStep.Flush;
        }
        _phase = Phase.Yielded;
        return HandOverStep.Yield;
    }

    /// <summary>A disk request has ended, which the machine is told.</summary>
    public void DiskEnded() => _endedSinceFlush |= _phase is Phase.Flushing or Phase.Draining;

    /// <summary>Everything is recorded.</summary>
    public void Flushed() => _phase = _phase == Phase.Flushing ? Phase.Draining : _phase;
}
