using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;
using Google.Protobuf;

namespace FtAkka.LogChannelActors.Remoting.Tcp;

/// <summary>Bytes that may wait to be written in all of a transport's queues together.</summary>
internal sealed class SendBudget(long capacityBytes)
{
    private long _taken;

    public bool TryTake(long bytes)
    {
        if (Interlocked.Add(ref _taken, bytes) <= capacityBytes)
        {
            return true;
        }

        Interlocked.Add(ref _taken, -bytes);
        return false;
    }

    public void Give(long bytes) => Interlocked.Add(ref _taken, -bytes);
}

/// <summary>
/// Frames on their way out of one connection. Whoever finds the connection idle writes on its own thread, without waiting; frames that
/// come meanwhile gather and leave together. What the kernel does not take at once, and bursts, are left to the writer thread.
/// </summary>
#pragma warning disable CA1001 // The semaphore has no handle unless one is asked for; a writer may still wait on it when the queue ends.
internal sealed class SendQueue(int capacityBytes, SendBudget budget)
#pragma warning restore CA1001
{
    private const int StageBytes = 64 * 1024;

    /// <summary>Bytes between the contents of two frames: every kind of signal, and a length.</summary>
    private const int BetweenFramesMax = 32 * FrameFormat.HeaderBytes;

    /// <summary>Writes that a sender does for others after its own before it hands over to the writer thread.</summary>
    private const int InlineRounds = 2;

    /// <summary>Sends in a row, each within <see cref="QuickSend"/> of the end of the write before, that make a burst.</summary>
    private const int BurstLength = 4;

    private static readonly TimeSpan QuickSend = TimeSpan.FromMicroseconds(12);

    /// <summary>How long the writer waits for the kernel before it looks whether the connection still stands.</summary>
    private static readonly TimeSpan WritablePoll = TimeSpan.FromMilliseconds(100);

    private readonly object _gate = new();
    private readonly Queue<ByteString> _waiting = new();

    /// <summary>Wakes the writer. Not the monitor: every send would wake a writer that waits there for nothing.</summary>
    private readonly SemaphoreSlim _wakeWriter = new(0);
    private byte[] _stage = [];
    private long _waitingBytes;
    private ByteString? _current;
    private uint _signals;
    private int _currentDone;
    private ByteChannel? _channel;
    private bool _writing;
    private bool _handedOver;
    private bool _closing;
    private bool _ended;
    private long _idleSince;
    private int _quickSends;

    /// <summary>Told once when the connection turns out to be broken while writing.</summary>
    public Action<string>? Broken { get; set; }

    /// <summary>Queues a unit, and writes it if nobody else is writing.</summary>
    /// <returns>False if nothing was taken: the queue is full, or the connection ends.</returns>
    public bool Write(ByteString unit)
    {
        var bytes = FrameFormat.HeaderBytes + unit.Length;
        ByteChannel channel;
        lock (_gate)
        {
            // A frame larger than the whole queue passes when it is alone.
            if (_closing || (_waitingBytes > 0 && _waitingBytes + bytes > capacityBytes) || !budget.TryTake(bytes))
            {
                return false;
            }

            _waiting.Enqueue(unit);
            _waitingBytes += bytes;
            if (!TryBecomeWriter(out channel))
            {
                return true;
            }

            if (IsBurst())
            {
                HandOver();
                return true;
            }
        }

        WriteInline(channel);
        return true;
    }

    /// <summary>
    /// Sends one of the connection's own signals before what waits, whether there is room or not: a full queue must not look like a dead
    /// peer. One that waits already is not queued again, so that nobody can make them pile up.
    /// </summary>
    public void Signal(FrameKind kind)
    {
        ByteChannel channel;
        lock (_gate)
        {
            if (_closing)
            {
                return;
            }

            _signals |= 1u << (int)kind;
            if (!TryBecomeWriter(out channel))
            {
                return;
            }
        }

        WriteInline(channel);
    }

    /// <summary>Takes nothing more; what is queued is still written, and then the peer is told that this side has ended.</summary>
    public void Close()
    {
        ByteChannel? idle = null;
        lock (_gate)
        {
            if (_closing)
            {
                return;
            }

            _closing = true;
            if (!_writing && _waiting.Count == 0)
            {
                idle = _channel;
            }
        }

        idle?.EndWriting();
    }

    /// <summary>Takes the connection into use. Frames that waited for it are written by the writer thread.</summary>
    public void Attach(ByteChannel channel, string name)
    {
        lock (_gate)
        {
            if (_ended)
            {
                return;
            }

            _stage = new byte[StageBytes];
            _channel = channel;
            new Thread(() => RunWriter(channel)) { IsBackground = true, Name = name }.Start();
            if (_waiting.Count > 0 || _signals != 0)
            {
                _writing = true;
                HandOver();
            }
        }
    }

    /// <summary>The connection is gone: drops what waits and ends the writer.</summary>
    public void End()
    {
        lock (_gate)
        {
            if (_ended)
            {
                return;
            }

            _ended = _closing = true;
            budget.Give(_waitingBytes);
            _waitingBytes = 0;
            _waiting.Clear();
            _wakeWriter.Release();
        }
    }

    /// <summary>True if the connection was idle and the caller has to write now.</summary>
    private bool TryBecomeWriter(out ByteChannel channel)
    {
        channel = _channel!;
        if (_channel is null || _writing)
        {
            return false;
        }

        return _writing = true;
    }

    private void WriteInline(ByteChannel channel)
    {
        try
        {
            for (var round = 0; round < InlineRounds; round++)
            {
                if (!TryStage(channel))
                {
                    return;
                }

                if (!channel.TryFlush())
                {
                    break;
                }
            }

            lock (_gate)
            {
                HandOver();
            }
        }
#pragma warning disable CA1031 // See ConnectionFailure.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            Broken?.Invoke(ConnectionFailure.Describe(failure));
        }
    }

    private void RunWriter(ByteChannel channel)
    {
        while (true)
        {
            _wakeWriter.Wait();
            lock (_gate)
            {
                if (_ended)
                {
                    return;
                }

                if (!_handedOver)
                {
                    continue;
                }

                _handedOver = false;
            }

            try
            {
                WriteAll(channel);
            }
#pragma warning disable CA1031 // See ConnectionFailure.
            catch (Exception failure)
#pragma warning restore CA1031
            {
                Broken?.Invoke(ConnectionFailure.Describe(failure));
                return;
            }
        }
    }

    private void WriteAll(ByteChannel channel)
    {
        do
        {
            while (!channel.TryFlush())
            {
                channel.WaitWritable(WritablePoll);
                lock (_gate)
                {
                    if (_ended)
                    {
                        return;
                    }
                }
            }
        }
        while (TryStage(channel));
    }

    /// <summary>Stages what waits, as much as the stage holds. With nothing left the connection is idle again, or its sending side ends.</summary>
    private bool TryStage(ByteChannel channel)
    {
        var count = 0;
        var ends = false;
        lock (_gate)
        {
            while (count <= StageBytes - BetweenFramesMax && TryTakeCurrent(ref count))
            {
                var bytes = _current!.Span[_currentDone..];
                var part = Math.Min(bytes.Length, StageBytes - count);
                bytes[..part].CopyTo(_stage.AsSpan(count));
                count += part;
                _currentDone += part;
                if (part == bytes.Length)
                {
                    Settle(FrameFormat.HeaderBytes + _current.Length);
                    _current = null;
                }
            }

            if (count == 0)
            {
                _writing = false;
                _idleSince = Stopwatch.GetTimestamp();
                ends = _closing;
            }
        }

        if (count > 0)
        {
            channel.Stage(_stage, count);
        }
        else if (ends)
        {
            channel.EndWriting();
        }

        return count > 0;
    }

    private void StageSignals(ref int count)
    {
        for (; _signals != 0; _signals &= _signals - 1)
        {
            var kind = (FrameKind)System.Numerics.BitOperations.TrailingZeroCount(_signals);
            BinaryPrimitives.WriteUInt32LittleEndian(_stage.AsSpan(count), FrameFormat.Signal(kind));
            count += FrameFormat.HeaderBytes;
        }
    }

    /// <summary>
    /// Goes on with the frame that was staged in part, or stages the signals and begins the next one with its length. Signals pass between any two frames: large
    /// ones follow each other without a stage that would begin with a frame.
    /// </summary>
    private bool TryTakeCurrent(ref int count)
    {
        if (_current is not null)
        {
            return true;
        }

        StageSignals(ref count);
        if (_ended || !_waiting.TryDequeue(out _current))
        {
            return false;
        }

        BinaryPrimitives.WriteInt32LittleEndian(_stage.AsSpan(count), _current.Length);
        count += FrameFormat.HeaderBytes;
        _currentDone = 0;
        return true;
    }

    private void Settle(long bytes)
    {
        if (!_ended)
        {
            _waitingBytes -= bytes;
            budget.Give(bytes);
        }
    }

    private void HandOver()
    {
        _handedOver = true;
        _wakeWriter.Release();
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
}
