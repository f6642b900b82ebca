using System.Collections.Immutable;
using FtAkka.Machine.Virtio.Block;

namespace FtAkka.Replication.Disks;

/// <summary>What became of a submitted request.</summary>
public enum RequestAdmission
{
    /// <summary>It conflicts with nothing: issue it now.</summary>
    Start,

    /// <summary>It waits for earlier requests; <see cref="RequestSerializer.Complete"/> will name it.</summary>
    Held,

    /// <summary>The queue is full; the request was not taken.</summary>
    Full,

    /// <summary>A request with this id is already in the queue; nothing changed.</summary>
    Duplicate,
}

/// <summary>
/// Keeps requests that touch the same disk blocks, one of them writing, in submission order (paper 3.4): such requests would race in
/// the host's storage, and primary and backup could end with different contents. Everything else may run side by side. Races over guest
/// memory do not arise, since data travels through bounce buffers. Pure: the caller issues and completes.
/// </summary>
public sealed class RequestSerializer
{
    private sealed class Entry(DiskRequest request)
    {
        public DiskRequest Request { get; } = request;

        public bool Started { get; set; }
    }

    // In submission order. A scan per call is cheap beside a disk request, and the length is bounded.
    private readonly List<Entry> entries = [];

    /// <summary>A queue of at most <paramref name="requestsMax"/> requests, running and held together.</summary>
    public RequestSerializer(int requestsMax)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(requestsMax, 1);
        RequestsMax = requestsMax;
    }

    /// <summary>Limit on running and held requests together.</summary>
    public int RequestsMax { get; }

    /// <summary>Requests issued and not yet completed.</summary>
    public int Running { get; private set; }

    /// <summary>Requests that wait for earlier ones.</summary>
    public int Held => entries.Count - Running;

    /// <summary>Takes the next request in submission order.</summary>
    public RequestAdmission Submit(DiskRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        foreach (Entry present in entries)
        {
            if (present.Request.Id == request.Id)
            {
                return RequestAdmission.Duplicate;
            }
        }
        if (entries.Count >= RequestsMax)
        {
            return RequestAdmission.Full;
        }
        var entry = new Entry(request);
        entries.Add(entry);
        return TryStart(entries.Count - 1) ? RequestAdmission.Start : RequestAdmission.Held;
    }

    /// <summary>
    /// A running request has ended, well or not. Returns the requests that may be issued now, in submission order; nothing if the id is
    /// unknown or the request was never issued.
    /// </summary>
    public ImmutableArray<DiskRequest> Complete(ulong id)
    {
        int index = entries.FindIndex(entry => entry.Request.Id == id && entry.Started);
        if (index < 0)
        {
            return [];
        }
        entries.RemoveAt(index);
        Running--;
        ImmutableArray<DiskRequest>.Builder startable = ImmutableArray.CreateBuilder<DiskRequest>();
        for (int i = index; i < entries.Count; i++)
        {
            if (!entries[i].Started && TryStart(i))
            {
                startable.Add(entries[i].Request);
            }
        }
        return startable.ToImmutable();
    }

    /// <summary>Whether the two must not run at the same time: their ranges overlap and at least one of them changes the disk.</summary>
    public static bool Conflict(DiskRequest first, DiskRequest second)
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        if (!(Changes(first.Kind) || Changes(second.Kind)))
        {
            return false;
        }
        // A flush has an empty range: it concerns writes completed before it, and those are no longer here.
        UInt128 firstStart = (UInt128)first.Sector * BlockProtocol.SectorBytes;
        UInt128 secondStart = (UInt128)second.Sector * BlockProtocol.SectorBytes;
        return first.LengthBytes > 0 && second.LengthBytes > 0
            && firstStart < secondStart + second.LengthBytes
            && secondStart < firstStart + first.LengthBytes;
    }

    private static bool Changes(DiskRequestKind kind) => kind switch
    {
        DiskRequestKind.Write or DiskRequestKind.Discard or DiskRequestKind.WriteZeroes => true,
        DiskRequestKind.Read or DiskRequestKind.Flush => false,
        _ => true,
    };

    /// <summary>Starts the entry unless an earlier one, running or held, conflicts: held ones count, or a stream of reads could pass a write for ever.</summary>
    private bool TryStart(int index)
    {
        for (int i = 0; i < index; i++)
        {
            if (Conflict(entries[i].Request, entries[index].Request))
            {
                return false;
            }
        }
        entries[index].Started = true;
        Running++;
        return true;
    }
}
