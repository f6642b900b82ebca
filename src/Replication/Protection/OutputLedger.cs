using System.Collections.Immutable;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Log;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Protection;

/// <summary>
/// Knows which outputs of a live machine were handed to devices, and from what the devices report which of them were performed. A frame counts as
/// performed when its card has it: Ethernet may lose frames, and a killed host loses those in its queues.
/// </summary>
internal sealed class OutputLedger(ProtectionOptions options)
{
    private readonly record struct Handed(ulong Number, DiskRequestKind Kind, int ReadEpoch);

    /// <summary>Disk requests under way. The number is 0 for one that was issued again, which is no new output.</summary>
    private readonly Dictionary<(int Disk, ulong Id), Handed> _disks = [];
    private readonly Queue<(ulong End, ulong Number)>[] _consoles = NewQueues();
    private readonly HashSet<(int Disk, ulong Id)> _ownReads = [];
    private MachineDevices _devices = new([], []);
    private int _readEpoch;
    private int _readEpochs;

    /// <summary>Disk requests handed over and not ended.</summary>
    public int DiskRequestsUnderWay => _disks.Count;

    /// <summary>The devices of the machine are open.</summary>
    public void Use(MachineDevices devices) => _devices = devices;

    /// <summary>
    /// A backup that follows begins, or ends. While there is one, it performs reads of its own disks that are handed over from now on itself; what was
    /// handed over before may be older than what its copy holds.
    /// </summary>
    public void Protect(bool on) => _readEpoch = on ? ++_readEpochs : 0;

    /// <summary>Outputs are handed to their devices.</summary>
    /// <returns>Numbers of those that count as performed at once.</returns>
    public IReadOnlyList<ulong> Hand(IReadOnlyList<GatedOutput> outputs)
    {
        List<ulong>? performed = null;
        foreach (var output in outputs)
        {
            if (!_devices.Reports(output.Effect))
                (performed ??= []).Add(output.Number);
            else if (output.Effect is DiskRequested disk)
                _disks[(disk.Disk, disk.Request.Id)] = new Handed(output.Number, disk.Request.Kind, _readEpoch);
            else if (output.Effect is ConsoleOutput text)
                _consoles[(int)text.Console].Enqueue((text.StreamOffset + (ulong)text.Bytes.Length, output.Number));
        }
        return performed ?? (IReadOnlyList<ulong>)[];
    }

    /// <summary>Requests are issued again.</summary>
    public void Reissue(ImmutableArray<PendingRequest> requests)
    {
        foreach (var pending in requests)
            _disks.TryAdd((pending.Disk, pending.Request.Id), new Handed(0, pending.Request.Kind, 0));
    }

    /// <summary>A disk has ended a request.</summary>
    /// <returns>Number of the output; 0 if it was none.</returns>
    public ulong DiskEnded(int disk, ulong id, DiskStatus status)
    {
        if (!_disks.Remove((disk, id), out var ended))
            return 0;
        if (options.BackupReads(disk) && ended.ReadEpoch != 0 && ended.ReadEpoch == _readEpoch)
        {
            if (status == DiskStatus.Ok && ended.Kind == DiskRequestKind.Read)
                _ownReads.Add((disk, id));
            // What the sectors hold after a failed change may not be what the backup's hold: until the next copy the log has the data.
            else if (status != DiskStatus.Ok && ended.Kind != DiskRequestKind.Read)
                _readEpoch = 0;
        }
        return ended.Number;
    }

    /// <summary>A console has taken all output before a position.</summary>
    /// <returns>Numbers of the outputs that this performs.</returns>
    public IReadOnlyList<ulong> ConsoleTaken(ConsoleKind console, ulong position)
    {
        var waiting = _consoles[(int)console];
        List<ulong>? performed = null;
        while (waiting.TryPeek(out var head) && head.End <= position)
            (performed ??= []).Add(waiting.Dequeue().Number);
        return performed ?? (IReadOnlyList<ulong>)[];
    }

    /// <summary>The entry as the backup gets it: without the data of a read that it performs itself.</summary>
    public LogEntry ForBackup(LogEntry entry) =>
        entry.Payload is InputPayload { Input: DiskCompleted completed } && _ownReads.Remove((completed.Disk, completed.Completion.Id))
            ? entry with { Payload = new OwnReadPayload(completed.Disk, completed.Completion.Id) } : entry;

    private static Queue<(ulong End, ulong Number)>[] NewQueues()
    {
        var queues = new Queue<(ulong End, ulong Number)>[Enum.GetValues<ConsoleKind>().Length];
        for (int i = 0; i < queues.Length; i++)
            queues[i] = new Queue<(ulong End, ulong Number)>();
        return queues;
    }
}
