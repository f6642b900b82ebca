using System.Collections.Immutable;
using System.Net.Sockets;
using FtAkka.DeviceActors.Fencing;

namespace FtAkka.DeviceActors.Nics;

/// <summary>Which end of the socket the link is.</summary>
public enum UnixStreamRole
{
    /// <summary>Connects to a path, again and again until somebody listens there.</summary>
    Client,

    /// <summary>Listens on a path and serves one peer after the other.</summary>
    Server,
}

/// <summary>
/// Frames over a unix stream socket in QEMU's framing. A peer that goes away or breaks the framing is dropped and the next one is
/// waited for; frames sent meanwhile are dropped, as on an unplugged cable.
/// </summary>
public sealed class UnixStreamLink : IFrameLink
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(200);

    /// <summary>How long a peer that does not read is left alone before its socket is tried again.</summary>
    private static readonly TimeSpan RoomDelay = TimeSpan.FromMilliseconds(1);

    private readonly string path;
    private readonly UnixStreamRole role;
    private readonly Fence fence;
    private readonly Socket? listener;
    private readonly CancellationTokenSource stop = new();
    private readonly StreamFraming framing = new();
    private volatile Socket? peer;

    /// <summary>Opens the link; a server takes over a stale socket file, on which nobody listens.</summary>
    /// <exception cref="SocketException">The server cannot listen on the path.</exception>
    /// <exception cref="IOException">Somebody listens on the path already, or it is not a socket.</exception>
    /// <param name="path">Path of the socket.</param>
    /// <param name="role">Which end.</param>
    /// <param name="fence">Looked at immediately before each write; null for none.</param>
    public UnixStreamLink(string path, UnixStreamRole role, Fence? fence = null)
    {
        this.fence = fence ?? Fence.None;
        this.path = path;
        this.role = role;
        listener = role == UnixStreamRole.Server ? UnixListener.Open(path) : null;
    }

    /// <inheritdoc/>
    public async Task<LinkInput> ReceiveAsync()
    {
        CancellationToken token = stop.Token;
        if (peer is not { } socket)
        {
            framing.Reset();
            Socket connected = await ConnectAsync(token).ConfigureAwait(false);
            connected.Blocking = false;
            peer = connected;
            return new LinkInput([], Connected: true);
        }
        ImmutableArray<ImmutableArray<byte>> frames = TakeFrames(out bool broken);
        while (frames.IsEmpty && !broken)
        {
            int read = await ReadAsync(socket, token).ConfigureAwait(false);
            if (read == 0)
            {
                break;
            }
            framing.Advance(read);
            frames = TakeFrames(out broken);
        }
        if (!frames.IsEmpty)
        {
            return new LinkInput(frames, Connected: true);   // A broken stream is found again by the next call.
        }
        peer = null;
        socket.Dispose();
        token.ThrowIfCancellationRequested();
        return new LinkInput([], Connected: false);
    }

    /// <inheritdoc/>
    public async Task<int> SendAsync(ImmutableArray<ImmutableArray<byte>> frames)
    {
        if (peer is not { } socket)
        {
            return 0;
        }
        try
        {
            ReadOnlyMemory<byte> bytes = StreamFraming.Encode(frames);
            while (!bytes.IsEmpty)
            {
                if (!fence.IsOpen && !await fence.WaitAsync(stop.Token).ConfigureAwait(false))
                {
                    return 0;
                }
                // Not an asynchronous send: it would wait for room behind the look at the fence.
                bytes = bytes[socket.Send(bytes.Span, SocketFlags.None, out SocketError error)..];
                if (error == SocketError.WouldBlock)
                {
                    await Task.Delay(RoomDelay, stop.Token).ConfigureAwait(false);
                }
                else if (error != SocketError.Success)
                {
                    throw new SocketException((int)error);
                }
            }
            return frames.Length;
        }
        catch (Exception lost) when (lost is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // A frame may have gone out in part: the stream is of no use any more. The receiving side notices and drops the peer.
            socket.Dispose();
            return 0;
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
        if (listener is not null)
        {
            listener.Dispose();
            File.Delete(path);
        }
    }

    private async Task<Socket> ConnectAsync(CancellationToken token)
    {
        if (listener is not null)
        {
            return await listener.AcceptAsync(token).ConfigureAwait(false);
        }
        while (true)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), token).ConfigureAwait(false);
                return socket;
            }
            catch (SocketException)
            {
                socket.Dispose();
                await Task.Delay(RetryDelay, token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                socket.Dispose();
                throw;
            }
        }
    }

    private async ValueTask<int> ReadAsync(Socket socket, CancellationToken token)
    {
        try
        {
            return await socket.ReceiveAsync(framing.Room(), token).ConfigureAwait(false);
        }
        catch (Exception lost) when (lost is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            return 0;
        }
    }

    private ImmutableArray<ImmutableArray<byte>> TakeFrames(out bool broken)
    {
        broken = false;
        ImmutableArray<ImmutableArray<byte>>.Builder frames = ImmutableArray.CreateBuilder<ImmutableArray<byte>>();
        while (frames.Count < LinkLimits.FramesPerReceive && framing.TryTake(out ImmutableArray<byte> frame, out broken))
        {
            frames.Add(frame);
        }
        return frames.ToImmutable();
    }
}
