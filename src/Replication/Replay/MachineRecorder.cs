using FtAkka.Machine;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Events;
using FtAkka.Replication.Log;

namespace FtAkka.Replication.Replay;

/// <summary>
/// Runs a live machine and writes what a replay needs: every input at its icount, a mark for the outputs made, a digest at fixed
/// intervals. Pure: whoever drives it ships or stores the entries.
/// </summary>
public sealed class MachineRecorder
{
    private readonly GuestMachine _machine;
    private readonly ulong _digestInterval;
    private List<LogEntry> _entries = [];
    private ulong _nextDigest;
    private bool _ended;

    /// <param name="machine">A machine that has not run yet, or was restored from the snapshot that <paramref name="start"/> belongs to.</param>
    /// <param name="digestInterval">Instructions between digests; 0: none.</param>
    /// <param name="start">Position in the log, default for a new one.</param>
    public MachineRecorder(GuestMachine machine, ulong digestInterval, LogPosition start = default)
    {
        ArgumentNullException.ThrowIfNull(machine);
        _machine = machine;
        _digestInterval = digestInterval;
        LastLsn = start.LastLsn;
        LastOutput = start.LastOutput;
        _nextDigest = digestInterval == 0 ? ulong.MaxValue : ((machine.Icount / digestInterval) + 1) * digestInterval;
        // A log that goes on, as behind a fail-over, goes on with the digests that the player has under way.
        if (start == default)
            machine.StartDigests();
    }

    /// <summary>The machine; only its questions may be asked, it is run and fed through this object.</summary>
    public GuestMachine Machine => _machine;

    /// <summary>Shown the machine at each digest of the interval, and the pages that it covers; null for nobody.</summary>
    public Action<GuestMachine, IReadOnlyList<PageDigest>>? DigestTaken { get; init; }

    /// <summary>Number of the newest entry.</summary>
    public Lsn LastLsn { get; private set; }

    /// <summary>Number of the newest output.</summary>
    public ulong LastOutput { get; private set; }

    /// <summary>Where the log stands now.</summary>
    public LogPosition Position => new(LastLsn, LastOutput);

    /// <summary>Runs the machine; see <see cref="GuestMachine.Run"/>. The outputs among the effects are numbered <see cref="LastOutput"/> - count + 1 to <see cref="LastOutput"/>.</summary>
    public MachineExit Run(ulong maxInstructions)
    {
        var start = _machine.Icount;
        var end = start > ulong.MaxValue - maxInstructions ? ulong.MaxValue : start + maxInstructions;
        var exit = _machine.Run(Math.Min(end, _nextDigest) - start);
        if (exit.Effects.Count > 0)
        {
            LastOutput += (ulong)exit.Effects.Count;
            // At the icount of the stop, not of the output: the instruction that made the output has retired only behind it.
            Append(exit.Icount, new OutputMarkPayload(LastOutput));
        }
        if (exit.Icount == _nextDigest)
        {
            var pages = DigestTaken is null ? null : new List<PageDigest>();
            Append(exit.Icount, new DigestPayload(_machine.ComputeDigest(pages)));
            if (pages is not null)
                DigestTaken!(_machine, pages);
            _nextDigest += _digestInterval;
        }
        if (exit.Reason.IsFinal() && !_ended)
        {
            _ended = true;
            Append(exit.Icount, new EndPayload(exit.Reason));
            // Behind the end: the replaying machine is in its final state only once it has ended as well.
            Append(exit.Icount, new DigestPayload(_machine.ComputeDigest()));
        }
        return exit;
    }

    /// <summary>Delivers an input now.</summary>
    public void Inject(InputEvent input) => Append(_machine.Inject(input), new InputPayload(input));

    /// <summary>
    /// Notes that a snapshot is taken now: digests start anew here. To be called right behind <see cref="Run"/>, so that every output made
    /// so far is in a mark before the checkpoint.
    /// </summary>
    /// <returns>Where the log stands at the snapshot.</returns>
    public LogPosition Checkpoint()
    {
        _machine.StartDigests();
        Append(_machine.Icount, new CheckpointPayload());
        return Position;
    }

    /// <summary>Ends the recording where the machine stands: with a digest, so that a replay knows how far to go and that it arrived.</summary>
    public void Finish()
    {
        if (!_ended)
            Append(_machine.Icount, new DigestPayload(_machine.ComputeDigest()));
    }

    /// <summary>Hands over the entries made since the last call.</summary>
    public IReadOnlyList<LogEntry> TakeEntries()
    {
        if (_entries.Count == 0)
            return [];
        var taken = _entries;
        _entries = [];
        return taken;
    }

    private void Append(ulong icount, LogPayload payload)
    {
        LastLsn = LastLsn.Next;
        _entries.Add(new LogEntry(LastLsn, icount, payload));
    }
}

/// <summary>Where a log stands: part of every snapshot.</summary>
/// <param name="LastLsn">Number of the last entry before it.</param>
/// <param name="LastOutput">Number of the last output before it.</param>
public readonly record struct LogPosition(Lsn LastLsn, ulong LastOutput);
