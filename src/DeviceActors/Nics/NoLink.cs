using System.Collections.Immutable;

namespace FtAkka.DeviceActors.Nics;

/// <summary>A network card without a cable: receives nothing and drops everything.</summary>
public sealed class NoLink : IFrameLink
{
    private readonly TaskCompletionSource<LinkInput> never = new();

    /// <inheritdoc/>
    public Task<LinkInput> ReceiveAsync() => never.Task;

    /// <inheritdoc/>
    public Task<int> SendAsync(ImmutableArray<ImmutableArray<byte>> frames) => Task.FromResult(0);

    /// <inheritdoc/>
    public void Dispose() => never.TrySetCanceled();
}
