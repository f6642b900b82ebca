using System.Collections.Concurrent;
using System.Text;
using Akka.Actor;
using Akka.Configuration;
using Akka.Event;
using Akka.Remote;
using Akka.Serialization;
using FtAkka.LogChannelActors.Remoting;

namespace FtAkka.LogChannelActors.Tests.Remoting.Tcp;

/// <summary>A message with a text of the sender's choosing.</summary>
public sealed record Note(string Text);

/// <summary>The same under a manifest that takes the second connection.</summary>
public sealed record BulkNote(string Text);

/// <summary>Writes notes; a body that is not UTF-8 is refused, and ends the connection.</summary>
public sealed class NoteSerializer(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    public const int Id = 7001;

    public override int Identifier => Id;

    public override string Manifest(object o) => o is Note ? "note" : "bulk";

    public override byte[] ToBinary(object obj) => Encoding.UTF8.GetBytes(obj is Note note ? note.Text : ((BulkNote)obj).Text);

    public override object FromBinary(byte[] bytes, string manifest)
    {
        if (bytes.AsSpan().StartsWith("unreadable"u8))
        {
            InboundScope.Current?.Refuse("an unreadable note");
            throw new FormatException("an unreadable note");
        }

        return manifest == "note" ? new Note(Encoding.UTF8.GetString(bytes)) : new BulkNote(Encoding.UTF8.GetString(bytes));
    }
}

/// <summary>Answers each note with "echo: " in front, and remembers what came.</summary>
public sealed class EchoActor : ReceiveActor
{
    public EchoActor(ConcurrentQueue<object> seen) => ReceiveAny(message =>
    {
        seen.Enqueue(message);
        if (message is Note note)
        {
            Sender.Tell(new Note("echo: " + note.Text));
        }
    });
}

/// <summary>An actor system over the transport, with what it received, logged and published.</summary>
public sealed class TcpNode : IAsyncDisposable
{
    /// <summary>Long: a busy machine is not an error.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private TcpNode(ActorSystem system)
    {
        System = system;
        Echo = system.ActorOf(Props.Create(() => new EchoActor(Seen)), "echo");
        var watcher = system.ActorOf(Props.Create(() => new Collector(Events)), "events");
        foreach (var channel in new[]
        {
            typeof(AssociatedEvent), typeof(DisassociatedEvent), typeof(AssociationErrorEvent), typeof(QuarantinedEvent),
            typeof(AllDeadLetters), typeof(Info), typeof(Warning), typeof(Error),
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

    public IEnumerable<string> Warnings => Events.OfType<Warning>().Select(line => line.Message.ToString()!);

    /// <summary>Everything that the transport and Akka's remoting said about connections.</summary>
    public string Lines => string.Join('\n', Events.OfType<LogEvent>().Select(line => line.ToString()).Concat(
        Events.OfType<AssociationErrorEvent>().Select(e => e.ToString())));

    /// <param name="tcp">Settings of the transport, in front of the defaults.</param>
    /// <param name="tls">The <c>ssl</c> block; null for plain TCP.</param>
    /// <param name="port">0 for any.</param>
    /// <param name="hocon">Other settings.</param>
    public static TcpNode Start(string tcp = "", string? tls = null, int port = 0, string hocon = "")
    {
        var config = ConfigurationFactory.ParseString(hocon)
            .WithFallback(ConfigurationFactory.ParseString($$"""
                akka.remote.ftakka-tcp {
                  {{tcp}}
                }
                """))
            .WithFallback(ConfigurationFactory.ParseString($$"""
                akka {
                  loglevel = INFO
                  stdout-loglevel = OFF
                  loggers = []
                  log-dead-letters = off
                  coordinated-shutdown.run-by-clr-shutdown-hook = off
                  actor {
                    provider = remote
                    allow-unregistered-types = off
                    serializers { notes = "FtAkka.LogChannelActors.Tests.Remoting.Tcp.NoteSerializer, FtAkka.LogChannelActors.Tests" }
                    serialization-bindings {
                      "FtAkka.LogChannelActors.Tests.Remoting.Tcp.Note, FtAkka.LogChannelActors.Tests" = notes
                      "FtAkka.LogChannelActors.Tests.Remoting.Tcp.BulkNote, FtAkka.LogChannelActors.Tests" = notes
                    }
                  }
                  remote.ftakka-tcp {
                    hostname = "127.0.0.1"
                    port = {{port}}
                    enable-ssl = {{(tls is null ? "off" : "on")}}
                    ssl {
                      {{tls}}
                    }
                    bulk-messages = ["7001:bulk"]
                    trusted-recipients = ["/user/echo", "/user/echo2", "/temp/*"]
                    trusted-selections = ["/user/echo", "/user/nobody"]
                    trusted-serializers = [7001, 16, 0]
                  }
                }
                """))
            .WithFallback(RemotingDefaults.Reference);
        return new TcpNode(ActorSystem.Create("test", config));
    }

    /// <summary>The echo actor of another node, as a selection from this one.</summary>
    public ActorSelection SelectEcho(TcpNode other) => System.ActorSelection($"{other.Address}/user/echo");

    public Task<IActorRef> Resolve(TcpNode other) => SelectEcho(other).ResolveOne(Patience);

    public async ValueTask DisposeAsync() => await System.Terminate();

    private sealed class Collector : ReceiveActor
    {
        public Collector(ConcurrentQueue<object> events) => ReceiveAny(events.Enqueue);
    }
}

public static class Eventually
{
    /// <summary>Waits until the condition holds; fails with what is waited for after a minute.</summary>
    public static async Task Holds(Func<bool> condition, string what, Func<string>? state = null)
    {
        for (var i = 0; i < 6000; i++)
        {
            if (condition())
            {
                return;
            }

            await Task.Delay(10);
        }

        Assert.Fail($"Not within a minute: {what}. {state?.Invoke()}");
    }
}
