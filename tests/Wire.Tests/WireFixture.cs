using System.Collections.Concurrent;
using System.Text;
using Akka.Actor;
using Akka.Configuration;
using Akka.Event;
using Akka.Serialization;

namespace FtAkka.Wire.Tests;

/// <summary>A message with a body of the sender's choosing.</summary>
public sealed record Note(string Text);

/// <summary>A message that no accepted serializer writes.</summary>
public sealed record Unlisted(int Number);

/// <summary>Writes notes and byte arrays; refuses everything else with an exception, as serializers do.</summary>
public sealed class NoteSerializer(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    public const int Id = 7001;

    public override int Identifier => Id;

    public override string Manifest(object o) => o is Note ? "note" : "bytes";

    public override byte[] ToBinary(object obj) => obj switch
    {
        Note note => Encoding.UTF8.GetBytes(note.Text),
        byte[] bytes => bytes,
        _ => throw new ArgumentException($"Not a note: {obj.GetType()}"),
    };

    public override object FromBinary(byte[] bytes, string manifest) => manifest switch
    {
        "note" => new Note(Encoding.UTF8.GetString(bytes)),
        "bytes" => bytes,
        "harmful" => PoisonPill.Instance,
        _ => throw new ArgumentException($"Unknown manifest '{manifest}'"),
    };
}

/// <summary>Answers each note with "echo: " in front, and counts.</summary>
public sealed class EchoActor : ReceiveActor
{
    public EchoActor(ConcurrentQueue<object> seen)
    {
        ReceiveAny(message =>
        {
            seen.Enqueue(message);
            if (message is Note note)
            {
                Sender.Tell(new Note("echo: " + note.Text));
            }
        });
    }
}

/// <summary>An actor system on the wire, with what it received, logged and published.</summary>
public sealed class WireNode : IAsyncDisposable
{
    private Tcp.TcpWire? _wire;

    private WireNode(ActorSystem system)
    {
        System = system;
        Echo = system.ActorOf(Props.Create(() => new EchoActor(Seen)), "echo");
        var watcher = system.ActorOf(Props.Create(() => new Collector(Events)), "events");
        foreach (var channel in new[]
        {
            typeof(WireEvents.Associated), typeof(WireEvents.Disassociated), typeof(WireEvents.PeerRestarted),
            typeof(WireEvents.Superseded), typeof(DeadLetter), typeof(Warning), typeof(Error),
        })
        {
            system.EventStream.Subscribe(watcher, channel);
        }
    }

    public ActorSystem System { get; }

    public IActorRef Echo { get; }

    public ConcurrentQueue<object> Seen { get; } = new();

    public ConcurrentQueue<object> Events { get; } = new();

    public Address Address => ((ExtendedActorSystem)System).Provider.DefaultAddress;

    /// <param name="hocon">Settings in front of the defaults.</param>
    /// <param name="port">0 for any.</param>
    /// <param name="tls">The <c>ssl</c> block; null for no TLS.</param>
    /// <param name="incarnation">The process's incarnation; 0 for the clock's.</param>
    public static WireNode Start(string hocon = "", int port = 0, string? tls = null, long incarnation = 0)
    {
        var config = ConfigurationFactory.ParseString(hocon).WithFallback(ConfigurationFactory.ParseString($$"""
            akka {
              loglevel = WARNING
              stdout-loglevel = OFF
              loggers = []
              log-dead-letters = off
              coordinated-shutdown.run-by-clr-shutdown-hook = off
              actor {
                provider = "FtAkka.Wire.WireActorRefProvider, FtAkka.Wire"
                serializers { notes = "FtAkka.Wire.Tests.NoteSerializer, FtAkka.Wire.Tests" }
                serialization-bindings {
                  "FtAkka.Wire.Tests.Note, FtAkka.Wire.Tests" = notes
                  "System.Byte[]" = notes
                }
              }
              remote {
                wire.accepted-serializers = [notes]
                dot-netty.tcp { hostname = "127.0.0.1", port = {{port}}, enable-ssl = {{(tls is null ? "off" : "on")}}, ssl { {{tls}} } }
              }
            }
            """));
        Tcp.TcpWire? wire = null;
        var setup = BootstrapSetup.Create().WithConfig(config).And(new WireSetup(context => wire = new Tcp.TcpWire(
            incarnation == 0 ? context : context with { Settings = context.Settings with { Incarnation = incarnation } })));
        return new WireNode(ActorSystem.Create("test", setup)) { _wire = wire };
    }

    /// <summary>The port that the node listens on, where it is known by another.</summary>
    public int BoundPort() => _wire!.BoundPort;

    /// <summary>The echo actor of another node, as a selection from this one.</summary>
    public ActorSelection SelectEcho(WireNode other) => System.ActorSelection($"{other.Address}/user/echo");

    public Task<IActorRef> Resolve(WireNode other) => SelectEcho(other).ResolveOne(TimeSpan.FromSeconds(10));

    public async ValueTask DisposeAsync() => await System.Terminate();

    private sealed class Collector : ReceiveActor
    {
        public Collector(ConcurrentQueue<object> events) => ReceiveAny(events.Enqueue);
    }
}

public static class Eventually
{
    /// <summary>Waits until the condition holds; fails with what is waited for after twenty seconds.</summary>
    public static async Task Holds(Func<bool> condition, string what)
    {
        for (var i = 0; i < 2000; i++)
        {
            if (condition())
            {
                return;
            }

            await Task.Delay(10);
        }

        Assert.Fail($"Not within twenty seconds: {what}");
    }
}
