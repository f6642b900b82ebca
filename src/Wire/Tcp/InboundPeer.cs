using System.Net.Security;
using System.Net.Sockets;

namespace FtAkka.Wire.Tcp;

/// <summary>One accepted connection: a thread of its own reads frames with blocking calls and delivers them, one hop from the kernel.</summary>
internal sealed class InboundPeer : IDisposable
{
    private const int ReadBufferBytes = 64 * 1024;
    private readonly TcpWire _wire;
    private readonly Socket _socket;
    private readonly Thread _thread;
    private readonly byte[] _pong = TcpFrame.Control(TcpFrame.KindPong);
    private readonly Lock _writeGate = new();
    private Stream? _stream;
    private volatile bool _closed;
    private byte[] _buffer = new byte[ReadBufferBytes];
    private int _start;
    private int _end;

    public InboundPeer(TcpWire wire, Socket socket)
    {
        _wire = wire;
        _socket = socket;
        Remote = socket.RemoteEndPoint?.ToString() ?? "an unknown end point";
        _thread = new Thread(Run) { IsBackground = true, Name = $"wire from {Remote}" };
    }

    /// <summary>The far end of the socket, for the log.</summary>
    public string Remote { get; }

    /// <summary>Who it is, after the handshake.</summary>
    public WirePeer? Peer { get; private set; }

    public void Start() => _thread.Start();

    /// <summary>Ends the connection; nothing is delivered from it after <see cref="Join"/>.</summary>
    public void Close()
    {
        _closed = true;
        try
        {
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            // Closed already.
        }
    }

    /// <summary>Tells the peer that this end closes in good order.</summary>
    public void SayGoodbye()
    {
        if (Peer is null)
        {
            Close();   // still in the handshake
            return;
        }

        _closed = true;
        try
        {
            Write(TcpFrame.Control(TcpFrame.KindGoodbye));
        }
        catch (Exception failure) when (SendQueue.IsConnectionFailure(failure))
        {
            // The peer was faster.
        }
    }

    public void Join(TimeSpan timeout)
    {
        if (_thread != Thread.CurrentThread)
        {
            _thread.Join(timeout);
        }
    }

    public void Dispose()
    {
        _stream?.Dispose();
        _socket.Dispose();
    }

    private void Run()
    {
        SendQueue.IsReceiveThread = true;
        string reason;
        try
        {
            reason = Serve();
        }
        // Everything below is the network's or the peer's doing and ends as one closed connection.
        catch (Exception failure) when (SendQueue.IsConnectionFailure(failure))
        {
            reason = failure.Message;
        }

        Dispose();
        _wire.InboundEnded(this, reason, quiet: _closed);
    }

    private string Serve()
    {
        var settings = _wire.Settings;
        _socket.NoDelay = true;
        _socket.SendTimeout = Milliseconds(settings.ConnectionTimeout);
        _socket.ReceiveTimeout = Milliseconds(settings.ConnectionTimeout);
        IWireSession session;
        // The time limits above hold for single calls; this one holds for the whole handshake, drip-fed or not.
        using (new Timer(_ => Close(), null, settings.ConnectionTimeout, Timeout.InfiniteTimeSpan))
        {
            _stream = new NetworkStream(_socket, ownsSocket: false);
            if (_wire.Tls is { } tls)
            {
                var secure = new SslStream(_stream, leaveInnerStreamOpen: false);
                _stream = secure;
                tls.AuthenticateAsServer(secure);
            }

            var refusal = Greet(out var opened);
            if (refusal != WireRefusal.None)
            {
                return $"refused: {refusal}";
            }

            session = opened!;
        }

        if (_closed)
        {
            return "the handshake took longer than connection-timeout";
        }

        _socket.ReceiveTimeout = Milliseconds(settings.IdleTimeout);
        return ReceiveAll(session);
    }

    private void Write(byte[] frame)
    {
        lock (_writeGate)
        {
            _stream!.Write(frame);
        }
    }

