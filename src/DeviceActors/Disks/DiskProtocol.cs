using FtAkka.Machine.Virtio.Block;

namespace FtAkka.DeviceActors.Disks;

/// <summary>Messages of <see cref="DiskActor"/>.</summary>
public static class DiskProtocol
{
    /// <summary>Machine or replica to disk: execute. Answered by <see cref="Completed"/>, always and once.</summary>
    public sealed record Execute(DiskRequest Request);

    /// <summary>Disk to the sender of <see cref="Execute"/>.</summary>
    /// <param name="Completion">The input event for the machine.</param>
    /// <param name="HostError">The host's reason if the request failed; for logs, not for the guest.</param>
    public sealed record Completed(DiskCompletion Completion, string? HostError);

    /// <summary>Anyone to disk: tell me when no request is running or held. Answered by <see cref="Drained"/>.</summary>
    public sealed record Drain;

    /// <summary>Disk to the sender of <see cref="Drain"/>: nothing is outstanding at this moment.</summary>
    public sealed record Drained;

    /// <summary>
    /// Operator to disk: use other storage from now on (media change). The actor owns the backend from now on. Answered by
    /// <see cref="MediumChanged"/>, or by <see cref="MediumRefused"/> if requests are outstanding, in which case the backend stays the sender's.
    /// </summary>
    public sealed record ChangeMedium(IDiskBackend Backend);

    /// <summary>The new storage is in use; the old one is closed.</summary>
    public sealed record MediumChanged(ulong CapacitySectors);

    /// <summary>The storage was not changed.</summary>
    public sealed record MediumRefused(string Reason);

    /// <summary>Anyone to disk. Answered by <see cref="Status"/>.</summary>
    public sealed record GetStatus;

    /// <summary>What the disk has done since it was started.</summary>
    public sealed record Status(
        ulong CapacitySectors, int Running, int Held, ulong ReadBytes, ulong WrittenBytes, ulong Flushes, ulong Errors);
}
