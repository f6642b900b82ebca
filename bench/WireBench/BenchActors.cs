using System.Diagnostics;
using Akka.Actor;

namespace FtAkka.WireBench;

/// <summary>Sends back what it gets.</summary>
internal sealed class Echo : ReceiveActor
{
    public Echo() => Receive<byte[]>(message => Sender.Tell(message));
}

/// <summary>Sends a message when the one before has come back, and notes the times.</summary>
internal sealed class Pinger : ReceiveActor
{
    private readonly IActorRef _peer;
    private readonly byte[] _message;
    private long _started;
    private int _index;

    public Pinger(IActorRef peer, int size, int count, TaskCompletionSource<double[]> done)
    {
        _peer = peer;
        _message = new byte[size];
        var times = new double[count];
        Receive<byte[]>(_ =>
        {
            times[_index++] = Stopwatch.GetElapsedTime(_started).TotalMicroseconds;
            if (_index == count)
            {
                done.SetResult(times);
            }
            else
            {
                Ping();
            }
        });
    }

    protected override void PreStart() => Ping();

    private void Ping()
    {
        _started = Stopwatch.GetTimestamp();
        _peer.Tell(_message, Self);
    }
}

/// <summary>Acknowledges every so many messages; the first byte of a message says how many (a power of two).</summary>
internal sealed class Sink : ReceiveActor
{
    private static readonly byte[] Ack = [1];
    private int _count;

    public Sink() => Receive<byte[]>(message =>
    {
        if (++_count % (1 << message[0]) == 0)
        {
            Sender.Tell(Ack);
        }
    });
}

/// <summary>Sends as fast as it can, with a bounded number of bytes that are not acknowledged.</summary>
internal sealed class Flooder : ReceiveActor
{
    private const int BytesInFlight = 8 * 1024 * 1024;
    private const int MessagesInFlight = 4096;
    private readonly IActorRef _peer;
    private readonly byte[] _message;
    private readonly int _count;
    private readonly int _inFlight;
    private int _sent;
    private int _acked;

    public Flooder(IActorRef peer, int size, int count, TaskCompletionSource<double> done)
    {
        var power = 0;
        _inFlight = Math.Min(MessagesInFlight, BytesInFlight / size);
        while (1 << (power + 2) < _inFlight)
        {
            power++;
        }

        var ackEvery = 1 << power;
        _peer = peer;
        _message = new byte[size];
        _message[0] = (byte)power;
        _count = count / ackEvery * ackEvery;
        var started = Stopwatch.GetTimestamp();
        Receive<byte[]>(_ =>
        {
            _acked += ackEvery;
            if (_acked >= _count)
            {
                done.SetResult(_count / Stopwatch.GetElapsedTime(started).TotalSeconds);
            }

            SendMore();
        });
    }

    protected override void PreStart() => SendMore();

    private void SendMore()
    {
        while (_sent < _count && _sent - _acked < _inFlight)
        {
            _peer.Tell(_message, Self);
            _sent++;
        }
    }
}
