using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Protection;

namespace FtAkka.LogChannelActors.Replicas;

/// <summary>
/// Notes which blocks of separate disks a live machine changes while a copy is made. A block counts when its request has ended. Used on the machine's thread, but
/// for <see cref="Start"/> and <see cref="Stop"/>: a log must have started before the first block is read for the copy, and so cannot wait for the machine.
/// </summary>
internal sealed class BlockLog(ProtectionOptions options)
{
    private readonly Dictionary<(int Disk, ulong Id), DiskRequest> underWay = [];
    private readonly bool isNeeded = options.HasSeparateDisks;
    private DirtyBlocks? dirty;

    /// <summary>Notes changes from now on.</summary>
    public void Start() => Volatile.Write(ref dirty, new DirtyBlocks(options.Disks));

    /// <summary>Notes changes no longer.</summary>
    public void Stop() => Volatile.Write(ref dirty, null);

    /// <summary>The machine waits for a request.</summary>
    public void Issued(int disk, DiskRequest request)
    {
        if (isNeeded && options.IsSeparate(disk))
        {
            underWay[(disk, request.Id)] = request;
        }
    }

    /// <summary>The machine has made outputs.</summary>
    public void Made(IReadOnlyList<MachineEffect> effects)
    {
        for (int i = 0; isNeeded && i < effects.Count; i++)
        {
            if (effects[i] is DiskRequested requested)
            {
                Issued(requested.Disk, requested.Request);
            }
        }
    }

    /// <summary>A disk has ended a request.</summary>
    public void Ended(int disk, ulong id)
    {
        if (underWay.Remove((disk, id), out DiskRequest? request))
        {
            Volatile.Read(ref dirty)?.Mark(disk, request);
        }
    }

    /// <summary>Blocks changed since the last collection; null while nothing is noted. Each change is either here, or the machine still waits for its request.</summary>
    public IReadOnlyList<BlockPlace>? Collect() => Volatile.Read(ref dirty)?.Collect();
}
