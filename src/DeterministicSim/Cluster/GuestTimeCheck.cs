using System.Globalization;
using FtAkka.Machine.Events;
using FtAkka.Replication.Log;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>
/// Compares the guest's clock with the world's. The guest's stands while nobody runs it, which puts it behind for good, and otherwise goes with the world's as
/// far as hosts' clocks do: it never jumps ahead, and falls behind by no more than the outage.
/// </summary>
internal sealed class GuestTimeCheck(ClusterWorld world)
{
    private const int AdvancesKept = 8192;

    /// <summary>Two messages between actors of a host, and the shortest wait of its clock.</summary>
    private static readonly TimeSpan Slack = TimeSpan.FromMilliseconds(30);

    /// <summary>What a machine records when it goes on after it stood, because of a full buffer or a hand-over, may be from before. Soon after, its clock shows the time again.</summary>
    private static readonly TimeSpan CatchesUpIn = TimeSpan.FromSeconds(1);

    /// <summary>More than hosts' clocks may run fast or slow.</summary>
    private const double Drift = 0.01;

    private readonly Queue<(Lsn Lsn, TimeSpan At, TimeSpan Behind)> _advances = new();
    private readonly double _tscHz = world.Profile.Machine.TscHz;
    private StepChecks? _live;
    private bool _goesOn;
    private bool _known;
    private TimeSpan _from;
    private TimeSpan _fromBehind;
    private TimeSpan _behind;
    private TimeSpan _behindAt;
    private TimeSpan? _lateSince;
    private TimeSpan _behindBefore;
    private TimeSpan _settlesUntil;

    /// <summary>A replica is about to run the machine.</summary>
    /// <param name="replica">The replica.</param>
    /// <param name="last">The last entry of the log that it has replayed; none for a machine that starts.</param>
    public void Opens(StepChecks replica, Lsn last)
    {
        _live = replica;
        if (last == Lsn.None)
        {
            (_known, _goesOn) = (false, false);
            _advances.Clear();
            return;
        }
        (_from, _fromBehind) = (TimeSpan.Zero, TimeSpan.Zero);
        while (_advances.TryPeek(out var advance) && advance.Lsn <= last)
        {
            (_, _from, _fromBehind) = _advances.Dequeue();
        }
        _advances.Clear();
        _goesOn = true;
    }

    /// <summary>A replica has recorded entries.</summary>
    public void Recorded(StepChecks replica, SimulatedHost host, IReadOnlyList<LogEntry> entries)
    {
        if (replica != _live)
        {
            return;
        }
        foreach (LogEntry entry in entries)
        {
            if (entry.Payload is InputPayload { Input: ClockAdvance { Tsc: var tsc } })
            {
                TimeSpan guest = TimeSpan.FromSeconds(tsc / _tscHz);
                Advanced(host, guest);
                _advances.Enqueue((entry.Lsn, world.Now, world.Now - guest));
                if (_advances.Count > AdvancesKept)
                {
                    _advances.Dequeue();
                }
            }
        }
    }

    private void Advanced(SimulatedHost host, TimeSpan guest)
    {
        // How late a replica hears of it makes the guest look behind, never ahead.
        TimeSpan behind = world.Now - guest;
        TimeSpan tolerance = Slack + ((world.Now - _behindAt) * Drift);
        // A host that stood still right after it went live has told late what it had recorded first.
        TimeSpan least = world.Now < _settlesUntil && _behindBefore < _behind ? _behindBefore : _behind;
        if (_known && behind < least - tolerance)
        {
            world.Fail("guest-time", string.Create(CultureInfo.InvariantCulture,
                $"the guest's clock jumps ahead on {host.Name}, by {(least - behind).TotalMilliseconds:0} ms in {(world.Now - _behindAt).TotalMilliseconds:0} ms"));
        }
        TimeSpan outage = _goesOn ? world.Now - _from : TimeSpan.Zero;
        // What the new host goes on from may have been late itself: the machine had stood shortly before.
        TimeSpan before = _goesOn && _fromBehind > _behind ? _fromBehind : _behind;
        bool isLate = _known && behind > before + outage + tolerance;
        _lateSince = isLate ? _lateSince ?? world.Now : null;
        if (isLate && (_goesOn || (world.Now - _lateSince > CatchesUpIn && world.Calm.Holds)))
        {
            world.Fail("guest-time", string.Create(CultureInfo.InvariantCulture,
                $"the guest's clock is {(behind - before).TotalMilliseconds:0} ms further behind on {host.Name}, after an outage of {outage.TotalMilliseconds:0} ms"));
        }
        if (_known && _goesOn)
        {
            (_behindBefore, _settlesUntil) = (_behind, world.Now + CatchesUpIn);
        }
        if (!_known || _goesOn || behind < _behind)
        {
            (_behind, _behindAt, _known, _goesOn) = (behind, world.Now, true, false);
        }
    }
}
