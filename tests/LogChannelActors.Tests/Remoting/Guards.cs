using System.Collections.Immutable;
using Akka.Actor;
using Akka.Configuration;
using FtAkka.LogChannelActors.Remoting;

namespace FtAkka.LogChannelActors.Tests.Remoting;

/// <summary>Guards as node <c>b</c> has them when node <c>a</c> comes.</summary>
internal static class Guards
{
    /// <summary>Paths of actors on our node and on the peer's.</summary>
    public const string Ours = "akka.tcp://ft@host-b:4053", Theirs = "akka.tcp://ft@host-a:4053";

    public static readonly Address Local = new("tcp", "ft", "host-b", 4053);
    public static readonly PeerIdentity A = new("a", ImmutableArray.Create("host-a", "10.0.0.1"));
    public static readonly byte[] HandshakeOfA = Pdus.Associate("ft", "host-a", 4053);

    public static GuardRules Rules(string hocon = "") => GuardRules.Read(ConfigurationFactory.ParseString(hocon));

    public static PduGuard Fresh(string hocon = "", Address? dialled = null) => new(Rules(hocon), A, Local, dialled);

    /// <summary>A guard after an honest handshake of node a.</summary>
    public static PduGuard Open(string hocon = "")
    {
        var guard = Fresh(hocon);
        Assert.Null(guard.Refuse(HandshakeOfA));
        return guard;
    }

    /// <summary>Asserts that a unit is refused, and that the reason is one line with these words.</summary>
    public static void Refuses(PduGuard guard, byte[] pdu, string words)
    {
        var why = guard.Refuse(pdu);
        Assert.NotNull(why);
        Assert.Contains(words, why, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', why);
        Assert.Equal(why, guard.Refuse(Pdus.Heartbeat));
    }
}
