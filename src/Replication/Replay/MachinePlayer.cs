using System.Collections.Immutable;
using FtAkka.Machine;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Log;

namespace FtAkka.Replication.Replay;

/// <summary>Why <see cref="MachinePlayer.Run"/> returned.</summary>
public enum PlayerStop
{
    /// <summary>The asked number of instructions has retired.</summary>
    BudgetSpent,
    /// <summary>Everything received is replayed: without the next entry it is not known how far the machine may run.</summary>
    Starved,
    /// <summary>A checkpoint was passed, with entries of the same icount perhaps still to come (<see cref="MachinePlayer.StopsAtCheckpoints"/>).</summary>
    Checkpoint,
    /// <summary>The next entry needs data that this replica reads itself (<see cref="MachinePlayer.SupplyRead"/>).</summary>
    AwaitsDisk,
    /// <summary>The machine ended as the log says.</summary>
    Ended,
    /// <summary>A stop that the host's debugger has set on the vCPU.</summary>
    Debug,
    /// <summary>This is not the execution that was recorded; see <see cref="MachinePlayer.Divergence"/>.</summary>
    Diverged,
}

/// <summary>Where replay left the recording.</summary>
/// <param name="Icount">Instructions retired.</param>
/// <param name="Lsn">The entry that shows it.</param>
/// <param name="What">For people.</param>
/// <param name="Expected">The recorder's digest, if a digest shows it.</param>
/// <param name="Actual">This machine's.</param>
public sealed record Divergence(ulong Icount, Lsn Lsn, string What, MachineDigest? Expected = null, MachineDigest? Actual = null);

/// <summary>What a stretch of replay came to.</summary>
/// <param name="Stop">Why it stopped.</param>
/// <param name="Effects">Outputs the machine made; a replica that replays holds or drops them.</param>
public sealed record PlayerExit(PlayerStop Stop, IReadOnlyList<MachineEffect> Effects);

/// <summary>
/// Replays a log on a machine: delivers every input at its icount, compares digests, never runs beyond what the log vouches for.
/// Pure; the mirror of <see cref="MachineRecorder"/>.
/// </summary>
public sealed class MachinePlayer
{
    private readonly GuestMachine _machine;
    private readonly Queue<LogEntry> _entries = new();
    private readonly List<PageDigest> _digestPages = [];
    private readonly List<MachineEffect> _effects = [];
    private readonly SortedDictionary<(int Disk, ulong Id), ImmutableArray<byte>> _ownReads = [];
    private long _effectBytes;
    private MachineExitReason? _ended;
    private bool _seesAllWrites;
    private bool _debugStop;

    /// <param name="machine">A machine in the state of the snapshot the log follows.</param>
    /// <param name="start">Position of that snapshot; default when the log starts at power-on.</param>
    /// <param name="atCheckpoint">
    /// Whether the recorder's digests start anew there, as at power-on and at a checkpoint. Otherwise the first digest covers pages that this player did
    /// not see written, and only its other parts are compared.
    /// </param>
    public MachinePlayer(GuestMachine machine, LogPosition start = default, bool atCheckpoint = true)
    {
        _seesAllWrites = atCheckpoint;
        ArgumentNullException.ThrowIfNull(machine);
        _machine = machine;
        LastReceived = LastExecuted = start.LastLsn;
        LastOutput = start.LastOutput;
        machine.StartDigests();
    }

    public GuestMachine Machine => _machine;

    /// <summary>Whether to stop behind each checkpoint, where the state is exactly that of the snapshot taken there.</summary>
    public bool StopsAtCheckpoints { get; set; }

    /// <summary>A <see cref="Run"/> that has made so many outputs ends as if its budget were spent; the machine's own limit for a run may come on top.</summary>
    public int EffectsMax { get; set; } = int.MaxValue;

    /// <summary>The same for the bytes of its outputs (<see cref="MachineEffect.CountBytes"/>).</summary>
    public long EffectBytesMax { get; set; } = long.MaxValue;

    /// <summary>Number of the newest entry received.</summary>
    public Lsn LastReceived { get; private set; }

    /// <summary>Number of the newest entry replayed.</summary>
    public Lsn LastExecuted { get; private set; }

    /// <summary>Number of the newest output made.</summary>
    public ulong LastOutput { get; private set; }

    /// <summary>Entries received and not yet replayed.</summary>
    public int Backlog => _entries.Count;

    /// <summary>Digests that were compared and equal.</summary>
    public ulong DigestsChecked { get; private set; }

    /// <summary>Icount of the last of them: what went wrong, went wrong behind it. Null before the first.</summary>
    public ulong? LastDigestIcount { get; private set; }

    /// <summary>Set once replay has left the recording; final.</summary>
    public Divergence? Divergence { get; private set; }

    /// <summary>Pages that the last digest compared covers; valid until the next <see cref="Run"/>.</summary>
    public IReadOnlyList<PageDigest> LastDigestPages => _digestPages;

    /// <summary>Where the log stands at the point replay has reached.</summary>
    public LogPosition Position => new(LastExecuted, LastOutput);

    /// <summary>Takes the next entry. False, and nothing changed, if it does not follow the one before without gap.</summary>
    public bool TryAppend(LogEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        if (entry.Lsn != LastReceived.Next)
            return false;
        LastReceived = entry.Lsn;
        _entries.Enqueue(entry);
        return true;
    }

    /// <summary>This replica has read from its own disk what the machine waits for. What it does not wait for (any more) is forgotten.</summary>
    public void SupplyRead(int disk, ulong id, ImmutableArray<byte> data)
    {
        foreach (var (outstanding, request) in _machine.OutstandingDiskRequests)
        {
            if (outstanding == disk && request.Id == id)
            {
                _ownReads[(disk, id)] = data;
                return;
            }
        }
    }

