using System.Collections.Immutable;
using FtAkka.Nodes.Arbiters;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes.Tests;

/// <summary>Settings that all nodes must have alike are compared by their names, whatever another node says.</summary>
public sealed class CommonSettingsTests
{
    private static readonly NodeOptions Options = new()
    {
        Name = "A", Incarnation = 1, Peers = ImmutableSortedDictionary<string, string>.Empty, Protection = new ProtectionOptions(), Arbiter = new FileArbiter("/nowhere"), Devices = null!,
    };

    [Fact]
    public void Same_settings_have_no_difference_and_fit_into_a_message()
    {
        Assert.Empty(CommonSettings.Differences(Options, CommonSettings.Write(Options)));
        Assert.InRange(CommonSettings.Write(Options).Length, 1, SettingsTold.SettingsMax / 2);
    }

    [Fact]
    public void Each_difference_is_named_with_both_values()
    {
        NodeOptions other = Options with { HandOverTimeout = TimeSpan.FromSeconds(20), Protection = new ProtectionOptions { LogEntriesMax = 4711 } };
        Assert.Equal(["log-entries is 65536 here and 4711 there", "hand-over-timeout is 10000ms here and 20000ms there"], CommonSettings.Differences(Options, CommonSettings.Write(other)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("=\n==\nlease\nlease=")]
    [InlineData("\u0007\ud800\r\n\0")]
    public void Whatever_is_told_is_a_difference_in_one_line(string told)
    {
        string[] differences = [.. CommonSettings.Differences(Options, told)];
        Assert.Contains(differences, line => line.StartsWith("lease is 250ms here", StringComparison.Ordinal));
        Assert.All(differences, line => Assert.DoesNotContain(line, char.IsControl));
    }
}
