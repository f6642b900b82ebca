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
}
