using Akka.Actor;
using FtAkka.LogChannelActors.Remoting;

namespace FtAkka.LogChannelActors.Tests.Remoting;

/// <summary>Who may call himself what.</summary>
public sealed class HandshakeTests
{
    private const string Table = """
        nodes {
          a = "host-a:4053,4100-4199"
          b = "host-b:4053"
          c = ["host-c:4053", "HOST-A:5000-5009"]
        }
        """;

    [Fact]
    public void Honest_handshake_gives_the_origin()
    {
        var guard = Guards.Open();
        Assert.Equal(new Address("tcp", "ft", "host-a", 4053), guard.Origin);
    }

    [Fact]
    public void Host_is_compared_without_regard_to_case()
    {
        Assert.Null(Guards.Fresh(Table).Refuse(Pdus.Associate("ft", "Host-A", 4053)));
    }

    [Fact]
    public void Handshake_that_claims_another_node_is_refused() =>
        Guards.Refuses(Guards.Fresh(), Pdus.Associate("ft", "host-c", 4053), "which does not name host-c");

    [Fact]
    public void Handshake_that_claims_our_own_address_is_refused()
    {
        var twin = new PduGuard(Guards.Rules(), new PeerIdentity("b", ["host-b"]), Guards.Local, null);
        Guards.Refuses(twin, Pdus.Associate("ft", "host-b", 4053), "our own address");
    }

    [Fact]
    public void Handshake_of_another_scheme_is_refused() =>
        Guards.Refuses(Guards.Fresh(), Pdus.Associate("ft", "host-a", 4053, "akka.tcp"), "scheme");

    [Theory]
    [InlineData("ft", 4053)]
    [InlineData("vm-7", 4100)]
    [InlineData("vm-8", 4199)]
    public void Several_systems_of_one_node_are_accepted(string system, int port)
    {
        var guard = Guards.Fresh(Table);
        Assert.Null(guard.Refuse(Pdus.Associate(system, "host-a", port)));
        Assert.Equal(new Address("tcp", system, "host-a", port), guard.Origin);
        Assert.Null(guard.Refuse(Pdus.Tell(Guards.Ours + "/user/node", $"akka.tcp://{system}@host-a:{port}/user/vm")));
    }

    [Theory]
    [InlineData(5000)]
    [InlineData(5009)]
    public void Port_of_another_node_on_the_same_host_is_refused(int port) =>
        Guards.Refuses(Guards.Fresh(Table), Pdus.Associate("ft", "host-a", port), "an address of c");

    [Fact]
    public void Address_that_no_node_owns_is_refused_when_there_is_a_table() =>
        Guards.Refuses(Guards.Fresh(Table), Pdus.Associate("ft", "host-a", 4099), "no node's address");

    [Fact]
    public void Without_a_table_every_port_of_the_certificates_hosts_is_accepted() =>
        Assert.Null(Guards.Fresh().Refuse(Pdus.Associate("ft", "10.0.0.1", 65535)));

    [Fact]
    public void Dialled_peer_must_answer_with_the_dialled_address()
    {
        var dialled = new Address("tcp", "ft", "host-a", 4053);
        Assert.Null(Guards.Fresh(dialled: dialled).Refuse(Guards.HandshakeOfA));
        Guards.Refuses(Guards.Fresh(dialled: dialled), Pdus.Associate("ft", "host-a", 4054), "was dialled");
        Guards.Refuses(Guards.Fresh(dialled: dialled), Pdus.Associate("other", "host-a", 4053), "was dialled");
        Guards.Refuses(Guards.Fresh(dialled: dialled), Pdus.Associate("ft", "10.0.0.1", 4053), "was dialled");
    }

    [Fact]
    public void Dialled_host_must_be_in_the_certificate() =>
        Guards.Refuses(Guards.Fresh(dialled: new Address("tcp", "ft", "host-c", 4053)), Pdus.Associate("ft", "host-c", 4053), "does not name host-c");

    [Fact]
    public void Where_nothing_is_proved_the_table_and_the_dialled_address_hold_still()
    {
        var rules = Guards.Rules(Table);
        Assert.Null(new PduGuard(rules, null, Guards.Local, null).Refuse(Pdus.Associate("ft", "host-c", 4053)));
        Guards.Refuses(new PduGuard(rules, null, Guards.Local, null), Pdus.Associate("ft", "host-d", 4053), "no node's address");
        Guards.Refuses(new PduGuard(rules, null, Guards.Local, new Address("tcp", "ft", "host-a", 4053)), Pdus.Associate("ft", "host-c", 4053), "was dialled");
    }

    [Fact]
    public void Second_handshake_is_refused() => Guards.Refuses(Guards.Open(), Guards.HandshakeOfA, "second handshake");

    [Fact]
    public void Nothing_but_a_farewell_comes_before_the_handshake()
    {
        Guards.Refuses(Guards.Fresh(), Pdus.Heartbeat, "before the handshake");
        Guards.Refuses(Guards.Fresh(), Pdus.Tell(Guards.Ours + "/user/node"), "before the handshake");
        Guards.Refuses(Guards.Fresh(), Pdus.Container(new ProtoWriter().Fixed(1, 4), null), "before the handshake");
        Assert.Null(Guards.Fresh().Refuse(Pdus.Control(5)));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public void Control_units_pass_after_the_handshake(int command) => Assert.Null(Guards.Open().Refuse(Pdus.Control(command)));

    [Theory]
    [InlineData(0)]
    [InlineData(6)]
    [InlineData(-1)]
    [InlineData(int.MaxValue)]
    public void Unknown_command_is_refused(int command) => Guards.Refuses(Guards.Open(), Pdus.Control(command), "unknown command");

    [Fact]
    public void Handshake_with_another_command_is_refused() =>
        Guards.Refuses(Guards.Open(), Pdus.Control(3, Pdus.Handshake("ft", "host-a", 4053)), "another command");

    [Theory]
    [InlineData("", "host-a", 4053, "tcp")]
    [InlineData("ft", "", 4053, "tcp")]
    [InlineData("ft", "host-a", 0, "tcp")]
    [InlineData("ft", "host-a", 65536, "tcp")]
    [InlineData("ft", "host-a", -1, "tcp")]
    [InlineData("ft", "host-a", 4053, "")]
    [InlineData("ft@host-b:4053/user", "host-a", 4053, "tcp")]
    [InlineData("ft", "host-a:4053/user", 4053, "tcp")]
    [InlineData("ft", "höst", 4053, "tcp")]
    [InlineData("ft:x", "host-a", 4053, "tcp")]
    [InlineData("ft", "host-a", 4053, "tcp://x")]
    [InlineData("f\nt", "host-a", 4053, "tcp")]
    public void Malformed_origin_is_refused(string system, string host, long port, string scheme) =>
        Guards.Refuses(Guards.Fresh(), Pdus.Associate(system, host, port, scheme), "malformed origin");

    [Fact]
    public void Handshake_without_origin_is_refused()
    {
        Guards.Refuses(Guards.Fresh(), Pdus.Control(1), "without origin");
        Guards.Refuses(Guards.Fresh(), Pdus.Control(1, new ProtoWriter().Fixed(2, 7)), "without origin");
    }
}
