using System.Collections.Immutable;

namespace FtAkka.Machine.Virtio.Block;

/// <summary>What a disk backend is asked to do.</summary>
public enum DiskRequestKind
{
    /// <summary>Read <see cref="DiskRequest.LengthBytes"/> bytes.</summary>
    Read,

    /// <summary>Write <see cref="DiskRequest.Data"/>.</summary>
    Write,

    /// <summary>Make every write completed before this request durable.</summary>
    Flush,

    /// <summary>The range is no longer needed; what it reads afterwards is zeroes.</summary>
    Discard,

    /// <summary>Make the range read as zeroes.</summary>
    WriteZeroes,
}

/// <summary>
/// Effect: a request that left the machine. It is idempotent: it names its disk range, and write data is a copy taken when the guest
/// submitted it (bounce buffer). It stays in the machine's state until the <see cref="DiskCompletion"/> with its id is delivered, so
/// that a replica that goes live can issue it again.
/// </summary>
/// <param name="Id">Unique for the life of the disk, ascending in submission order; never reused, not even over a device reset.</param>
/// <param name="Kind">What to do.</param>
/// <param name="Sector">First 512-byte sector; 0 for a flush.</param>
/// <param name="LengthBytes">Length of the range, a multiple of 512; 0 for a flush.</param>
/// <param name="Data">Write data, as long as the range; otherwise empty.</param>
/// <param name="MayUnmap">Write-zeroes only: the backend may give the space back.</param>
public sealed record DiskRequest(
    ulong Id, DiskRequestKind Kind, ulong Sector, ulong LengthBytes, ImmutableArray<byte> Data, bool MayUnmap = false);

/// <summary>How a request ended.</summary>
public enum DiskStatus
{
    /// <summary>Done.</summary>
    Ok,

    /// <summary>The backend failed; the guest sees an I/O error.</summary>
    IoError,

    /// <summary>The backend cannot do such a request.</summary>
    Unsupported,
}

/// <summary>Input event: the end of a <see cref="DiskRequest"/>.</summary>
/// <param name="Id">The request's id.</param>
/// <param name="Status">How it ended.</param>
/// <param name="Data">For a successful read exactly the asked number of bytes; otherwise empty.</param>
public sealed record DiskCompletion(ulong Id, DiskStatus Status, ImmutableArray<byte> Data);

/// <summary>Where the block device puts its effects. Implemented by the machine, which stamps them with the icount.</summary>
public interface IDiskRequestSink
{
    /// <summary>Called synchronously from inside the guest's queue notification or the delivery of a completion.</summary>
    void Submit(DiskRequest request);
}