    private WireRefusal Greet(out IWireSession? session)
    {
        session = null;
        int length;
        while (_end - _start < TcpFrame.HeaderBytes)
        {
            if (!Fill(TcpFrame.HeaderBytes))
            {
                return WireRefusal.Truncated;
            }
        }

        length = TcpFrame.ReadLength(_buffer.AsSpan(_start), TcpFrame.HandshakeBytesMax);
        if (length == 0)
        {
            return WireRefusal.NotThisProtocol;
        }

        while (_end - _start < TcpFrame.HeaderBytes + length)
        {
            if (!Fill(TcpFrame.HeaderBytes + length))
            {
                return WireRefusal.Truncated;
            }
        }

        var refusal = TcpFrame.ReadHello(_buffer.AsSpan(_start + TcpFrame.HeaderBytes, length), out var hello);
        _start += TcpFrame.HeaderBytes + length;
        if (refusal != WireRefusal.None)
        {
            return refusal;   // no answer: whoever this is does not speak the protocol
        }

        var verdict = _wire.Admit(this, hello, _stream as SslStream, out var peer, out var newest);
        if (verdict == WireRefusal.None)
        {
            Peer = peer;
            session = _wire.Receiver.Open(peer!);
        }

        var answer = TcpFrame.WriteWelcome(new TcpFrame.Welcome(verdict, _wire.Settings.Incarnation, _wire.Settings.NodeName, newest));
        Write(answer);
        return verdict;
    }

    private string ReceiveAll(IWireSession session)
    {
        var max = _wire.Settings.MaximumFrameBytes;
        while (true)
        {
            while (_end - _start >= TcpFrame.HeaderBytes)
            {
                var length = TcpFrame.ReadLength(_buffer.AsSpan(_start), max);
                if (length == 0)
                {
                    return $"refused: {WireRefusal.BadFrameLength}";
                }

                var whole = TcpFrame.HeaderBytes + length;
                if (_end - _start < whole)
                {
                    MakeRoom(whole);
                    break;
                }

                var frame = _buffer.AsSpan(_start + TcpFrame.HeaderBytes, length);
                _start += whole;
                if (_closed)
                {
                    return "closed";
                }

                if (frame[0] == TcpFrame.KindGoodbye)
                {
                    _closed = true;
                    return "the peer said goodbye";
                }

                var refusal = Take(frame, session);
                if (refusal != WireRefusal.None)
                {
                    return $"refused: {refusal}";
                }
            }

            if (!Fill(TcpFrame.HeaderBytes))
            {
                return "closed by the peer";
            }
        }
    }

    private WireRefusal Take(ReadOnlySpan<byte> frame, IWireSession session)
    {
        if (frame[0] < TcpFrame.FirstControlKind)
        {
            return session.Deliver(frame);
        }

        if (frame[0] != TcpFrame.KindPing || frame.Length != 1)
        {
            return WireRefusal.UnknownKind;
        }

        Write(_pong);
        return WireRefusal.None;
    }

    /// <summary>Reads more, with room for at least so many bytes from the start of the frame; false at the end of the stream.</summary>
    private bool Fill(int wanted)
    {
        MakeRoom(wanted);
        var read = _stream!.Read(_buffer, _end, _buffer.Length - _end);
        _end += read;
        return read > 0;
    }

    private void MakeRoom(int wanted)
    {
        if (_start == _end)
        {
            _start = _end = 0;
            if (_buffer.Length > ReadBufferBytes)
            {
                _buffer = new byte[ReadBufferBytes];
            }
        }

        if (_buffer.Length - _start >= wanted && _end < _buffer.Length)
        {
            return;
        }

        var target = _buffer.Length >= wanted && _start > 0 ? _buffer : new byte[Math.Max(wanted, _buffer.Length)];
        _buffer.AsSpan(_start, _end - _start).CopyTo(target);
        _buffer = target;
        _end -= _start;
        _start = 0;
    }

    private static int Milliseconds(TimeSpan time) => (int)Math.Min(time.TotalMilliseconds, int.MaxValue);
}
