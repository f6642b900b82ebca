using Akka.Configuration;

namespace FtAkka.LogChannelActors.Tests.Remoting;

/// <summary>Which messages a peer may send, by serializer, and what those of Akka's own wrap.</summary>
public sealed class SerializerRuleTests
{
    private const string Node = Guards.Ours + "/user/node";
    private const string Root = Guards.Ours + "/";
    private const int ChildName = 2;

    private static readonly ProtoWriter Ours = Pdus.Message(Pdus.Wire, "la", [1]);

    [Theory]
    [InlineData(-5)]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(16)]
    [InlineData(17)]
    [InlineData(22)]
    [InlineData(int.MinValue)]
    public void Serializers_that_are_not_listed_are_refused(int id) => Guards.Refuses(Guards.Open(), Pdus.Tell(Node, serializer: id), id == 22 ? "system message" : "trusted-serializers");

    [Fact]
    public void Serializer_that_is_listed_is_accepted() =>
        Assert.Null(Guards.Open("trusted-serializers = [711, 17]").Refuse(Pdus.Tell(Node, serializer: 17, manifest: "S")));

    [Theory]
    [InlineData(-5, "type names")]
    [InlineData(1, "type names")]
    [InlineData(2, "type names")]
    [InlineData(3, "type names")]
    [InlineData(22, "system messages")]
    [InlineData(6, "trusted-selections")]
    public void Serializers_that_would_open_everything_cannot_be_listed(int id, string words) =>
        Assert.Contains(words, Assert.Throws<ConfigurationException>(() => Guards.Rules($"trusted-serializers = [711, {id}]")).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("PP")]
    [InlineData("K")]
    [InlineData("IR")]
    [InlineData("STF")]
    [InlineData("STS")]
    [InlineData("CF")]
    [InlineData("RORRC")]
    [InlineData("")]
    public void PoisonPill_Kill_and_their_kind_are_refused_even_with_their_serializer_listed(string manifest) =>
        Guards.Refuses(Guards.Open("trusted-serializers = [711, 16]"), Pdus.Tell(Node, serializer: 16, manifest: manifest), "Akka's own");

    [Theory]
    [InlineData("AR")]
    [InlineData("RWHB")]
    [InlineData("RWHR")]
    public void Harmless_messages_of_Akka_pass_with_their_serializer_listed(string manifest)
    {
        Assert.Null(Guards.Open("trusted-serializers = [711, 16]").Refuse(Pdus.Tell(Node, serializer: 16, manifest: manifest)));
        Guards.Refuses(Guards.Open(), Pdus.Tell(Node, serializer: 16, manifest: manifest), "serializer 16");
    }

    [Theory]
    [InlineData("ID")]
    [InlineData("AID")]
    public void What_an_Identify_wraps_must_be_listed(string manifest)
    {
        byte[] Identify(ProtoWriter id) => Pdus.Container(null, Pdus.Envelope(Node, Pdus.Message(16, manifest, new ProtoWriter().Block(1, id).ToArray()), null));
        const string rules = "trusted-serializers = [711, 16]";
        Assert.Null(Guards.Open(rules).Refuse(Identify(Ours)));
        Guards.Refuses(Guards.Open(rules), Identify(Pdus.Message(1, "System.Object", [])), "serializer 1,");
        Guards.Refuses(Guards.Open(rules), Identify(Pdus.Message(6, "", [])), "a selection");
        Guards.Refuses(Guards.Open(rules), Identify(Pdus.Message(16, "PP", [])), "identifier of an Identify");
        Guards.Refuses(Guards.Open(rules), Pdus.Container(null, Pdus.Envelope(Node, Pdus.Message(16, manifest, [0x0A, 0x7F]), null)), "truncated");
    }

    [Fact]
    public void Selections_are_refused_by_default()
    {
        Guards.Refuses(Guards.Open(), Pdus.Select(Root, Ours, (ChildName, "user"), (ChildName, "node")), "a selection of /user/node");
        Guards.Refuses(Guards.Open("trusted-recipients = [\"/*\"]"), Pdus.Select(Root, Ours, (ChildName, "user"), (ChildName, "node")), "trusted-selections");
    }

    [Fact]
    public void Listed_selection_is_accepted()
    {
        const string rules = "trusted-selections = [\"/user/node\", \"/user/vm-*\"]";
        Assert.Null(Guards.Open(rules).Refuse(Pdus.Select(Root, Ours, (ChildName, "user"), (ChildName, "node"))));
        Assert.Null(Guards.Open(rules).Refuse(Pdus.Select(Root, Ours, (ChildName, "user"), (ChildName, "vm-3"))));
    }

    [Theory]
    [InlineData(1, null)]
    [InlineData(3, "node*")]
    [InlineData(3, "node")]
    [InlineData(2, "..")]
    [InlineData(2, "")]
    [InlineData(2, "vm-1/x")]
    [InlineData(2, "node#1")]
    [InlineData(0, "node")]
    [InlineData(4, "node")]
    public void Only_plain_names_select(int kind, string? name) =>
        Guards.Refuses(Guards.Open("trusted-selections = [\"/user/node*\", \"/user/*\"]"), Pdus.Select(Root, Ours, (ChildName, "user"), (kind, name)), "a selection");

    [Fact]
    public void Selection_that_climbs_is_refused() =>
        Guards.Refuses(Guards.Open("trusted-selections = [\"/user/*\"]"),
            Pdus.Select(Root, Ours, (ChildName, "user"), (ChildName, "x"), (ChildName, ".."), (ChildName, "y")), "a selection");

    [Fact]
    public void Selection_that_starts_at_an_actor_is_refused() =>
        Guards.Refuses(Guards.Open("trusted-selections = [\"/child\", \"/user/node/child\"]"), Pdus.Select(Node, Ours, (ChildName, "child")), "where none may be");

    [Fact]
    public void What_a_selection_wraps_must_be_listed()
    {
        const string rules = "trusted-selections = [\"/user/node\"]\ntrusted-serializers = [711, 16]";
        byte[] Select(ProtoWriter message) => Pdus.Select(Root, message, (ChildName, "user"), (ChildName, "node"));
        Assert.Null(Guards.Open(rules).Refuse(Select(Pdus.Message(16, "ID", new ProtoWriter().Block(1, Ours).ToArray()))));
        Guards.Refuses(Guards.Open(rules), Select(Pdus.Message(1, "System.Object", [])), "serializer 1,");
        Guards.Refuses(Guards.Open(rules), Select(Pdus.Message(16, "PP", [])), "manifest 'PP'");
        Guards.Refuses(Guards.Open(rules), Select(Pdus.Message(16, "K", [])), "manifest 'K'");
        Guards.Refuses(Guards.Open(rules), Select(Pdus.Message(22, "", [])), "system message");
        Guards.Refuses(Guards.Open(rules), Select(Pdus.Message(6, "", [])), "where none may be");
        Guards.Refuses(Guards.Open(rules), Pdus.Container(null, Pdus.Envelope(Root, Pdus.Message(6, "", []), null)), "without message");
    }

    [Fact]
    public void Selection_of_too_many_or_too_long_names_is_refused()
    {
        const string rules = "trusted-selections = [\"/user/*\"]";
        Guards.Refuses(Guards.Open(rules), Pdus.Select(Root, Ours, [.. Enumerable.Repeat((ChildName, (string?)"a"), 33)]), "too many names");
        Guards.Refuses(Guards.Open(rules), Pdus.Select(Root, Ours, [.. Enumerable.Repeat((ChildName, (string?)new string('a', 255)), 5)]), "too long a path");
    }

    [Fact]
    public void Plain_message_to_the_root_is_refused() =>
        Guards.Refuses(Guards.Open("trusted-recipients = [\"/*\"]"), Pdus.Tell(Root), "the root");
}
