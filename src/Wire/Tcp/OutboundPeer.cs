using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Akka.Actor;

namespace FtAkka.Wire.Tcp;

/// <summary>
/// The way to one peer: connects when there is something to send, probes the connection, and after a failure keeps the gate shut
/// for a while, longer with each failure in a row. It never retries by itself; the next send after the gate opens does.
/// </summary>
internal sealed class OutboundPeer : IDisposable
{
    private const string Farewell = "the peer said goodbye";
    private readonly TcpWire _wire;
    private readonly Address _address;
    private readonly SendQueue _queue;
    private readonly object _gate = new();
    private readonly Thread _thread;
    private volatile State _state = State.Idle;
    private OutboundChannel? _channel;
    private long _incarnation;
    private long _gateOpensAt;
    private int _failuresInRow;
    private bool _stopping;

    public OutboundPeer(TcpWire wire, Address address)
    {
        _wire = wire;
        _address = address;
        _queue = new SendQueue(wire.Settings.SendQueueBytes, wire.Settings.SendQueueWait);
        _thread = new Thread(Run) { IsBackground = true, Name = $"wire to {address.Host}:{address.Port}" };
        _thread.Start();
    }

    private enum State
    {
        /// <summary>No connection. Sends are refused until the gate opens; the first one after that connects.</summary>
        Idle,

        /// <summary>The thread is connecting; frames queue up.</summary>
        Connecting,

        /// <summary>Connected.</summary>
        Active,
    }

    private WireSettings Settings => _wire.Settings;

    public WireSendResult Send(ReadOnlySpan<byte> envelope)
    {
        if (_state == State.Idle)
        {
            lock (_gate)
            {
                if (_stopping)
                {
                    return WireSendResult.Closed;
                }

                if (_state == State.Idle)
                {
                    if (Stopwatch.GetTimestamp() < _gateOpensAt)
                    {
                        return WireSendResult.Gated;
                    }

                    _state = State.Connecting;
                    Monitor.PulseAll(_gate);
                }
            }
        }

        var result = _queue.Send(envelope, out var broken);
        if (broken is { } connection)
        {
            Fail(connection.Channel, connection.Reason);
        }

        return result;
    }

    /// <summary>The process at this address is another one than the connection was made to.</summary>
    public void PeerAdvanced(long incarnation)
    {
        OutboundChannel? old = null;
        lock (_gate)
        {
            if (_state == State.Active && _incarnation < incarnation)
            {
                old = _channel;
            }
        }

        if (old is not null)
        {
            Fail(old, "the peer was restarted");
        }
    }

    /// <summary>Writes what is queued, says goodbye, waits for the peer to have read it, and ends.</summary>
    public void Stop(TimeSpan flushTimeout)
    {
        var started = Stopwatch.GetTimestamp();
        lock (_gate)
        {
            _stopping = true;
            Monitor.PulseAll(_gate);
            while (_state == State.Connecting && flushTimeout - Stopwatch.GetElapsedTime(started) is { Ticks: > 0 } left)
            {
                Monitor.Wait(_gate, left);
            }
        }

        var channel = Volatile.Read(ref _channel);
        if (channel is not null)
        {
            _queue.SendControl(TcpFrame.KindGoodbye);
            _queue.Close();
            _queue.WaitDrained(Left(started, flushTimeout));
            try
            {
                channel.EndWriting();
                _thread.Join(Left(started, flushTimeout));
            }
            catch (Exception failure) when (SendQueue.IsConnectionFailure(failure))
            {
                // The peer was faster.
            }

            channel.Break();
        }

        _queue.Close();
        _queue.Detach();
        _thread.Join(Settings.ConnectionTimeout);
    }

    /// <inheritdoc/>
    /// <remarks>Called after <see cref="Stop"/>, when no thread uses the queue any more.</remarks>
    public void Dispose() => _queue.Dispose();

