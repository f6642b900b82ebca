using System.Globalization;
using Akka.Configuration;

namespace FtAkka.LogChannelActors.Remoting;

/// <summary>Reads the addresses of a node from the settings: <c>host:4053,4100-4199</c>.</summary>
internal static class NodeAddresses
{
    /// <summary>All addresses that the text names.</summary>
    /// <exception cref="ConfigurationException">The text is none of this form.</exception>
    public static IEnumerable<(string Host, int Port)> Read(string node, string text)
    {
        var colon = text.LastIndexOf(':');
        if (colon <= 0)
        {
            throw Malformed(node, text);
        }

        var host = text[..colon].Trim();
        foreach (var range in text[(colon + 1)..].Split(','))
        {
            var ends = range.Split('-');
            var first = Port(ends[0], node, text);
            var last = ends.Length == 2 ? Port(ends[1], node, text) : first;
            if (ends.Length > 2 || last < first)
            {
                throw Malformed(node, text);
            }

            for (var port = first; port <= last; port++)
            {
                yield return (host, port);
            }
        }
    }

    private static int Port(string text, string node, string whole) =>
        ushort.TryParse(text.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port > 0 ? port : throw Malformed(node, whole);

    private static ConfigurationException Malformed(string node, string text) =>
        new($"{GuardRules.Section}.nodes.{node} is '{text}'; it takes a host and ports, such as \"host:4053,4100-4199\".");
}
