using Akka.Actor;
using Akka.Configuration;
using FtAkka.LogChannelActors.Remoting;

namespace FtAkka.LogChannelActors.Tests.Remoting;

/// <summary>Settings that make no sense are refused at the start, by their key.</summary>
public sealed class GuardRulesTests
{
    [Theory]
    [InlineData("nodes { a = \"host-a\" }", "nodes.a")]
    [InlineData("nodes { a = \":4053\" }", "nodes.a")]
    [InlineData("nodes { a = \"host-a:\" }", "nodes.a")]
    [InlineData("nodes { a = \"host-a:0\" }", "nodes.a")]
    [InlineData("nodes { a = \"host-a:65536\" }", "nodes.a")]
    [InlineData("nodes { a = \"host-a:4200-4100\" }", "nodes.a")]
    [InlineData("nodes { a = \"host-a:1-2-3\" }", "nodes.a")]
    [InlineData("nodes { a.x = \"host-a:1\" }", "nodes.a")]
    [InlineData("nodes { a = \"host:4000-4010\"\n b = \"HOST:4010\" }", "host:4010 to a and to b")]
    [InlineData("trusted-recipients = [\"user/node\"]", "trusted-recipients")]
    [InlineData("trusted-recipients = [\"/user/*/x\"]", "trusted-recipients")]
    [InlineData("trusted-recipients = [\"/user/../x\"]", "trusted-recipients")]
    [InlineData("trusted-recipients = [\"*\"]", "trusted-recipients")]
    [InlineData("trusted-selections = [\"\"]", "trusted-selections")]
    [InlineData("trusted-serializers = [ftakka]", "trusted-serializers")]
    public void Senseless_value_is_refused(string hocon, string words) =>
        Assert.Contains(words, Assert.Throws<ConfigurationException>(() => Guards.Rules(hocon)).Message, StringComparison.OrdinalIgnoreCase);

    [Fact]
    public void Every_key_has_a_default()
    {
        Assert.False(GuardRules.Read(Config.Empty).HasOwners);
        Assert.True(GuardRules.Read(Config.Empty).TrustsSerializer(WireMessageSerializer.Id));
        Assert.False(GuardRules.Read(Config.Empty).TrustsSelection("/user/node"u8));
    }

    [Fact]
    public void Addresses_of_the_sixth_version_and_names_with_points_are_understood()
    {
        var rules = Guards.Rules("nodes { \"a.example.org\" = \"[fe80::1]:4053, 4060\" }");
        Assert.Equal("a.example.org", rules.OwnerOf("[FE80::1]", 4053));
        Assert.Equal("a.example.org", rules.OwnerOf("[fe80::1]", 4060));
        Assert.Null(rules.OwnerOf("[fe80::1]", 4061));
    }
}
