using System.Net.Security;
using System.Net.Sockets;

namespace FtAkka.Wire.Tcp;

/// <summary>A channel under TLS: records are made in memory first and then written like plain bytes.</summary>
internal sealed class TlsChannel : OutboundChannel
{
    private readonly RecordStream _records;

    public TlsChannel(Socket socket, TimeSpan readTimeout)
        : base(socket)
    {
        _records = new RecordStream(this, readTimeout);
        Tls = new SslStream(_records, leaveInnerStreamOpen: false);
    }

    public SslStream Tls { get; }

    /// <summary>Called once, after the handshake: from here on writes are buffered until they are flushed.</summary>
    public void HandshakeDone() => _records.Buffering = true;

    public override void Stage(byte[] buffer, int count) => Tls.Write(buffer, 0, count);

    public override bool TryFlush() => _records.TryFlush();

    public override int Read(Span<byte> destination) => Tls.Read(destination);

    public override void Dispose()
    {
        base.Dispose();
        Tls.Dispose();
    }

    /// <summary>What SslStream reads records from and writes them to.</summary>
    private sealed class RecordStream(TlsChannel channel, TimeSpan timeout) : Stream
    {
        private const int InitialBytes = 32 * 1024;
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

        public override int Read(Span<byte> buffer)
        {
            while (true)
            {
                var received = channel.ReceiveNow(buffer);
                if (received >= 0)
                {
                    return received;
                }

                if (!channel.WaitReadable(timeout))
                {
                    throw new IOException("The peer sent nothing, or only part of a TLS record, in time.");
                }
            }
        }

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

            while (!Buffering && !TryFlush())
            {
                if (!channel.WaitWritable(timeout))
                {
                    throw new IOException("The peer took no handshake bytes in time.");
                }
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
