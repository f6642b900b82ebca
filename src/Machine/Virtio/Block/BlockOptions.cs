namespace FtAkka.Machine.Virtio.Block;

/// <summary>Shape and limits of one virtual disk. Part of the machine's configuration: equal on both replicas.</summary>
public sealed record BlockOptions
{
    /// <summary>Size of the disk in 512-byte sectors.</summary>
    public required ulong CapacitySectors { get; init; }

    /// <summary>The guest may not write.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>What the guest reads as the disk's serial number; at most 20 ASCII characters count.</summary>
    public string Identity { get; init; } = "ftakka-disk";

    /// <summary>Logical block size in bytes: a power of two from 512 to 4096.</summary>
    public uint BlockBytes { get; init; } = 512;

    /// <summary>Physical block size in bytes (topology), a power-of-two multiple of <see cref="BlockBytes"/>.</summary>
    public uint PhysicalBlockBytes { get; init; } = 4096;

    /// <summary>Number of request queues, 1 to 16.</summary>
    public ushort QueueCount { get; init; } = 1;

    /// <summary>Largest size of each request queue, a power of two of at least 4.</summary>
    public ushort QueueSize { get; init; } = 256;

    /// <summary>Largest segment the driver may use.</summary>
    public uint SegmentBytesMax { get; init; } = 64 * 1024;

    /// <summary>Longest read or write; longer ones end with an I/O error. The default is what a driver can reach by the other limits.</summary>
    public uint RequestBytesMax { get; init; } = 16 * 1024 * 1024;

    /// <summary>
    /// Sum of read and write bytes in flight. Beyond it the device leaves further requests in the queue until completions arrive, so
    /// that a guest that names one page in every descriptor cannot make the host hold gigabytes of bounce buffers. Requests from before a
    /// reset of the device count until the host has finished with them.
    /// </summary>
    public ulong InFlightBytesMax { get; init; } = 64 * 1024 * 1024;

    /// <summary>Longest discard or write-zeroes in sectors.</summary>
    public uint DiscardSectorsMax { get; init; } = 1024 * 1024 * 2;

    /// <summary>
    /// Requests in flight, also of no bytes as a flush. The present driver's are as many as the queues have entries at most; as many may be left over from before resets.
    /// </summary>
    internal int RequestsInFlightMax => 2 * QueueCount * QueueSize;

    /// <summary>Segments of a request: the queue's descriptors less those of header and status (§5.2.5, <c>seg_max</c>).</summary>
    internal uint SegmentsMax => QueueSize - 2u;

    internal void Validate()
    {
        bool blockSizes = BlockBytes is >= 512 and <= 4096 && uint.IsPow2(BlockBytes)
            && uint.IsPow2(PhysicalBlockBytes) && PhysicalBlockBytes >= BlockBytes && PhysicalBlockBytes <= 1024 * 1024;
        if (!blockSizes)
        {
            throw new ArgumentException($"Block sizes {BlockBytes} and {PhysicalBlockBytes} are not powers of two from 512 up.");
        }
        if (QueueCount is 0 or > 16 || QueueSize is < 4 or > 1024 || !uint.IsPow2(QueueSize))
        {
            throw new ArgumentException($"{QueueCount} queues of {QueueSize} entries: allowed are 1 to 16 of 4 to 1024 (a power of two).");
        }
        if (CapacitySectors > long.MaxValue / BlockProtocol.SectorBytes || RequestBytesMax > 1 << 30 || DiscardSectorsMax == 0)
        {
            throw new ArgumentException("Capacity, request limit or discard limit of the disk is out of range.");
        }
    }
}
