using System.Globalization;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes;

/// <summary>The settings under <c>ftakka.ft</c> that all nodes must have alike, as a text for other nodes: a line <c>key=value</c> for each. Times are milliseconds.</summary>
internal static class CommonSettings
{
    /// <summary>The settings of a node as text.</summary>
    public static string Write(NodeOptions options) => string.Join('\n', Of(options).Select(setting => $"{setting.Key}={setting.Value}"));

    /// <summary>Where a node's settings differ from what another node has told, for people. A setting that the other does not name is of another version of FtAkka.</summary>
    public static IEnumerable<string> Differences(NodeOptions own, string told)
    {
        string[] lines = told.Split('\n');
        foreach ((string key, string value) in Of(own))
        {
            string? other = Array.Find(lines, line => line.StartsWith($"{key}=", StringComparison.Ordinal))?[(key.Length + 1)..];
            if (other != value)
            {
                yield return $"{key} is {value} here and {(other is null ? "not named" : PeerText.OneLine(other))} there";
            }
        }
    }

    private static IEnumerable<(string Key, string Value)> Of(NodeOptions options)
    {
        ProtectionOptions protection = options.Protection;
        return
        [
            ("heartbeat-interval", Milliseconds(protection.HeartbeatInterval)),
            ("failure-timeout", Milliseconds(protection.FailureTimeout)),
            ("channel-timeout", Milliseconds(protection.ChannelTimeout)),
            ("lease", Milliseconds(protection.LeaseDuration)),
            ("pause-guard", Milliseconds(protection.PauseGuard)),
            ("log-entries", protection.LogEntriesMax.ToString(CultureInfo.InvariantCulture)),
            ("log-bytes", protection.LogBytesMax.ToString(CultureInfo.InvariantCulture)),
            ("hand-over-timeout", Milliseconds(options.HandOverTimeout)),
            ("stop-copy-timeout", Milliseconds(options.StopCopyTimeout)),
            ("digest-interval", options.DigestInterval.ToString(CultureInfo.InvariantCulture)),
        ];
    }

    private static string Milliseconds(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds}ms");
}
