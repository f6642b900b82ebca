using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Log;

namespace FtAkka.Replication.Protection;

/// <summary>An output on its way out.</summary>
/// <param name="Number">Outputs of a VM are numbered from 1 in the order of the machine's effects.</param>
/// <param name="Effect">What to do.</param>
/// <param name="Mark">LSN of the output mark that covers it.</param>
/// <param name="Since">When it was recorded.</param>
public sealed record GatedOutput(ulong Number, MachineEffect Effect, Lsn Mark, Instant Since = default);

/// <summary>What the gate does with outputs.</summary>
public enum GateMode
{
    /// <summary>They leave at once: the VM is unprotected.</summary>
    PassThrough,

    /// <summary>They wait for the backup's acknowledgement: the output rule (the paper, 2.2).</summary>
    Holding,

    /// <summary>They do not leave: the primary's do. Kept until the primary says that its own have left.</summary>
    Replaying,
}

/// <summary>
/// Holds outputs until they may leave, and knows which have. An output is <em>handed</em> to its device when it may leave and
/// <em>performed</em> when the device has acted; only performed ones count as released. Pure.
/// </summary>
/// <remarks>
/// A disk read is no output: nobody sees it. It passes at once unless a write to the same blocks is still held, which it must not
/// overtake. A request to a separate disk is no output either; a replica that replays performs those that change its own copy.
/// </remarks>
public sealed class OutputGate
{
    private struct Item
    {
        public GatedOutput Output;
        public bool Performed;
        /// <summary>Handed out ahead of its turn.</summary>
        public bool Passed;
        /// <summary>A request of a replaying replica to its own disk.</summary>
        public bool Own;
    }

    private readonly int _countMax;
    private readonly long _bytesMax;
    private readonly ProtectionOptions _options;
    private readonly List<Item> _items = [];
    /// <summary>Items before this index are handed out.</summary>
    private int _handed;
    private int _removed;

    /// <param name="options">Limits, and where disks are.</param>
    /// <param name="mode">What to begin with.</param>
    /// <param name="lastOutput">Number of the newest output before this gate.</param>
    public OutputGate(ProtectionOptions options, GateMode mode, ulong lastOutput)
    {
        ArgumentNullException.ThrowIfNull(options);
        (_countMax, _bytesMax, _options) = (options.OutputsMax, options.OutputBytesMax, options);
        Mode = mode;
        LastAdded = LastReleased = lastOutput;
    }

    public GateMode Mode { get; private set; }

    /// <summary>Number of the newest output that entered.</summary>
    public ulong LastAdded { get; private set; }

    /// <summary>Every output up to this number has left.</summary>
    public ulong LastReleased { get; private set; }

    /// <summary>Mark of the newest output handed out in its turn.</summary>
    public Lsn LastHandedMark { get; private set; }

    /// <summary>Outputs in the gate: not performed, or performed ahead of an earlier one.</summary>
    public int Count => _items.Count - _removed;

    /// <summary>Outputs that wait for permission.</summary>
    public int Held => _items.Count - _handed;

    /// <summary>Requests that a replaying replica has to its own disks, and that are not performed yet.</summary>
    public int OwnPending { get; private set; }

    /// <summary>Bytes of all outputs in the gate.</summary>
    public long Bytes { get; private set; }

    /// <summary>The machine must stop until this is false; outputs of the quantum that filled the gate are still taken.</summary>
    public bool IsFull => Count >= _countMax || Bytes >= _bytesMax;

    /// <summary>An empty gate: outputs begin behind this number, since the copy of the machine does.</summary>
    public void StartAfter(ulong lastOutput)
    {
        if (Count > 0)
            throw new InvalidOperationException("outputs are in the gate already.");
        LastAdded = LastReleased = lastOutput;
    }

