namespace FtAkka.Replication.Protection;

/// <summary>Where a VM's disk is (the paper, 4.1).</summary>
public enum DiskSharing
{
    /// <summary>One disk that both hosts reach; only the live replica touches it, and writes obey the output rule.</summary>
    Shared,

    /// <summary>
    /// Each replica has its own copy and writes it itself: the disk is a part of the VM's state, as its memory is. Requests are no outputs and wait for nothing; a
    /// clone copies the content.
    /// </summary>
    Separate,
}

/// <summary>A disk as the protocol knows it.</summary>
/// <param name="CapacitySectors">Size in sectors of 512 bytes.</param>
/// <param name="Sharing">Where it is.</param>
/// <param name="BackupReads">The backup reads from its own copy of a separate disk what the primary reads, and the log has no data (the paper, 4.2).</param>
public sealed record ProtectedDisk(ulong CapacitySectors, DiskSharing Sharing = DiskSharing.Shared, bool BackupReads = false);
