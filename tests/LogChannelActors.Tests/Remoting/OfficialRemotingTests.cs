using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Remote;
using FtAkka.LogChannelActors.Remoting;
using FtAkka.Replication.Messages;

namespace FtAkka.LogChannelActors.Tests.Remoting;

/// <summary>The guard between actor systems with official remoting: honest ones notice nothing, and what a hostile one sends by Akka's own means ends at the guard.</summary>
public sealed class OfficialRemotingTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string name = Guid.NewGuid().ToString("N");
    private readonly List<ActorSystem> systems = [];

    private MemoryNetwork Network => MemoryNetwork.Of(name);

    public void Dispose()
    {
        foreach (var system in systems)
        {
            system.Terminate().Wait(Patience);
            system.Dispose();
        }
    }

    [Fact]
    public void Honest_systems_talk_and_know_each_others_node()
    {
        var (a, _, atA) = Start("a", "host-a");
        var (_, nodeB, atB) = Start("b", "host-b");
        var toB = Remote(a, "akka.tcp://ft@host-b:4053/user/node");
        toB.Tell(new LogAck(4, 3, 2, 1), Actor(a));
        var got = Take(atB);
        Assert.Equal((new LogAck(4, 3, 2, 1), "a"), (got.Message, got.Node));
        got.Sender.Tell(new LogReleased(7), nodeB);
        Assert.Equal((new LogReleased(7), "b"), (Take(atA).Message, "b"));
        Assert.Empty(Network.Refusals);
    }

    [Fact]
    public void Units_of_the_tests_are_those_of_Akka_byte_for_byte()
    {
        var (a, _, _) = Start("a", "host-a");
        var (_, _, atB) = Start("b", "host-b");
        var message = new LogAck(4, 3, 2, 1);
        Remote(a, "akka.tcp://ft@host-b:4053/user/node").Tell(message, Actor(a));
        Take(atB);
        var uid = (ulong)AddressUidExtension.Uid(a);
        var serializer = (WireMessageSerializer)a.Serialization.FindSerializerFor(message);
        var sender = $"akka.tcp://ft@host-a:4053/user/node#{Actor(a).Path.Uid}";
        var wrapped = Pdus.Message(Pdus.Wire, serializer.Manifest(message), serializer.ToBinary(message));
        Assert.Contains(Network.Sent, pdu => pdu.AsSpan().SequenceEqual(Pdus.Control(1, Pdus.Handshake("ft", "host-a", 4053, uid: uid))));
        Assert.Contains(Network.Sent, pdu => pdu.AsSpan().SequenceEqual(
            Pdus.Container(null, Pdus.Envelope("akka.tcp://ft@host-b:4053/user/node", wrapped, sender))));
    }

    [Fact]
    public void Handshake_of_a_member_that_claims_another_node_ends_at_the_guard()
    {
        var (_, _, atB) = Start("b", "host-b");
        var (evil, _, _) = Start("evil", "host-a", certificateOf: "host-evil");
        Remote(evil, "akka.tcp://ft@host-b:4053/user/node").Tell(new LogReleased(1), Actor(evil));
        Assert.Contains("with the certificate of evil", Refusal(), StringComparison.Ordinal);
        Assert.Empty(atB);
    }

    [Fact]
    public void Honest_handshake_and_a_sender_of_another_node_ends_at_the_guard()
    {
        var (_, _, atB) = Start("b", "host-b");
        var (evil, _, _) = Start("evil", "host-evil");
        var toB = Remote(evil, "akka.tcp://ft@host-b:4053/user/node");
        toB.Tell(new LogReleased(1), Actor(evil));
        Assert.Equal("evil", Take(atB).Node);
        toB.Tell(new LogReleased(2), Remote(evil, "akka.tcp://ft@host-a:4053/user/node"));
        Assert.Equal("sender akka.tcp://ft@host-a:4053/user/node from akka.tcp://ft@host-evil:4053", Refusal());
        Assert.Empty(atB);
    }

    [Theory]
    [InlineData("PoisonPill", "serializer 16")]
    [InlineData("Kill", "serializer 16")]
    [InlineData("Identify", "serializer 16")]
    [InlineData("Failure", "serializer 16")]
    [InlineData("reference", "serializer 16")]
    [InlineData("text", "serializer 17")]
    [InlineData("bytes", "serializer 4")]
    [InlineData("JSON", "serializer 1,")]
    [InlineData("Watch", "system message")]
    [InlineData("Terminate", "system message")]
    [InlineData("Suspend", "system message")]
    [InlineData("Resume", "system message")]
    [InlineData("Recreate", "system message")]
    [InlineData("selection", "selection of /user/node")]
    [InlineData("selection that climbs", "by something else than names")]
    [InlineData("deployment", "recipient /remote")]
    [InlineData("other actor", "recipient /user/private")]
    public void What_a_member_sends_by_Akkas_means_ends_at_the_guard(string what, string words)
    {
        var (_, nodeB, atB) = Start("b", "host-b");
        var (evil, _, _) = Start("evil", "host-evil");
        Send(evil, (IInternalActorRef)Remote(evil, "akka.tcp://ft@host-b:4053/user/node"), what);
        Assert.Contains(words, Refusal(), StringComparison.Ordinal);
        nodeB.Tell(new LogReleased(9));
        Assert.Equal(new LogReleased(9), Take(atB).Message);
        Assert.Empty(atB);
    }

    private static void Send(ActorSystem evil, IInternalActorRef toB, string what)
    {
        switch (what)
        {
            case "PoisonPill": toB.Tell(PoisonPill.Instance, Actor(evil)); break;
            case "Kill": toB.Tell(Kill.Instance, Actor(evil)); break;
            case "Identify": toB.Tell(new Identify("who"), Actor(evil)); break;
            case "Failure": toB.Tell(new Status.Failure(new InvalidOperationException("x")), Actor(evil)); break;
            case "reference": toB.Tell(Actor(evil), Actor(evil)); break;
            case "text": toB.Tell("text", Actor(evil)); break;
            case "bytes": toB.Tell(new byte[] { 1 }, Actor(evil)); break;
            case "JSON": toB.Tell(new Version(1, 2), Actor(evil)); break;
            case "Watch": evil.ActorOf(Props.Create(() => new Watcher(toB))); break;
            case "Terminate": toB.Stop(); break;
            case "Suspend": toB.Suspend(); break;
            case "Resume": toB.Resume(); break;
            case "Recreate": toB.Restart(new InvalidOperationException("x")); break;
            case "selection": evil.ActorSelection(toB.Path).Tell(new LogReleased(1), Actor(evil)); break;
            case "selection that climbs": evil.ActorSelection(toB.Path + "/../private").Tell(new LogReleased(1), Actor(evil)); break;
            case "deployment":
                evil.ActorOf(Props.Create(() => new Node(new BlockingCollection<Got>())).WithDeploy(new Deploy(new RemoteScope(toB.Path.Address))), "moved");
                break;
            case "other actor": Remote(evil, "akka.tcp://ft@host-b:4053/user/private").Tell(new LogReleased(1), Actor(evil)); break;
            default: throw new ArgumentOutOfRangeException(nameof(what), what, "unknown");
        }
    }

    private (ActorSystem System, IActorRef Node, BlockingCollection<Got> Got) Start(string node, string host, string? certificateOf = null)
    {
        var system = ActorSystem.Create("ft", $$"""
            akka {
              loglevel = OFF
              stdout-loglevel = OFF
              actor {
                provider = remote
                serializers.ftakka = "FtAkka.LogChannelActors.WireMessageSerializer, FtAkka.LogChannelActors"
                serialization-bindings."FtAkka.Replication.Messages.IWireMessage, FtAkka.Replication" = ftakka
              }
              remote {
                enabled-transports = ["akka.remote.ftakka-tcp"]
                ftakka-tcp {
                  transport-class = "FtAkka.LogChannelActors.Tests.Remoting.GuardedMemoryTransport, FtAkka.LogChannelActors.Tests"
                  applied-adapters = []
                  network = "{{name}}"
                  hostname = {{host}}
                  port = 4053
                  node = {{node}}
                  hosts = [{{certificateOf ?? host}}]
                }
              }
            }
            """);
        systems.Add(system);
        BlockingCollection<Got> got = [];
        return (system, system.ActorOf(Props.Create(() => new Node(got)), "node"), got);
    }

    private string Refusal() => Network.Refusals.TryTake(out var why, Patience) ? why : "nothing was refused";

    private static Got Take(BlockingCollection<Got> got) =>
        got.TryTake(out var taken, Patience) ? taken : throw new TimeoutException("nothing came");

    private static IActorRef Actor(ActorSystem system) => ((ExtendedActorSystem)system).Provider.ResolveActorRef($"akka://{system.Name}/user/node");

    private static IActorRef Remote(ActorSystem system, string path) => ((ExtendedActorSystem)system).Provider.ResolveActorRef(path);

    private sealed record Got(object Message, IActorRef Sender, string? Node);

    private sealed class Node(BlockingCollection<Got> got) : UntypedActor
    {
        protected override void OnReceive(object message) => got.Add(new Got(message, Sender, RemotePeers.For(Context.System).NodeOf(Sender)));
    }

    private sealed class Watcher : UntypedActor
    {
        public Watcher(IActorRef watched) => Context.Watch(watched);

        protected override void OnReceive(object message)
        {
        }
    }
}
