using System.Diagnostics;
using Akka.Actor;
using Akka.Configuration;
using FtAkka.Wire;

namespace FtAkka.WireBench;

/// <summary>Two actor systems joined by the TCP wire on loopback, and what is measured between them.</summary>
internal sealed class WirePair : IAsyncDisposable
{
    private const int ByteArraySerializerId = 4;   // Akka.Serialization.ByteArraySerializer
    private const int AckEvery = 1000;
    private const int InFlight = 4000;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly ActorSystem _near;
    private readonly ActorSystem _far;
    private readonly string? _folder;
    private readonly IActorRef _farEcho;
    private readonly IActorRef _farReflector;
    private readonly IActorRef _farSink;

    private WirePair(ActorSystem near, ActorSystem far, string? folder, IActorRef echo, IActorRef reflector, IActorRef sink)
    {
        _near = near;
        _far = far;
        _folder = folder;
        _farEcho = echo;
        _farReflector = reflector;
        _farSink = sink;
    }

    public static async Task<WirePair> StartAsync(bool tls)
    {
        var folder = tls ? CreateCertificates() : null;
        var far = ActorSystem.Create("far", Config("far", folder));
        var near = ActorSystem.Create("near", Config("near", folder));
        far.ActorOf(Props.Create(() => new Echo()), "echo");
        far.ActorOf(Props.Create(() => new Sink()), "sink");
        // Echoed on the receiving thread; the actor itself only gives it an address.
        var reflector = far.ActorOf(Props.Create(() => new Echo()), "reflector");
        WireInterceptors.Of(far)!.ForRecipient(reflector, new Reflect());
        var address = ((ExtendedActorSystem)far).Provider.DefaultAddress;
        Task<IActorRef> Resolve(string name) => near.ActorSelection($"{address}/user/{name}").ResolveOne(Patience);
        return new WirePair(near, far, folder,
            await Resolve("echo").ConfigureAwait(false), await Resolve("reflector").ConfigureAwait(false), await Resolve("sink").ConfigureAwait(false));
    }

    /// <summary>Ping-pong between two actors, in microseconds.</summary>
    public async Task<double[]> RoundTripsAsync(int size, int count)
    {
        var done = new TaskCompletionSource<double[]>(TaskCreationOptions.RunContinuationsAsynchronously);
        var pinger = _near.ActorOf(Props.Create(() => new Pinger(_farEcho, size, count, done)));
        var times = await done.Task.ConfigureAwait(false);
        _near.Stop(pinger);
        return times;
    }

    /// <summary>Ping-pong between handlers on the receiving threads at both ends, in microseconds.</summary>
    public async Task<double[]> InterceptedRoundTripsAsync(int size, int count)
    {
        var address = _near.ActorOf(Props.Create(() => new Sink()));
        var pinger = new InterceptedPinger((WireActorRef)_farReflector, address, size, count);
        using (WireInterceptors.Of(_near)!.ForRecipient(address, pinger))
        {
            var times = await pinger.RunAsync().ConfigureAwait(false);
            _near.Stop(address);
            return times;
        }
    }

    /// <summary>One-way messages per second from one actor to another, with a bounded number under way.</summary>
    public async Task<double> OneWayAsync(int size, int count)
    {
        var done = new TaskCompletionSource<double>(TaskCreationOptions.RunContinuationsAsynchronously);
        var flooder = _near.ActorOf(Props.Create(() => new Flooder(_farSink, size, count / AckEvery * AckEvery, done)));
        var rate = await done.Task.ConfigureAwait(false);
        _near.Stop(flooder);
        return rate;
    }

