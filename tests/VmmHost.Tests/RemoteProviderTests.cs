using System.Text;
using Akka.Actor;
using Akka.Configuration;
using Akka.Serialization;

namespace FtAkka.VmmHost.Tests;

/// <summary>
/// <c>akka.actor.provider = remote</c> joins two systems of one configuration, whether the official Akka.Remote or the stand-in
/// answers to that name.
/// </summary>
public sealed class RemoteProviderTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static readonly Config Configuration = ConfigurationFactory.ParseString(
        """
        akka {
          loglevel = WARNING
          stdout-loglevel = WARNING
          log-dead-letters-during-shutdown = off
          coordinated-shutdown.run-by-clr-shutdown-hook = off
          actor {
            provider = remote
            serializers.ftakka = "FtAkka.VmmHost.Tests.RemoteProviderTests+GreetingSerializer, FtAkka.VmmHost.Tests"
            serialization-bindings { "FtAkka.VmmHost.Tests.RemoteProviderTests+Greeting, FtAkka.VmmHost.Tests" = ftakka }
          }
          remote.dot-netty.tcp { hostname = "127.0.0.1", port = 0, enable-ssl = off }
        }
        """);

    /// <summary>A message that crosses hosts.</summary>
    public sealed record Greeting(string Text);

    /// <summary>Its serializer, under the name that the wire accepts bodies of.</summary>
    public sealed class GreetingSerializer(ExtendedActorSystem system) : SerializerWithStringManifest(system)
    {
        public override int Identifier => 7901;

        public override string Manifest(object o) => "g";

        public override byte[] ToBinary(object obj) => Encoding.UTF8.GetBytes(((Greeting)obj).Text);

        public override object FromBinary(byte[] bytes, string manifest) => new Greeting(Encoding.UTF8.GetString(bytes));
    }

    private sealed class Echo : ReceiveActor
    {
        public Echo() => ReceiveAny(message => Sender.Tell(message));
    }

    [Fact]
    public async Task Two_systems_find_each_other_by_path_and_talk()
    {
        using ActorSystem here = ActorSystem.Create("ftakka", Configuration);
        using ActorSystem there = ActorSystem.Create("ftakka", Configuration);
        try
        {
            there.ActorOf(Props.Create<Echo>(), "echo");
            Address address = ((ExtendedActorSystem)there).Provider.DefaultAddress;
            Assert.Equal("akka.tcp", address.Protocol);
            Assert.NotNull(address.Port);

            ActorSelection selection = here.ActorSelection(new RootActorPath(address) / "user" / "echo");
            ActorIdentity identity = await selection.Ask<ActorIdentity>(new Identify("who"), Patience);
            Assert.Equal("who", identity.MessageId);
            Assert.NotNull(identity.Subject);
            Assert.Equal(new Greeting("hello"), await identity.Subject.Ask<Greeting>(new Greeting("hello"), Patience));
        }
        finally
        {
            await Task.WhenAll(here.Terminate(), there.Terminate());
        }
    }
}
