using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;

namespace FtAkka.Wire.Tcp;

/// <summary>
/// Frames on their way to one peer: one buffer being filled, one being written. Whoever finds the connection idle writes on its own
/// thread, without waiting; frames that come meanwhile gather in the other buffer and leave in one write. What the kernel does
/// not take at once is left to the writer thread. Bounded: a sender waits for room for a while and is then refused.
/// </summary>
internal sealed class SendQueue(int capacityBytes, TimeSpan waitForRoom) : IDisposable
{
    private const int InitialBytes = 16 * 1024;
    private const int LargestKeptBytes = 1024 * 1024;

    /// <summary>Writes that a sender does for others after its own before it hands over to the writer thread.</summary>
    private const int InlineRounds = 2;

    /// <summary>Sends in a row, each within <see cref="QuickSend"/> of the end of the write before, that make a burst.</summary>
    private const int BurstLength = 4;

    private static readonly TimeSpan QuickSend = TimeSpan.FromMicroseconds(5);

    /// <summary>How long the writer waits for the kernel before it looks whether the connection still stands.</summary>
    private static readonly TimeSpan WritablePoll = TimeSpan.FromMilliseconds(100);

    private readonly object _gate = new();

    /// <summary>Wakes the writer. Not the monitor: every send would wake a writer that waits there for nothing.</summary>
    private readonly SemaphoreSlim _wakeWriter = new(0);
    private byte[] _fill = new byte[InitialBytes];
    private int _fillCount;
    private byte[] _drain = new byte[InitialBytes];
    private OutboundChannel? _channel;
    private bool _writing;
    private bool _handedOver;
    private int _waiters;
    private long _idleSince;
    private int _quickSends;
    private bool _closed;

    /// <summary>True on threads that receive: they must never wait for room, since the peer's may wait for them.</summary>
    [field: ThreadStatic]
    public static bool IsReceiveThread { get; set; }

    /// <summary>Bytes that wait, not counting those being written.</summary>
    public int WaitingBytes
    {
        get
        {
            lock (_gate)
            {
                return _fillCount;
            }
        }
    }

    /// <summary>Queues a frame, and writes it if nobody else is writing.</summary>
    /// <param name="envelope">The frame without its length.</param>
    /// <param name="broken">The channel that turned out to be broken, with the reason.</param>
    public WireSendResult Send(ReadOnlySpan<byte> envelope, out (OutboundChannel Channel, string Reason)? broken) =>
        Send(envelope, capacityBytes, out broken);

    /// <summary>Queues a frame of one byte, whether there is room or not: a full queue must not look like a dead peer.</summary>
    /// <returns>Why the connection is broken, or null.</returns>
    public string? SendControl(byte kind)
    {
        Send([kind], int.MaxValue, out var broken);
        return broken?.Reason;
    }

    private WireSendResult Send(
        ReadOnlySpan<byte> envelope, int capacity, out (OutboundChannel Channel, string Reason)? broken)
    {
        broken = null;
        var need = TcpFrame.HeaderBytes + envelope.Length;
        OutboundChannel channel;
        int count;
        lock (_gate)
        {
            if (_fillCount + need > capacity && !WaitForRoom(need))
            {
                return _closed ? WireSendResult.Closed : WireSendResult.Congested;
            }

            if (_closed)
            {
                return WireSendResult.Closed;
            }

            Append(envelope, need);
            if (_channel is null || _writing)
            {
                return WireSendResult.Accepted;
            }

            _writing = true;
            if (IsBurst())
            {
                HandOver();
                return WireSendResult.Accepted;
            }

            channel = _channel;
            count = Swap();
        }

        broken = Write(channel, count, InlineRounds);
        return WireSendResult.Accepted;
    }

    /// <summary>Takes a fresh connection into use. Frames that waited for it are written by the writer thread.</summary>
    public void Attach(OutboundChannel channel)
    {
        lock (_gate)
        {
            _channel = channel;
            if (_fillCount > 0)
            {
                _writing = true;
                HandOver();
            }
        }
    }

    /// <summary>Drops the connection and everything queued. Returns how many bytes were waiting.</summary>
    public int Detach()
    {
        lock (_gate)
        {
            var dropped = _fillCount;
            _channel = null;
            _writing = false;
            _handedOver = false;
            _fillCount = 0;
            // A writer of the old connection may still hold the drain buffer: leave it to it.
            _drain = new byte[InitialBytes];
            _wakeWriter.Release();
            Monitor.PulseAll(_gate);
            return dropped;
        }
    }

    /// <summary>Refuses new frames; what is queued is still written.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _closed = true;
            Monitor.PulseAll(_gate);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _wakeWriter.Dispose();

