using FtAkka.DeviceActors.Consoles;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>Carries a live replica's console output to its scrollback, at which a client of the outside reads.</summary>
internal sealed class SimulatedConsole(ClusterWorld world, SimulatedHost host, long incarnation, ConsoleScrollback scrollback) : IConsoleLink
{
    private readonly TaskCompletionSource<ConsoleLinkInput> _typed = new();

    /// <inheritdoc/>
    public bool ConnectedAtStart => true;

    /// <inheritdoc/>
    public Task<ConsoleLinkInput> ReceiveAsync() => _typed.Task;

    /// <inheritdoc/>
    public Task<bool> SendAsync(ulong offset, ReadOnlyMemory<byte> bytes)
    {
        if (ClusterWorld.IsAlive(host, incarnation))
        {
            world.Checks.ConsoleAct(host, incarnation, offset + (ulong)bytes.Length);
            world.Outside.Shown(host, offset, bytes.Span);
            scrollback.Append(offset, bytes.Span);
            world.Outside.ReadConsole(host, scrollback);
        }
        return Task.FromResult(true);
    }

    /// <inheritdoc/>
    public void Dispose() => _typed.TrySetCanceled();
}
