using System.Collections.Immutable;
using FtAkka.DeviceActors.Nics;

namespace FtAkka.DeviceActors.Fencing;

/// <summary>A network link whose frames wait at a fence. Owns the link behind it. What arrives is not held up.</summary>
public sealed class FencedLink(IFrameLink link, Fence fence) : IFrameLink
{
    private readonly CancellationTokenSource closed = new();

    /// <inheritdoc/>
    public Task<LinkInput> ReceiveAsync() => link.ReceiveAsync();

    /// <inheritdoc/>
    public Task<int> SendAsync(ImmutableArray<ImmutableArray<byte>> frames) => fence.IsOpen ? link.SendAsync(frames) : WaitAndSendAsync(frames);

    /// <inheritdoc/>
    public void Dispose()
    {
        closed.Cancel();
        link.Dispose();
    }

    private async Task<int> WaitAndSendAsync(ImmutableArray<ImmutableArray<byte>> frames)
    {
        await fence.WaitAsync(closed.Token).ConfigureAwait(true);
        return await link.SendAsync(frames).ConfigureAwait(true);
    }
}
