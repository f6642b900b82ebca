using FtAkka.DeviceActors.Fencing;

namespace FtAkka.DeviceActors.Disks;

/// <summary>How to open a raw disk image.</summary>
/// <param name="Path">File or block device.</param>
public sealed record RawDiskOptions(string Path)
{
    /// <summary>Open without write access and refuse writes.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>
    /// Refuse to share the image with any other process that opens it through this class (advisory lock). Off for a disk shared between
    /// replicas: there the arbiter decides who writes, and a paused primary's lock must not keep the backup from going live.
    /// </summary>
    public bool Exclusive { get; init; } = true;

    /// <summary>Looked at immediately before each access; a request that it does not let through is held until it does, or the image closes.</summary>
    public Fence Fence { get; init; } = Fence.None;

    /// <summary>
    /// A write is durable when it has completed. On for a disk shared between replicas: when a host dies, the survivor knows the write as completed,
    /// does not issue it again, and answers the guest's next flush, so that it must not have lain in the dead host's memory.
    /// </summary>
    public bool WriteThrough { get; init; }

    /// <summary>Requests executed side by side, each on a thread of its own: 1 to 64.</summary>
    public int ConcurrentRequests { get; init; } = 4;

    /// <summary>Refuse a file that begins like an image of another format: taken for raw bytes, it would be damaged. Off where raw was asked for by name.</summary>
    public bool RefuseOtherFormats { get; init; }
}
