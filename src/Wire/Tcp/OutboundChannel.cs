using System.Net.Sockets;

namespace FtAkka.Wire.Tcp;

/// <summary>
/// The sending end of one connection, over a non-blocking socket: a write never waits, so a sender, or a receive thread that answers,
/// may write on its own thread. One thread at a time stages and flushes; one other thread reads.
/// </summary>
internal abstract class OutboundChannel(Socket socket) : IDisposable
{
    /// <summary>Takes bytes to be written. What was staged before must have been flushed; the array must stay as it is until then.</summary>
    public abstract void Stage(byte[] buffer, int count);

    /// <summary>Writes as much as the kernel takes at once; true when nothing is left.</summary>
    /// <exception cref="SocketException">The connection is broken.</exception>
    public abstract bool TryFlush();

    /// <summary>Reads what has arrived. Call after <see cref="WaitReadable"/>.</summary>
    /// <returns>The number of bytes; 0 at the end of the stream, -1 if there was nothing after all.</returns>
    public abstract int Read(Span<byte> destination);

    public bool WaitReadable(TimeSpan timeout) => socket.Poll(timeout, SelectMode.SelectRead);

    public bool WaitWritable(TimeSpan timeout) => socket.Poll(timeout, SelectMode.SelectWrite);

    /// <summary>Tells the peer that nothing more will come; it can still answer.</summary>
    public void EndWriting() => socket.Shutdown(SocketShutdown.Send);

    /// <summary>Breaks the connection under whoever waits on it. The reader then sees the end of the stream.</summary>
    public void Break()
    {
        try
        {
            socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            // Broken already.
        }
    }

    public virtual void Dispose() => socket.Dispose();

    /// <summary>Sends without waiting; returns how many bytes the kernel took.</summary>
    public int SendNow(ReadOnlySpan<byte> bytes)
    {
        var sent = socket.Send(bytes, SocketFlags.None, out var error);
        return error switch
        {
            SocketError.Success => sent,
            SocketError.WouldBlock or SocketError.NoBufferSpaceAvailable => 0,
            _ => throw new SocketException((int)error),
        };
    }

    /// <summary>Receives without waiting; -1 if nothing is there, 0 at the end.</summary>
    public int ReceiveNow(Span<byte> destination)
    {
        var received = socket.Receive(destination, SocketFlags.None, out var error);
        return error switch
        {
            SocketError.Success => received,
            SocketError.WouldBlock => -1,
            _ => throw new SocketException((int)error),
        };
    }
}

/// <summary>A channel without encryption.</summary>
internal sealed class PlainChannel(Socket socket) : OutboundChannel(socket)
{
    private byte[] _staged = [];
    private int _start;
    private int _end;

    public override void Stage(byte[] buffer, int count)
    {
        _staged = buffer;
        _start = 0;
        _end = count;
    }

    public override bool TryFlush()
    {
        while (_start < _end)
        {
            var sent = SendNow(_staged.AsSpan(_start, _end - _start));
            if (sent == 0)
            {
                return false;
            }

            _start += sent;
        }

        return true;
    }

    public override int Read(Span<byte> destination) => ReceiveNow(destination);
}
