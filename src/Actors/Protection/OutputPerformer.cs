using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Devices;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Protection;

namespace FtAkka.Actors.Protection;

/// <summary>
/// Hands released outputs to the devices, on the thread that released them, and knows from what the devices answer which were performed. A
/// frame counts as performed when its card has it: Ethernet may lose frames, and a killed host loses those in its queues.
/// Not thread-safe: used under the lock of the <see cref="ReplicaShell"/>.
/// </summary>
internal sealed class OutputPerformer(IActorRef machine, IReadOnlyList<DeviceLink> devices, ProtectionOptions protection)
{
    private readonly HashSet<(int Disk, ulong Id)> ownReads = [];
    /// <summary>The output's number; 0 for a request issued again, which is no new output.</summary>
    private readonly Dictionary<(int Disk, ulong Id), (ulong Number, DiskRequest Request, int ReadEpoch)> disks = [];
    private readonly Queue<(ulong End, ulong Number)>[] consoles =
        [.. Enum.GetValues<ConsoleKind>().Select(_ => new Queue<(ulong End, ulong Number)>())];
    private readonly DeviceLinks links = new(devices);

    /// <summary>Disk requests handed over and not completed.</summary>
    public int OutstandingDiskRequests => disks.Count;

    /// <summary>Told of changes of separate disks that have ended; null while nobody asks.</summary>
    public DirtyBlocks? Dirty { get; set; }

    /// <summary>
    /// While this is above 0, the backup also performs reads that are handed over; a number for each session. What was handed over before it began may be older than
    /// what the backup's copy holds.
    /// </summary>
    public int ReadEpoch { get; set; }

    /// <summary>The network cards.</summary>
    public IEnumerable<DeviceLink> Nics => links.All.Where(link => link.Kind == DeviceKind.Nic);

    /// <summary>Hands outputs over in order.</summary>
    /// <returns>Those that are performed already.</returns>
    public IReadOnlyList<ulong> Perform(IReadOnlyList<GatedOutput> outputs)
    {
        var performed = new List<ulong>();
        foreach (GatedOutput output in outputs)
        {
            switch (output.Effect)
            {
                case DiskRequested request when links.For(request) is not null:
                    disks[(request.Disk, request.Request.Id)] = (output.Number, request.Request, ReadEpoch);
                    break;
                case ConsoleOutput text when links.For(text) is not null:
                    consoles[(int)text.Console].Enqueue((text.StreamOffset + (ulong)text.Bytes.Length, output.Number));
                    break;
                default:
                    performed.Add(output.Number);
                    break;
            }
        }
        foreach (MachineEffect effect in DeviceLinks.JoinConsoleOutput([.. outputs.Select(output => output.Effect)]))
        {
            Hand(effect);
        }
        return performed;
    }

    /// <summary>Issues requests again that the machine waits for.</summary>
    public void Reissue(IEnumerable<(int Disk, DiskRequest Request)> requests, ulong icount)
    {
        foreach ((int disk, DiskRequest request) in requests)
        {
            disks.TryAdd((disk, request.Id), (0, request, 0));
            Hand(new DiskRequested(icount, disk, request));
        }
    }

    /// <summary>Learns from what a device says.</summary>
    /// <returns>Outputs performed.</returns>
    public IReadOnlyList<ulong> Heard(DeviceLink device, DeviceNews news)
    {
        List<ulong>? performed = null;
        foreach (InputEvent input in news.Inputs)
        {
            if (input is DiskCompleted completed && disks.Remove((completed.Disk, completed.Completion.Id), out (ulong Number, DiskRequest Request, int ReadEpoch) ended))
            {
                Dirty?.Mark(completed.Disk, ended.Request);
                NoteRead(completed, ended.Request, ended.ReadEpoch);
                if (ended.Number > 0)
                {
                    (performed ??= []).Add(ended.Number);
                }
            }
        }
        if (news.ConsoleTakenTo is { } position)
        {
            Queue<(ulong End, ulong Number)> waiting = consoles[device.Index];
            while (waiting.TryPeek(out (ulong End, ulong Number) head) && head.End <= position)
            {
                (performed ??= []).Add(waiting.Dequeue().Number);
            }
        }
        return performed ?? (IReadOnlyList<ulong>)[];
    }

    /// <summary>Whether the backup has the data of this completion itself; asked once.</summary>
    public bool TakeOwnRead(int disk, ulong id) => ownReads.Remove((disk, id));

    private void NoteRead(DiskCompleted completed, DiskRequest request, int epoch)
    {
        if (!protection.BackupReads(completed.Disk) || epoch == 0 || epoch != ReadEpoch)
        {
            return;
        }
        if (completed.Completion.Status == DiskStatus.Ok)
        {
            if (request.Kind == DiskRequestKind.Read)
            {
                ownReads.Add((completed.Disk, completed.Completion.Id));
            }
        }
        else if (request.Kind != DiskRequestKind.Read)
        {
            // What the sectors hold now may not be what the backup's hold: until the next copy the log has the data.
            ReadEpoch = 0;
        }
    }

    private void Hand(MachineEffect effect)
    {
        if (links.For(effect) is { } device)
        {
            device.Actor.Tell(device.Dialect.ToDevice(effect), machine);
        }
    }
}
