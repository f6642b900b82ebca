using System.Diagnostics;
using Akka.Actor;
using Akka.Configuration;
using FtAkka.LogChannelActors.Remoting;

namespace FtAkka.WireBench;

/// <summary>Two actor systems joined by official Akka.Remote on loopback, over our transport or over Akka's default one.</summary>
internal sealed class RemotePair : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly ActorSystem _near;
    private readonly ActorSystem _far;
    private readonly IActorRef _farEcho;
    private readonly IActorRef _farSink;

    private RemotePair(ActorSystem near, ActorSystem far, IActorRef echo, IActorRef sink)
    {
        _near = near;
        _far = far;
        _farEcho = echo;
        _farSink = sink;
    }

    /// <summary>Starts a pair over our transport.</summary>
    /// <param name="folder">Certificates made by <see cref="BenchCertificates"/>; null for plain TCP.</param>
    public static Task<RemotePair> StartTcpAsync(string? folder) => StartAsync(node => ConfigurationFactory.ParseString($$"""
        akka.remote.ftakka-tcp {
          hostname = "127.0.0.1"
          port = 0
          enable-ssl = {{(folder is null ? "off" : "on")}}
          ssl.certificate.path = "{{folder}}/{{node}}.pfx"
          trusted-recipients = ["/user/*", "/temp/*"]
          trusted-selections = ["/user/echo", "/user/sink"]
          trusted-serializers = [0, 4, 16]
        }
        """).WithFallback(RemotingDefaults.Reference));

    /// <summary>Starts a pair over DotNetty with Akka's defaults, but for room for the largest message.</summary>
    public static Task<RemotePair> StartDotNettyAsync() => StartAsync(_ => ConfigurationFactory.ParseString("""
        akka.remote.dot-netty.tcp {
          hostname = "127.0.0.1"
          port = 0
          maximum-frame-size = 1 MiB
          send-buffer-size = 2 MiB
          receive-buffer-size = 2 MiB
        }
        """));

    /// <summary>Ping-pong between two actors, in microseconds.</summary>
    public async Task<double[]> RoundTripsAsync(int size, int count)
    {
        var done = new TaskCompletionSource<double[]>(TaskCreationOptions.RunContinuationsAsynchronously);
        var pinger = _near.ActorOf(Props.Create(() => new Pinger(_farEcho, size, count, done)));
        var times = await done.Task.ConfigureAwait(false);
        _near.Stop(pinger);
        return times;
    }

    /// <summary>Ping-pong between references that answer on the thread that reads, as the log channel does, in microseconds.</summary>
    public async Task<double[]> EndpointRoundTripsAsync(int size, int count)
    {
        var times = new double[count];
        var message = new byte[size];
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var echo = new Endpoint(_far, (received, sender, self) => sender.Tell(received, self));
        var peer = ((ExtendedActorSystem)_near).Provider.ResolveActorRef(
            echo.Path.ToStringWithAddress(((ExtendedActorSystem)_far).Provider.DefaultAddress));
        var index = 0;
        var started = Stopwatch.GetTimestamp();
        using var pinger = new Endpoint(_near, (_, _, self) =>
        {
            times[index++] = Stopwatch.GetElapsedTime(started).TotalMicroseconds;
            if (index == count)
            {
                done.SetResult();
                return;
            }

            started = Stopwatch.GetTimestamp();
            peer.Tell(message, self);
        });
        peer.Tell(message, pinger);
        await done.Task.ConfigureAwait(false);
        return times;
    }

    /// <summary>One-way messages per second from one actor to another, with a bounded number of bytes under way.</summary>
    public async Task<double> OneWayAsync(int size, int count)
    {
        var done = new TaskCompletionSource<double>(TaskCreationOptions.RunContinuationsAsynchronously);
        var flooder = _near.ActorOf(Props.Create(() => new Flooder(_farSink, size, count, done)));
        var rate = await done.Task.ConfigureAwait(false);
        _near.Stop(flooder);
        return rate;
    }

    public async ValueTask DisposeAsync()
    {
        await _near.Terminate().ConfigureAwait(false);
        await _far.Terminate().ConfigureAwait(false);
    }

    private static async Task<RemotePair> StartAsync(Func<string, Config> remoting)
    {
        Config ConfigOf(string node) => ConfigurationFactory.ParseString("""
            akka {
              loglevel = WARNING
              stdout-loglevel = OFF
              coordinated-shutdown.run-by-clr-shutdown-hook = off
              actor.provider = remote
            }
            """).WithFallback(remoting(node));
        var far = ActorSystem.Create("far", ConfigOf("far"));
        var near = ActorSystem.Create("near", ConfigOf("near"));
        far.ActorOf(Props.Create(() => new Echo()), "echo");
        far.ActorOf(Props.Create(() => new Sink()), "sink");
        var address = ((ExtendedActorSystem)far).Provider.DefaultAddress;
        Task<IActorRef> Resolve(string name) => near.ActorSelection($"{address}/user/{name}").ResolveOne(Patience);
        return new RemotePair(near, far, await Resolve("echo").ConfigureAwait(false), await Resolve("sink").ConfigureAwait(false));
    }

    /// <summary>A reference without a mailbox.</summary>
    private sealed class Endpoint : MinimalActorRef, IDisposable
    {
        private static int s_count;
        private readonly Action<object, IActorRef, IActorRef> _received;

        public Endpoint(ActorSystem system, Action<object, IActorRef, IActorRef> received)
        {
            _received = received;
            Provider = ((ExtendedActorSystem)system).Provider;
            Path = Provider.RootPath / "temp" / $"endpoint-{Interlocked.Increment(ref s_count)}";
            Provider.RegisterTempActor(this, Path);
        }

        public override ActorPath Path { get; }

        public override IActorRefProvider Provider { get; }

        public void Dispose() => Provider.UnregisterTempActor(Path);

        protected override void TellInternal(object message, IActorRef sender) => _received(message, sender, this);
    }
}