    /// <summary>Waits until everything is written, the connection is gone, or time is up.</summary>
    public void WaitDrained(TimeSpan timeout)
    {
        var started = Stopwatch.GetTimestamp();
        lock (_gate)
        {
            while (_channel is not null && (_writing || _fillCount > 0))
            {
                var left = timeout - Stopwatch.GetElapsedTime(started);
                if (left <= TimeSpan.Zero || !Wait(left))
                {
                    return;
                }
            }
        }
    }

    /// <summary>The writer thread's body for one connection: ends when the connection is detached.</summary>
    public void RunWriter(OutboundChannel channel, Action<OutboundChannel, string> failed)
    {
        while (true)
        {
            _wakeWriter.Wait();
            lock (_gate)
            {
                if (_channel != channel)
                {
                    return;
                }

                if (!_handedOver)
                {
                    continue;   // meant for the writer of an earlier connection
                }

                _handedOver = false;
            }

            if (WriteAll(channel) is { } reason)
            {
                failed(channel, reason);
                return;
            }
        }
    }

    private string? WriteAll(OutboundChannel channel)
    {
        try
        {
            while (true)
            {
                while (!channel.TryFlush())
                {
                    channel.WaitWritable(WritablePoll);
                    lock (_gate)
                    {
                        if (_channel != channel)
                        {
                            return null;
                        }
                    }
                }

                if (!TryTakeNext(channel, out var count))
                {
                    return null;
                }

                channel.Stage(_drain, count);
            }
        }
        catch (Exception failure) when (IsConnectionFailure(failure))
        {
            return failure.Message;
        }
    }

    private (OutboundChannel Channel, string Reason)? Write(OutboundChannel channel, int count, int rounds)
    {
        try
        {
            channel.Stage(_drain, count);
            while (channel.TryFlush())
            {
                if (!TryTakeNext(channel, out count))
                {
                    return null;
                }

                channel.Stage(_drain, count);
                if (--rounds == 0)
                {
                    break;
                }
            }

            lock (_gate)
            {
                if (_channel == channel)
                {
                    HandOver();
                }
            }

            return null;
        }
        catch (Exception failure) when (IsConnectionFailure(failure))
        {
            return (channel, failure.Message);
        }
    }

    internal static bool IsConnectionFailure(Exception failure) => failure
        is SocketException or IOException or ObjectDisposedException or InvalidOperationException
        or System.Security.Authentication.AuthenticationException or System.ComponentModel.Win32Exception;

    private bool TryTakeNext(OutboundChannel channel, out int count)
    {
        lock (_gate)
        {
            count = 0;
            if (_channel != channel)
            {
                return false;   // detached meanwhile: the state belongs to the next connection
            }

            if (_fillCount == 0)
            {
                _writing = false;
                _idleSince = Stopwatch.GetTimestamp();
                PulseWaiters();
                return false;
            }

            count = Swap();
            return true;
        }
    }

    private void HandOver()
    {
        _handedOver = true;
        _wakeWriter.Release();
    }

    private bool Wait(TimeSpan timeout)
    {
        _waiters++;
        var inTime = Monitor.Wait(_gate, timeout);
        _waiters--;
        return inTime;
    }

    private void PulseWaiters()
    {
        if (_waiters > 0)
        {
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>
    /// True if sends follow each other so fast that gathering them pays: then the writer thread sends them in large writes while
    /// the senders go on. A ping-pong never gets here, since its sends are a round trip apart.
    /// </summary>
    private bool IsBurst()
    {
        _quickSends = Stopwatch.GetElapsedTime(_idleSince) < QuickSend ? _quickSends + 1 : 0;
        return _quickSends >= BurstLength;
    }

    private int Swap()
    {
        if (_drain.Length > LargestKeptBytes)
        {
            _drain = new byte[InitialBytes];
        }

        (_fill, _drain) = (_drain, _fill);
        var count = _fillCount;
        _fillCount = 0;
        PulseWaiters();
        return count;
    }

    private bool WaitForRoom(int need)
    {
        var started = Stopwatch.GetTimestamp();
        while (_fillCount + need > capacityBytes)
        {
            var left = waitForRoom - Stopwatch.GetElapsedTime(started);
            if (_closed || IsReceiveThread || _channel is null || left <= TimeSpan.Zero || !Wait(left))
            {
                return false;
            }
        }

        return true;
    }

    private void Append(ReadOnlySpan<byte> envelope, int need)
    {
        if (_fill.Length - _fillCount < need)
        {
            Array.Resize(ref _fill, Math.Max(_fill.Length * 2, _fillCount + need));
        }

        var span = _fill.AsSpan(_fillCount);
        BinaryPrimitives.WriteInt32LittleEndian(span, envelope.Length);
        envelope.CopyTo(span[TcpFrame.HeaderBytes..]);
        _fillCount += need;
    }
}
