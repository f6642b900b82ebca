using System.Collections.Immutable;
using System.Net.Sockets;

namespace FtAkka.DeviceActors.Consoles;

/// <summary>A unix socket that serves one console client after the other, as often as they come.</summary>
public sealed class UnixConsoleLink : IConsoleLink
{
    private readonly string path;
    private readonly Socket listener;
    private readonly CancellationTokenSource stop = new();
    private readonly byte[] buffer = new byte[4096];
    private volatile Socket? peer;

    /// <summary>Listens on <paramref name="path"/>; a stale socket file, on which nobody listens, is replaced.</summary>
    /// <exception cref="IOException">Somebody listens there already, or it is not a socket.</exception>
    /// <exception cref="SocketException">The path cannot be bound.</exception>
    public UnixConsoleLink(string path)
    {
        this.path = path;
        listener = UnixListener.Open(path);
    }

    /// <inheritdoc/>
    public bool ConnectedAtStart => false;

    /// <inheritdoc/>
    public async Task<ConsoleLinkInput> ReceiveAsync()
    {
        if (peer is not { } socket)
        {
            peer = await listener.AcceptAsync(stop.Token).ConfigureAwait(false);
            return new ConsoleLinkInput([], Connected: true);
        }
        int read = 0;
        try
        {
            read = await socket.ReceiveAsync(buffer.AsMemory(), stop.Token).ConfigureAwait(false);
        }
        catch (Exception lost) when (lost is SocketException or ObjectDisposedException)
        {
            // The peer is gone; the next one is waited for.
        }
        if (read > 0)
        {
            return new ConsoleLinkInput(ImmutableArray.Create(buffer.AsSpan(0, read)), Connected: true);
        }
        peer = null;
        socket.Dispose();
        return new ConsoleLinkInput([], Connected: false);
    }

    /// <inheritdoc/>
    public async Task<bool> SendAsync(ulong offset, ReadOnlyMemory<byte> bytes)
    {
        if (peer is not { } socket)
        {
            return false;
        }
        try
        {
            while (!bytes.IsEmpty)
            {
                bytes = bytes[await socket.SendAsync(bytes, stop.Token).ConfigureAwait(false)..];
            }
            return true;
        }
        catch (Exception lost) when (lost is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (stop.IsCancellationRequested)
        {
            return;
        }
        stop.Cancel();
        peer?.Dispose();
        listener.Dispose();
        File.Delete(path);
    }
}