    public async ValueTask DisposeAsync()
    {
        await _near.Terminate().ConfigureAwait(false);
        await _far.Terminate().ConfigureAwait(false);
        if (_folder is not null)
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    private static string CreateCertificates()
    {
        var folder = Directory.CreateTempSubdirectory("wirebench").FullName;
        var now = DateTimeOffset.UtcNow;
        using var authority = Certificates.CreateAuthority("wirebench", now, TimeSpan.FromDays(1));
        File.WriteAllText(Path.Combine(folder, "ca.pem"), authority.ExportCertificatePem());
        foreach (var node in (string[])["near", "far"])
        {
            using var certificate = Certificates.IssueNode(authority, node, ["127.0.0.1"], now, TimeSpan.FromDays(1));
            Certificates.WritePem(certificate, Path.Combine(folder, $"{node}.pem"), Path.Combine(folder, $"{node}.key"));
        }

        return folder;
    }

    private static Config Config(string node, string? folder)
    {
        var ssl = folder is null
            ? "enable-ssl = off"
            : $$"""
              enable-ssl = on
              ssl.certificate.path = "{{folder}}/{{node}}.pem"
              ssl.certificate.key-path = "{{folder}}/{{node}}.key"
              ssl.ca.path = "{{folder}}/ca.pem"
              """;
        return ConfigurationFactory.ParseString($$"""
            akka {
              loglevel = WARNING
              coordinated-shutdown.run-by-clr-shutdown-hook = off
              actor.provider = "FtAkka.Wire.WireActorRefProvider, FtAkka.Wire"
              remote.wire { node-name = "{{node}}", accepted-serializers = [bytes] }
              remote.dot-netty.tcp {
                hostname = "127.0.0.1"
                port = 0
                {{ssl}}
              }
            }
            """);
    }

    private sealed class Echo : ReceiveActor
    {
        public Echo() => Receive<byte[]>(message => Sender.Tell(message));
    }

    private sealed class Reflect : IWireInterceptor
    {
        public bool TryHandle(in WireInbound message)
        {
            ((WireActorRef)message.Sender).TellEncoded(message.SerializerId, message.Manifest, message.Body, message.Recipient);
            return true;
        }
    }

    private sealed class InterceptedPinger(WireActorRef peer, IActorRef self, int size, int count) : IWireInterceptor
    {
        private readonly TaskCompletionSource<double[]> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly double[] _times = new double[count];
        private readonly byte[] _message = new byte[size];
        private int _index;
        private long _started;

        public Task<double[]> RunAsync()
        {
            Ping();
            return _done.Task;
        }

        public bool TryHandle(in WireInbound message)
        {
            _times[_index++] = Stopwatch.GetElapsedTime(_started).TotalMicroseconds;
            if (_index == count)
            {
                _done.SetResult(_times);
            }
            else
            {
                Ping();
            }

            return true;
        }

        private void Ping()
        {
            _started = Stopwatch.GetTimestamp();
            peer.TellEncoded(ByteArraySerializerId, string.Empty, _message, self);
        }
    }

    private sealed class Pinger : ReceiveActor
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

    /// <summary>Acknowledges every thousandth message.</summary>
    private sealed class Sink : ReceiveActor
    {
        private static readonly byte[] Ack = [1];
        private int _count;

        public Sink() => Receive<byte[]>(_ =>
        {
            if (++_count % AckEvery == 0)
            {
                Sender.Tell(Ack);
            }
        });
    }

    private sealed class Flooder : ReceiveActor
    {
        private readonly IActorRef _peer;
        private readonly byte[] _message;
        private readonly int _count;
        private int _sent;
        private int _acked;

        public Flooder(IActorRef peer, int size, int count, TaskCompletionSource<double> done)
        {
            _peer = peer;
            _message = new byte[size];
            _count = count;
            var started = Stopwatch.GetTimestamp();
            Receive<byte[]>(_ =>
            {
                _acked += AckEvery;
                if (_acked >= count)
                {
                    done.SetResult(count / Stopwatch.GetElapsedTime(started).TotalSeconds);
                }

                SendMore();
            });
        }

        protected override void PreStart() => SendMore();

        private void SendMore()
        {
            while (_sent < _count && _sent - _acked < InFlight)
            {
                _peer.Tell(_message, Self);
                _sent++;
            }
        }
    }
}
