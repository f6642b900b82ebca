using System.Collections.Immutable;
using FtAkka.DeviceActors.Disks;
using FtAkka.DeviceActors.Fencing;
using FtAkka.DeviceActors.Nics;
using FtAkka.Machine.Virtio.Block;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>Storage behind a fence, in virtual time: what may not act is held until the fence moves.</summary>
internal sealed class FencedStorage(IDiskBackend storage, Fence fence) : IDiskBackend
{
    private bool closed;

    /// <inheritdoc/>
    public ulong CapacitySectors => storage.CapacitySectors;

    /// <inheritdoc/>
    public bool ReadOnly => storage.ReadOnly;

    /// <inheritdoc/>
    public async Task<DiskOutcome> ExecuteAsync(DiskRequest request)
    {
        await HeldByFence.UntilOpen(fence).ConfigureAwait(true);
        return closed ? await new TaskCompletionSource<DiskOutcome>().Task.ConfigureAwait(true) : await storage.ExecuteAsync(request).ConfigureAwait(true);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        closed = true;
        storage.Dispose();
    }
}

/// <summary>A network link behind a fence, in virtual time.</summary>
internal sealed class FencedFrames(IFrameLink link, Fence fence) : IFrameLink
{
    private bool closed;

    /// <inheritdoc/>
    public Task<LinkInput> ReceiveAsync() => link.ReceiveAsync();

    /// <inheritdoc/>
    public async Task<int> SendAsync(ImmutableArray<ImmutableArray<byte>> frames)
    {
        await HeldByFence.UntilOpen(fence).ConfigureAwait(true);
        return closed ? 0 : await link.SendAsync(frames).ConfigureAwait(true);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        closed = true;
        link.Dispose();
    }
}

/// <summary>Waiting at a fence on the simulation's one thread.</summary>
internal static class HeldByFence
{
    /// <summary>Complete when devices may act; at once if they may now.</summary>
    public static async Task UntilOpen(Fence fence)
    {
        while (!fence.IsOpen)
        {
            var moved = new TaskCompletionSource();
            fence.Hold(() => moved.TrySetResult());
            await moved.Task.ConfigureAwait(true);
        }
    }
}