    /// <summary>Replays at most <paramref name="maxInstructions"/> instructions of what was received.</summary>
    public PlayerExit Run(ulong maxInstructions)
    {
        var start = _machine.Icount;
        var end = start > ulong.MaxValue - maxInstructions ? ulong.MaxValue : start + maxInstructions;
        _effects.Clear();
        _effectBytes = 0;
        var stop = Replay(end);
        CollectEffects();
        return new PlayerExit(stop, _effects.Count == 0 ? [] : _effects.ToArray());
    }

    private PlayerStop Replay(ulong end)
    {
        while (Divergence is null)
        {
            if (_ended is not null && _entries.Count == 0)
                return PlayerStop.Ended;
            if (!_entries.TryPeek(out var entry))
                return PlayerStop.Starved;
            if (entry.Icount < _machine.Icount)
                return Diverge(entry, $"the log has an entry for icount {entry.Icount}, which has passed");
            if (entry.Icount == _machine.Icount && !(entry.Payload is EndPayload && _ended is null))
            {
                if (entry.Payload is OwnReadPayload awaited && !_ownReads.ContainsKey((awaited.Disk, awaited.Id)))
                    return PlayerStop.AwaitsDisk;
                _entries.Dequeue();
                if (!Perform(entry))
                    return PlayerStop.Diverged;
                LastExecuted = entry.Lsn;
                if (StopsAtCheckpoints && entry.Payload is CheckpointPayload)
                    return PlayerStop.Checkpoint;
                continue;
            }
            if (_machine.Icount >= end)
                return PlayerStop.BudgetSpent;
            if (!RunTowards(entry, end))
                return PlayerStop.Diverged;
            if (_debugStop)
                return PlayerStop.Debug;
            if (_effects.Count >= EffectsMax || _effectBytes >= EffectBytesMax)
                return PlayerStop.BudgetSpent;
        }
        return PlayerStop.Diverged;
    }

    /// <summary>Runs to the entry's icount or to the budget's end.</summary>
    private bool RunTowards(LogEntry entry, ulong end)
    {
        // A machine ends while it tries to go on: for the end entry let it try one instruction more.
        var target = entry.Payload is EndPayload && entry.Icount == _machine.Icount ? entry.Icount + 1 : entry.Icount;
        var exit = _machine.Run(Math.Min(end, target) - _machine.Icount);
        TakeEffects(exit);
        _debugStop = exit.Reason == MachineExitReason.Debug;
        if (exit.Reason.IsFinal())
        {
            _ended = exit.Reason;
            if (_machine.Icount < entry.Icount)
            {
                return Fail(entry, $"the machine ended ({exit.Reason}) before the next entry"
                    + (_machine.BootFiles is null ? "; it cannot start again without the files that it boots from" : ""));
            }
        }
        else if (exit.Reason is MachineExitReason.Idle or MachineExitReason.Held && _machine.Icount < entry.Icount)
        {
            return Fail(entry, $"the machine {(exit.Reason == MachineExitReason.Held ? "crashed" : "halted")} before the next entry");
        }
        return true;
    }

    private bool Perform(LogEntry entry)
    {
        switch (entry.Payload)
        {
            case InputPayload input:
                if (input.Input is DiskCompleted completed)
                    _ownReads.Remove((completed.Disk, completed.Completion.Id));
                _machine.Inject(input.Input);
                return true;
            case OwnReadPayload read:
                _ownReads.Remove((read.Disk, read.Id), out var data);
                _machine.Inject(new DiskCompleted(read.Disk, new DiskCompletion(read.Id, DiskStatus.Ok, data)));
                return true;
            case CheckpointPayload:
                _machine.StartDigests();
                _seesAllWrites = true;
                return true;
            case DigestPayload digest:
                _digestPages.Clear();
                var actual = _machine.ComputeDigest(_digestPages);
                if (!_seesAllWrites)
                    actual = actual with { Memory = digest.Digest.Memory };
                _seesAllWrites = true;
                if (actual != digest.Digest)
                {
                    Divergence = new Divergence(entry.Icount, entry.Lsn, "the state differs from the recorder's", digest.Digest, actual);
                    return false;
                }
                DigestsChecked++;
                LastDigestIcount = entry.Icount;
                return true;
            case OutputMarkPayload mark:
                CollectEffects();
                return mark.LastOutput == LastOutput
                    || Fail(entry, $"the recorder had made {mark.LastOutput} outputs, this machine {LastOutput}");
            case EndPayload ended:
                return _ended == ended.Reason || Fail(entry, $"the recorder's machine ended by {ended.Reason}, this one by {_ended?.ToString() ?? "nothing"}");
            default:
                return Fail(entry, $"an entry of a kind this version cannot replay: {entry.Payload.GetType().Name}");
        }
    }

    /// <summary>Takes over outputs that the delivery of an input made, which the machine hands out with its next run.</summary>
    private void CollectEffects()
    {
        TakeEffects(_machine.Run(0));
    }

    private void TakeEffects(MachineExit exit)
    {
        _effects.AddRange(exit.Effects);
        LastOutput += (ulong)exit.Effects.Count;
        if (EffectBytesMax == long.MaxValue)
            return;
        foreach (var effect in exit.Effects)
            _effectBytes += effect.CountBytes();
    }

    private bool Fail(LogEntry entry, string what)
    {
        Divergence = new Divergence(_machine.Icount, entry.Lsn, what);
        return false;
    }

    private PlayerStop Diverge(LogEntry entry, string what)
    {
        Fail(entry, what);
        return PlayerStop.Diverged;
    }
}
