using Akka.Actor;
using Akka.Configuration;
using FtAkka.Replication.Messages;

namespace FtAkka.LogChannelActors.Tests;

public sealed class WireMessageSerializerTests
{
    private static readonly Config Settings = ConfigurationFactory.ParseString("""
        akka {
          stdout-loglevel = OFF
          loglevel = OFF
          actor {
            serializers.ftakka = "FtAkka.LogChannelActors.WireMessageSerializer, FtAkka.LogChannelActors"
            serialization-bindings."FtAkka.Replication.Messages.IWireMessage, FtAkka.Replication" = ftakka
          }
        }
        """);

    [Fact]
    public async Task Wire_messages_are_bound_to_it_and_come_back()
    {
        using var system = ActorSystem.Create("test", Settings);
        var message = new LogAck(4, 3, 2, 1);

        var serializer = system.Serialization.FindSerializerFor(message);

        var typed = Assert.IsType<WireMessageSerializer>(serializer);
        Assert.Equal(WireMessageSerializer.Id, typed.Identifier);
        Assert.Equal(message, typed.FromBinary(typed.ToBinary(message), typed.Manifest(message)));
        await system.Terminate();
    }

    [Fact]
    public async Task Foreign_manifest_and_cut_body_are_refused_with_their_reason()
    {
        using var system = ActorSystem.Create("test", Settings);
        var serializer = new WireMessageSerializer((ExtendedActorSystem)system);
        var body = serializer.ToBinary(new LogReleased(70_000));

        Assert.Equal(WireMessageRefusal.UnknownManifest,
            Assert.Throws<WireMessageFormatException>(() => serializer.FromBinary(body, "System.Object")).Refusal);
        Assert.Equal(WireMessageRefusal.Truncated,
            Assert.Throws<WireMessageFormatException>(() => serializer.FromBinary(body[..^1], "lr")).Refusal);
        await system.Terminate();
    }
}