    private static TimeSpan Left(long started, TimeSpan timeout)
    {
        var left = timeout - Stopwatch.GetElapsedTime(started);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    private void Run()
    {
        SendQueue.IsReceiveThread = true;
        while (true)
        {
            lock (_gate)
            {
                while (_state == State.Idle && !_stopping)
                {
                    Monitor.Wait(_gate);
                }

                if (_state != State.Connecting)
                {
                    return;
                }
            }

            OutboundChannel? channel = null;
            try
            {
                channel = Connect();
                Serve(channel);
            }
            // Everything below is the network's or the peer's doing and ends as one refused or broken connection.
            catch (Exception failure) when (SendQueue.IsConnectionFailure(failure))
            {
                Fail(channel, failure.Message);
            }

            channel?.Dispose();
        }
    }

    private void Serve(OutboundChannel channel)
    {
        lock (_gate)
        {
            _channel = channel;
            _state = State.Active;
            Monitor.PulseAll(_gate);
        }

        var connectedAt = Stopwatch.GetTimestamp();
        var writer = new Thread(() => _queue.RunWriter(channel, Fail)) { IsBackground = true, Name = _thread.Name + " (writer)" };
        _queue.Attach(channel);
        writer.Start();
        var reason = ReadAnswers(channel);
        if (Stopwatch.GetElapsedTime(connectedAt) >= Settings.RetryGateMaximum)
        {
            _failuresInRow = 0;
        }

        Fail(channel, reason);
        writer.Join();
    }

    private OutboundChannel Connect()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp)
        {
            NoDelay = true,
            SendBufferSize = Settings.SendBufferBytes,
            ReceiveBufferSize = Settings.ReceiveBufferBytes,
        };
        OutboundChannel? channel = null;
        try
        {
            socket.Blocking = false;
            var pending = socket.ConnectAsync(new DnsEndPoint(_address.Host, _address.Port!.Value));
            if (!pending.Wait(Settings.ConnectionTimeout))
            {
                throw new IOException("no answer within connection-timeout");
            }

            channel = CreateChannel(socket);
            var welcome = Handshake(channel);
            lock (_gate)
            {
                if (_incarnation != 0 && _incarnation != welcome.Incarnation && _queue.WaitingBytes > 0)
                {
                    _queue.Detach();   // queued for the process that was there before
                }

                _incarnation = welcome.Incarnation;
            }

            _wire.Associated(new WirePeer(_address, welcome.Incarnation, welcome.NodeName), inbound: false);
            return channel;
        }
        catch (AggregateException failure) when (failure.InnerException is { } inner && SendQueue.IsConnectionFailure(inner))
        {
            socket.Dispose();
            throw new IOException(inner.Message, inner);
        }
        catch
        {
            channel?.Dispose();
            socket.Dispose();
            throw;
        }
    }

    private OutboundChannel CreateChannel(Socket socket)
    {
        if (_wire.Tls is null)
        {
            return new PlainChannel(socket);
        }

        var channel = new TlsChannel(socket, Settings.ConnectionTimeout);
        _wire.Tls.AuthenticateAsClient(channel.Tls, _address.Host);
        channel.HandshakeDone();
        return channel;
    }

    private TcpFrame.Welcome Handshake(OutboundChannel channel)
    {
        var hello = TcpFrame.WriteHello(_wire.Hello(_address));
        channel.Stage(hello, hello.Length);
        while (!channel.TryFlush())
        {
            channel.WaitWritable(Settings.ConnectionTimeout);
        }

        var buffer = new byte[TcpFrame.HeaderBytes + TcpFrame.HandshakeBytesMax];
        var count = 0;
        var length = 0;
        while (length == 0 || count < TcpFrame.HeaderBytes + length)
        {
            if (!channel.WaitReadable(Settings.ConnectionTimeout))
            {
                throw new IOException("no answer to the handshake within connection-timeout");
            }

            // Nothing can follow the answer, since nothing was asked after it; and a short read would leave the rest of a TLS record
            // inside the TLS stream, where waiting on the socket does not see it.
            var read = channel.Read(buffer.AsSpan(count));
            count += read switch
            {
                0 => throw new IOException("closed by the peer during the handshake"),
                < 0 => 0,
                _ => read,
            };
            if (length == 0 && count >= TcpFrame.HeaderBytes)
            {
                length = TcpFrame.ReadLength(buffer, TcpFrame.HandshakeBytesMax);
                if (length == 0)
                {
                    throw new IOException(nameof(WireRefusal.BadFrameLength));
                }
            }
        }

        return Judge(channel, buffer.AsSpan(TcpFrame.HeaderBytes, length));
    }

    private TcpFrame.Welcome Judge(OutboundChannel channel, ReadOnlySpan<byte> frame)
    {
        var refusal = TcpFrame.ReadWelcome(frame, out var welcome);
        if (refusal != WireRefusal.None)
        {
            throw new IOException($"refused the peer's answer: {refusal}");
        }

        if (welcome.Verdict == WireRefusal.StaleIncarnation)
        {
            _wire.Superseded(_address, welcome.NewestKnown);
        }

        if (welcome.Verdict != WireRefusal.None)
        {
            throw new IOException($"the peer refused this node: {welcome.Verdict}");
        }

        if (channel is TlsChannel tls && !_wire.Tls!.Certifies(tls.Tls, welcome.NodeName, _address.Host))
        {
            throw new IOException($"{WireRefusal.NameNotCertified}: '{welcome.NodeName}' at '{_address.Host}'");
        }

        if (!_wire.TryAdvance(_address, welcome.Incarnation))
        {
            throw new IOException($"{WireRefusal.StaleIncarnation}: a newer process is known at that address");
        }

        return welcome;
    }

    /// <summary>
    /// Reads answers to probes until the connection ends, and says why it did. A probe is always under way while it reads: under TLS
    /// the socket may be readable without a byte for us (session tickets), and only an answer is sure to end the read.
    /// </summary>
    private string ReadAnswers(OutboundChannel channel)
    {
        var buffer = new byte[256];
        var filled = 0;
        while (true)
        {
            channel.WaitReadable(Settings.KeepAliveInterval);
            if (_queue.SendControl(TcpFrame.KindPing) is { } broken)
            {
                return broken;
            }

            var answered = false;
            while (!answered)
            {
                if (!channel.WaitReadable(Settings.IdleTimeout))
                {
                    return "no answer to a probe within idle-timeout";
                }

                var read = channel.Read(buffer.AsSpan(filled));
                if (read == 0)
                {
                    return "closed by the peer";
                }

                filled += Math.Max(read, 0);
                var start = 0;
                while (filled - start > TcpFrame.HeaderBytes)
                {
                    if (TcpFrame.ReadLength(buffer.AsSpan(start), 1) != 1)
                    {
                        return $"refused the peer's answer: {WireRefusal.BadFrameLength}";
                    }

                    var kind = buffer[start + TcpFrame.HeaderBytes];
                    if (kind != TcpFrame.KindPong)
                    {
                        return kind == TcpFrame.KindGoodbye ? Farewell : $"refused the peer's answer: {WireRefusal.UnknownKind}";
                    }

                    answered = true;
                    start += TcpFrame.HeaderBytes + 1;
                }

                buffer.AsSpan(start, filled - start).CopyTo(buffer);
                filled -= start;
            }
        }
    }

    /// <summary>Ends a connection, or an attempt to make one, and shuts the gate. Only the first report of a failure counts.</summary>
    private void Fail(OutboundChannel? channel, string reason)
    {
        var farewell = reason == Farewell;
        int dropped;
        int failures;
        bool stopping;
        lock (_gate)
        {
            if (_channel != channel || _state == State.Idle)
            {
                return;
            }

            stopping = _stopping;
            failures = ++_failuresInRow;
            _channel = null;
            dropped = _queue.Detach();
            var gate = Math.Min(Settings.RetryGate.TotalSeconds * Math.Pow(2, Math.Min(failures - 1, 30)), Settings.RetryGateMaximum.TotalSeconds);
            _gateOpensAt = Stopwatch.GetTimestamp() + (long)(gate * Stopwatch.Frequency);
            _state = State.Idle;
            Monitor.PulseAll(_gate);
        }

        channel?.Break();
        if (!stopping)
        {
            _wire.Disassociated(_address, inbound: false, reason, dropped, quiet: failures > 1 || farewell);
        }
    }
}
