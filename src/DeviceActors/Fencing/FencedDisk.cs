using FtAkka.DeviceActors.Disks;
using FtAkka.Machine.Virtio.Block;

namespace FtAkka.DeviceActors.Fencing;

/// <summary>A disk whose requests wait at a fence. Owns the storage behind it.</summary>
public sealed class FencedDisk(IDiskBackend storage, Fence fence) : IDiskBackend
{
    private readonly CancellationTokenSource closed = new();

    /// <inheritdoc/>
    public ulong CapacitySectors => storage.CapacitySectors;

    /// <inheritdoc/>
    public bool ReadOnly => storage.ReadOnly;

    /// <inheritdoc/>
    public Task<DiskOutcome> ExecuteAsync(DiskRequest request) => fence.IsOpen ? storage.ExecuteAsync(request) : WaitAndExecuteAsync(request);

    /// <inheritdoc/>
    public void Dispose()
    {
        closed.Cancel();
        storage.Dispose();
    }

    private async Task<DiskOutcome> WaitAndExecuteAsync(DiskRequest request)
    {
        await fence.WaitAsync(closed.Token).ConfigureAwait(true);
        return await storage.ExecuteAsync(request).ConfigureAwait(true);
    }
}
