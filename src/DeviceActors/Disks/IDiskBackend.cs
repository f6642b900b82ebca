using FtAkka.Machine.Virtio.Block;

namespace FtAkka.DeviceActors.Disks;

/// <summary>How a request ended, with the host's reason if it failed.</summary>
/// <param name="Completion">What goes to the machine.</param>
/// <param name="HostError">The host's message if <see cref="DiskCompletion.Status"/> is an error; otherwise null.</param>
public sealed record DiskOutcome(DiskCompletion Completion, string? HostError);

/// <summary>
/// Storage behind a disk actor. Requests given at the same time may run in any order: the caller keeps conflicting ones apart.
/// </summary>
public interface IDiskBackend : IDisposable
{
    /// <summary>Size in 512-byte sectors.</summary>
    ulong CapacitySectors { get; }

    /// <summary>True if writes are refused.</summary>
    bool ReadOnly { get; }

    /// <summary>
    /// Executes one request on the caller's thread, if that hardly means waiting: a read of what the host has in memory, a write into its
    /// cache. Null if it would, or if the storage cannot tell: nothing was done then, and <see cref="ExecuteAsync"/> is the way.
    /// </summary>
    DiskOutcome? TryExecuteAtOnce(DiskRequest request) => null;

    /// <summary>
    /// Executes one request. Never faults for what the host's storage does: that is an outcome. Continuations may run on a thread of the
    /// storage's own and must be short.
    /// </summary>
    Task<DiskOutcome> ExecuteAsync(DiskRequest request);
}