    /// <summary>Takes the next output in order.</summary>
    /// <returns>True if it must be performed at once, whatever the acknowledgements.</returns>
    public bool Add(GatedOutput output)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentOutOfRangeException.ThrowIfNotEqual(output.Number, LastAdded + 1);
        bool passes = Passes(output.Effect);
        // A read that fails here is no loss while nobody needs its data: it is not owed.
        bool own = Mode == GateMode.Replaying && passes && output.Effect is DiskRequested { Request.Kind: not DiskRequestKind.Read };
        // Other disk requests are not performed in replay: shared disks are the primary's, and what it reads is in the log.
        bool performed = Mode == GateMode.Replaying && !own && output.Effect is DiskRequested;
        _items.Add(new Item { Output = output, Passed = passes || performed, Performed = performed, Own = own });
        OwnPending += own ? 1 : 0;
        LastAdded = output.Number;
        Bytes += output.Effect.CountBytes();
        Advance();
        return passes;
    }

    /// <summary>Hands out what may leave now, in order.</summary>
    /// <param name="acknowledged">Newest entry the backup has received.</param>
    public IReadOnlyList<GatedOutput> Release(Lsn acknowledged)
    {
        if (Mode == GateMode.Replaying)
            return [];
        List<GatedOutput>? released = null;
        while (_handed < _items.Count && (Mode == GateMode.PassThrough || _items[_handed].Output.Mark <= acknowledged))
        {
            var item = _items[_handed++];
            LastHandedMark = item.Output.Mark;
            if (!item.Passed)
                (released ??= []).Add(item.Output);
        }
        Advance();
        return released ?? (IReadOnlyList<GatedOutput>)[];
    }

    /// <summary>A device has acted on an output. Numbers that are not in the gate are ignored: a device may say so twice.</summary>
    public void Performed(ulong number)
    {
        if (number <= LastReleased || number > LastAdded)
            return;
        int index = _removed + (int)(number - LastReleased - 1);
        var item = _items[index];
        if (item.Performed || (index >= _handed && !item.Passed))
            return;
        item.Performed = true;
        OwnPending -= item.Own ? 1 : 0;
        _items[index] = item;
        Advance();
    }

    /// <summary>From now on outputs wait for acknowledgement. What is handed out stays so.</summary>
    public void Hold() => Mode = GateMode.Holding;

    /// <summary>From now on outputs leave at once; <see cref="Release"/> hands out what waits.</summary>
    public void PassThrough() => Mode = GateMode.PassThrough;

    /// <summary>Replaying: the primary's outputs up to this number have left.</summary>
    public void PeerReleased(ulong number)
    {
        for (int index = _removed; index < _items.Count && _items[index].Output.Number <= number; index++)
        {
            var item = _items[index];
            // What the primary did to its own disk is not done to this replica's.
            item.Performed |= !item.Own;
            _items[index] = item;
            _handed = Math.Max(_handed, index + 1);
        }
        Advance();
        // The primary may be ahead: what this replica makes up to that number has left already.
        PeerLastReleased = Math.Max(PeerLastReleased, number);
    }

    /// <summary>Replaying: what the primary last said to have released; may be ahead of <see cref="LastAdded"/>.</summary>
    public ulong PeerLastReleased { get; private set; }

    /// <summary>
    /// Replaying: this replica is live. What the primary had not reported as released may not have left, so it leaves (again): frames
    /// at least once, console bytes once, since the other end drops known offsets (<see cref="ConsoleCursor"/>). Disk requests are
    /// not among them: those not completed stay in the machine's state and are issued again from there, completed ones must not be.
    /// </summary>
    public IReadOnlyList<GatedOutput> GoLive()
    {
        PeerReleased(PeerLastReleased);
        Mode = GateMode.PassThrough;
        return Release(Lsn.None);
    }

    /// <summary>Adds what the gate knows to a status.</summary>
    internal ReplicaStatus Describe(ReplicaStatus common) => common with
    {
        HeldOutputs = Held,
        OutputsUnderWay = Count,
        OutputBytes = Bytes,
        LastReleased = LastReleased,
    };

    private bool Passes(MachineEffect effect)
    {
        if (effect is not DiskRequested request)
            return false;
        if (_options.IsSeparate(request.Disk))
            return Mode != GateMode.Replaying || request.Request.Kind != DiskRequestKind.Read || _options.BackupReads(request.Disk);
        if (Mode == GateMode.Replaying || request.Request.Kind != DiskRequestKind.Read)
            return false;
        for (int index = _handed; index < _items.Count; index++)
        {
            if (_items[index].Output.Effect is DiskRequested held && held.Disk == request.Disk && !_items[index].Passed
                && RequestSerializer.Conflict(held.Request, request.Request))
            {
                return false;
            }
        }
        return true;
    }

    private void Advance()
    {
        while (_removed < _items.Count)
        {
            var item = _items[_removed];
            bool replayed = Mode == GateMode.Replaying && item.Output.Number <= PeerLastReleased && !item.Own;
            if (!replayed && (!item.Performed || (Mode != GateMode.Replaying && _removed >= _handed)))
                break;
            // In replay, a disk request at the head goes as well: it is never sent again from here.
            LastReleased = item.Output.Number;
            Bytes -= item.Output.Effect.CountBytes();
            _items[_removed++] = default;
            _handed = Math.Max(_handed, _removed);
        }
        if (_removed > 64 && _removed * 2 > _items.Count)
        {
            _items.RemoveRange(0, _removed);
            _handed -= _removed;
            _removed = 0;
        }
    }
}
