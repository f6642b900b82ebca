using System.Diagnostics;
using Akka.Actor;
using Akka.Configuration;
using Akka.Remote.Transport;
using FtAkka.LogChannelActors.Remoting.Tcp;
using Google.Protobuf;

namespace FtAkka.WireBench;

/// <summary>
/// The transport without Akka's remoting and without actors: one unit there, one back, between handlers on the reading threads. The units are
/// heartbeat-free messages that pass the guard, as Akka would write them.
/// </summary>
internal sealed class TransportPair : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly ActorSystem _system;
    private readonly TcpTransport _near;
    private readonly TcpTransport _far;
    private readonly AssociationHandle _nearHandle;
    private readonly AssociationHandle _farHandle;
    private readonly Handler _nearHandler;
    private readonly Handler _farHandler;
    private readonly Address _nearAddress;
    private readonly Address _farAddress;

    private TransportPair(
        ActorSystem system, (TcpTransport Transport, AssociationHandle Handle, Handler Handler, Address Address) near,
        (TcpTransport Transport, AssociationHandle Handle, Handler Handler, Address Address) far)
    {
        _system = system;
        (_near, _nearHandle, _nearHandler, _nearAddress) = near;
        (_far, _farHandle, _farHandler, _farAddress) = far;
    }

    public static async Task<TransportPair> StartAsync(string? folder)
    {
        var system = ActorSystem.Create("bench", ConfigurationFactory.ParseString("akka { loglevel = WARNING\nstdout-loglevel = OFF }"));
        var far = new TcpTransport(system, ConfigOf("far", folder));
        var near = new TcpTransport(system, ConfigOf("near", folder));
        var (farAddress, farListener) = await far.Listen().ConfigureAwait(false);
        var (nearAddress, nearListener) = await near.Listen().ConfigureAwait(false);
        var accepted = new TaskCompletionSource<AssociationHandle>();
        var farHandler = new Handler();
        var nearHandler = new Handler();
        farListener.SetResult(new Listener(handle =>
        {
            handle.ReadHandlerSource.SetResult(farHandler);
            accepted.SetResult(handle);
        }));
        nearListener.SetResult(new Listener(_ => { }));
        var dialled = await near.Associate(farAddress).ConfigureAwait(false);
        dialled.ReadHandlerSource.SetResult(nearHandler);
        dialled.Write(UnsafeByteOperations.UnsafeWrap(Units.Associate(nearAddress)));
        var handle = await accepted.Task.WaitAsync(Patience).ConfigureAwait(false);
        await farHandler.First.Task.WaitAsync(Patience).ConfigureAwait(false);
        handle.Write(UnsafeByteOperations.UnsafeWrap(Units.Associate(farAddress)));
        await nearHandler.First.Task.WaitAsync(Patience).ConfigureAwait(false);
        var pair = new TransportPair(system, (near, dialled, nearHandler, nearAddress), (far, handle, farHandler, farAddress));
        await pair.RoundTripsAsync(64, 1).ConfigureAwait(false);   // a connection that carries no message is given up
        return pair;
    }

    /// <summary>Round trips in microseconds.</summary>
    public async Task<double[]> RoundTripsAsync(int size, int count)
    {
        var times = new double[count];
        var ping = UnsafeByteOperations.UnsafeWrap(Units.Message(_farAddress, size));
        var pong = UnsafeByteOperations.UnsafeWrap(Units.Message(_nearAddress, size));
        var done = EndsWithConnection();
        var index = 0;
        var started = Stopwatch.GetTimestamp();
        _farHandler.Received = _ => Write(_farHandle, pong, done);
        _nearHandler.Received = _ =>
        {
            times[index++] = Stopwatch.GetElapsedTime(started).TotalMicroseconds;
            if (index == count)
            {
                done.TrySetResult();
                return;
            }

            started = Stopwatch.GetTimestamp();
            Write(_nearHandle, ping, done);
        };
        Write(_nearHandle, ping, done);
        await done.Task.ConfigureAwait(false);
        return times;
    }

    /// <summary>One-way units per second.</summary>
    public async Task<double> OneWayAsync(int size, int count)
    {
        var unit = UnsafeByteOperations.UnsafeWrap(Units.Message(_farAddress, size));
        var done = EndsWithConnection();
        var received = 0;
        _farHandler.Received = _ =>
        {
            if (++received == count)
            {
                done.TrySetResult();
            }
        };
        var started = Stopwatch.GetTimestamp();
        var sender = new Thread(() =>
        {
            for (var i = 0; i < count; i++)
            {
                while (!_nearHandle.Write(unit))
                {
                    if (done.Task.IsCompleted)
                    {
                        return;
                    }

                    Thread.Sleep(1);   // the queue is full; Akka tries again after 0.3 to 2 ms
                }
            }
        });
        sender.Start();
        await done.Task.ConfigureAwait(false);
        return count / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    public async ValueTask DisposeAsync()
    {
        await _near.Shutdown().ConfigureAwait(false);
        await _far.Shutdown().ConfigureAwait(false);
        _near.Dispose();
        _far.Dispose();
        await _system.Terminate().ConfigureAwait(false);
    }

    /// <summary>What is waited for fails when the connection ends.</summary>
    private TaskCompletionSource EndsWithConnection()
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Action ended = () => done.TrySetException(new IOException("The connection under measurement has ended."));
        (_nearHandler.Ended, _farHandler.Ended) = (ended, ended);
        if (_nearHandler.HasEnded || _farHandler.HasEnded)
        {
            ended();
        }

        return done;
    }

    private static void Write(AssociationHandle handle, ByteString unit, TaskCompletionSource done)
    {
        if (!handle.Write(unit))
        {
            done.TrySetException(new IOException("The transport did not take a message though none was under way."));
        }
    }

    private static Config ConfigOf(string node, string? folder) => ConfigurationFactory.ParseString($$"""
        hostname = "127.0.0.1"
        port = 0
        enable-ssl = {{(folder is null ? "off" : "on")}}
        ssl.certificate.path = "{{folder}}/{{node}}.pfx"
        trusted-recipients = ["/user/x"]
        trusted-serializers = [4]
        """);

    private sealed class Handler : IHandleEventListener
    {
        public TaskCompletionSource First { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Action<ByteString>? Received { get; set; }

        public Action? Ended { get; set; }

        public bool HasEnded { get; private set; }

        public void Notify(IHandleEvent ev)
        {
            if (ev is Disassociated)
            {
                HasEnded = true;
                Ended?.Invoke();
            }
            else if (ev is InboundPayload payload)
            {
                if (Received is { } received)
                {
                    received(payload.Payload);
                }
                else
                {
                    First.TrySetResult();
                }
            }
        }
    }

    private sealed class Listener(Action<AssociationHandle> accepted) : IAssociationEventListener
    {
        public void Notify(IAssociationEvent ev) => accepted(((InboundAssociation)ev).Association);
    }
}
