using Akka.Actor;
using FtAkka.LogChannelActors.Remoting;
using FtAkka.Replication.Messages;

namespace FtAkka.LogChannelActors.Tests.Remoting;

/// <summary>A body that cannot be decoded ends the connection that brought it, and no other.</summary>
public sealed class InboundScopeTests
{
    [Fact]
    public void Scopes_nest_and_the_first_reason_sticks()
    {
        InboundScope outer = new(), inner = new();
        using (outer.Enter())
        {
            using (inner.Enter())
            {
                InboundScope.Current!.Refuse("one");
                InboundScope.Current.Refuse("two");
            }

            Assert.Same(outer, InboundScope.Current);
        }

        Assert.Null(InboundScope.Current);
        Assert.Equal("one", inner.Refusal);
        Assert.Null(outer.Refusal);
    }

    [Fact]
    public void Scope_belongs_to_its_thread()
    {
        InboundScope scope = new();
        InboundScope? seen = scope;
        using (scope.Enter())
        {
            var thread = new Thread(() => seen = InboundScope.Current);
            thread.Start();
            thread.Join();
        }

        Assert.Null(seen);
    }

    [Theory]
    [InlineData("System.Object", "UnknownManifest")]
    [InlineData("", "UnknownManifest")]
    [InlineData(null, "UnknownManifest")]
    [InlineData("two\nlines", "UnknownManifest")]
    [InlineData("la", "")]
    public async Task Serializer_that_refuses_a_body_ends_the_connection_with_one_line(string? manifest, string words)
    {
        using var system = ActorSystem.Create("test", "akka.loglevel = OFF, akka.stdout-loglevel = OFF".Replace(", ", "\n", StringComparison.Ordinal));
        var serializer = new WireMessageSerializer((ExtendedActorSystem)system);
        InboundScope scope = new();
        using (scope.Enter())
        {
            Assert.Throws<WireMessageFormatException>(() => serializer.FromBinary([0xC1, 0xFF], manifest!));
        }

        Assert.Contains(words, scope.Refusal, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', scope.Refusal!);
        await system.Terminate();
    }

    [Fact]
    public async Task Serializer_outside_a_connection_only_throws()
    {
        using var system = ActorSystem.Create("test", "akka.loglevel = OFF\nakka.stdout-loglevel = OFF");
        var serializer = new WireMessageSerializer((ExtendedActorSystem)system);
        Assert.Throws<WireMessageFormatException>(() => serializer.FromBinary([0xC1], "la"));
        InboundScope scope = new();
        using (scope.Enter())
        {
            var message = new LogAck(4, 3, 2, 1);
            Assert.Equal(message, serializer.FromBinary(serializer.ToBinary(message), serializer.Manifest(message)));
        }

        Assert.Null(scope.Refusal);
        await system.Terminate();
    }
}
