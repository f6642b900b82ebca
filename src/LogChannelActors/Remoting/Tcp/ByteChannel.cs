using System.Net.Security;
using System.Net.Sockets;

namespace FtAkka.LogChannelActors.Remoting.Tcp;

/// <summary>Where frames are read from.</summary>
internal interface IByteSource
{
    /// <summary>Waits for bytes; 0 at the end of the stream.</summary>
    int Read(byte[] buffer, int offset, int count);
}

/// <summary>
/// Both directions of one connection. Reading waits, on one thread; writing never does: whoever writes stages bytes and flushes what the
/// kernel takes. One thread at a time stages and flushes.
/// </summary>
internal abstract class ByteChannel(Socket socket) : IByteSource, IDisposable
{
    /// <summary>Told how many times in a row nothing was heard for the read time-out; throws when that is too often.</summary>
    public Action<int>? Silence { get; set; }

    /// <inheritdoc cref="SocketCalls.Retransmissions"/>
    public int Retransmissions => SocketCalls.Retransmissions(socket);

    /// <summary>Takes bytes to be written. What was staged before must have been flushed; the array must stay as it is until then.</summary>
    public abstract void Stage(byte[] buffer, int count);

    /// <summary>Writes as much as the kernel takes at once; true when nothing is left.</summary>
    /// <exception cref="IOException">The connection is broken.</exception>
    public abstract bool TryFlush();

    /// <inheritdoc/>
    public abstract int Read(byte[] buffer, int offset, int count);

    public bool WaitWritable(TimeSpan timeout) => socket.Poll(timeout, SelectMode.SelectWrite);

    /// <summary>How long a read waits before it asks <see cref="Silence"/>.</summary>
    public void SetReadTimeout(TimeSpan timeout) => socket.ReceiveTimeout = Math.Max(1, (int)Math.Min(timeout.TotalMilliseconds, int.MaxValue));

    /// <summary>Tells the peer that nothing more will come; it can still send.</summary>
    public void EndWriting() => Shut(SocketShutdown.Send);

    /// <summary>Breaks the connection under whoever waits on it. The reader then sees the end of the stream.</summary>
    public void Break() => Shut(SocketShutdown.Both);

    public virtual void Dispose() => socket.Dispose();

    protected int SendNow(ReadOnlySpan<byte> bytes) => SocketCalls.SendNow(socket, bytes);

    protected int ReceiveWaiting(Span<byte> destination)
    {
        for (var silences = 1; ; silences++)
        {
            var received = socket.Receive(destination, SocketFlags.None, out var error);
            switch (error)
            {
                case SocketError.Success:
                    return received;
                case SocketError.TimedOut or SocketError.WouldBlock or SocketError.Interrupted:
                    Silence?.Invoke(silences);
                    continue;
                default:
                    throw new SocketException((int)error);
            }
        }
    }

    private void Shut(SocketShutdown how)
    {
        try
        {
            socket.Shutdown(how);
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            // Broken already.
        }
    }
}

/// <summary>A channel without encryption.</summary>
internal sealed class PlainChannel(Socket socket) : ByteChannel(socket)
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

    public override int Read(byte[] buffer, int offset, int count) => ReceiveWaiting(buffer.AsSpan(offset, count));
}

/// <summary>A channel under TLS: records are made in memory first and then written like plain bytes.</summary>
internal sealed class TlsChannel : ByteChannel
{
    private readonly RecordStream _records;

    public TlsChannel(Socket socket)
        : base(socket)
    {
        _records = new RecordStream(this);
        Tls = new SslStream(_records, leaveInnerStreamOpen: false);
    }

    public SslStream Tls { get; }

    /// <summary>Called once, after the handshake: from here on writes are kept until they are flushed.</summary>
    public void HandshakeDone() => _records.Buffering = true;

    public override void Stage(byte[] buffer, int count) => Tls.Write(buffer, 0, count);

    public override bool TryFlush() => _records.TryFlush();

    public override int Read(byte[] buffer, int offset, int count) => Tls.Read(buffer, offset, count);

    public override void Dispose()
    {
        base.Dispose();
        Tls.Dispose();
    }

    /// <summary>What SslStream reads records from and writes them to.</summary>
    private sealed class RecordStream(TlsChannel channel) : Stream
    {
        private const int InitialBytes = 20 * 1024;
        private static readonly TimeSpan HandshakePoll = TimeSpan.FromMilliseconds(100);
        private readonly Lock _gate = new();
        private byte[] _pending = new byte[InitialBytes];
        private int _start;
        private int _end;

        public bool Buffering { get; set; }

        public override bool CanRead => true;

        public override bool CanWrite => true;

        public override bool CanSeek => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public bool TryFlush()
        {
            // The reading side of TLS may write as well (key update, alert): hence the lock.
            lock (_gate)
            {
                while (_start < _end)
                {
                    var sent = channel.SendNow(_pending.AsSpan(_start, _end - _start));
                    if (sent == 0)
                    {
                        return false;
                    }

                    _start += sent;
                }

                _start = _end = 0;
                return true;
            }
        }

        public override int Read(Span<byte> buffer) => channel.ReceiveWaiting(buffer);

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            lock (_gate)
            {
                if (_pending.Length - _end < buffer.Length)
                {
                    Array.Resize(ref _pending, Math.Max(_pending.Length * 2, _end + buffer.Length));
                }

                buffer.CopyTo(_pending.AsSpan(_end));
                _end += buffer.Length;
            }

            // Ended by the time limit of the handshake, which breaks the connection: then the kernel refuses.
            while (!Buffering && !TryFlush())
            {
                channel.WaitWritable(HandshakePoll);
            }
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush()
        {
            // Whoever owns the write flushes.
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
