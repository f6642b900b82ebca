using System.Text;
using Akka.Configuration;

namespace FtAkka.LogChannelActors.Remoting;

/// <summary>A list of paths from the settings. An entry is a whole path, or one that ends with <c>*</c>, which stands for the rest of one name.</summary>
internal sealed class PathPatterns
{
    private readonly (byte[] Text, bool Open)[] entries;

    /// <exception cref="ConfigurationException">An entry is no path.</exception>
    public PathPatterns(IEnumerable<string> entries, string key)
    {
        this.entries = [.. entries.Select(entry =>
        {
            var open = entry.EndsWith('*');
            var text = Encoding.UTF8.GetBytes(open ? entry[..^1] : entry);
            // "/user/" is an honest beginning, though not a path.
            var sample = open ? [.. text, (byte)'x'] : text;
            return text.Length > 0 && !text.Contains((byte)'*') && !text.Contains((byte)'#') && ActorPathRule.TryRead(sample, out _) && sample.Length > 1
                ? (text, open)
                : throw new ConfigurationException($"{key} has '{entry}'; it takes paths such as \"/user/node\" and \"/temp/replica-*\".");
        })];
    }

    /// <summary>Whether a path, without address and uid, is on the list.</summary>
    public bool Contains(ReadOnlySpan<byte> path)
    {
        foreach (var (text, open) in entries)
        {
            if (open ? path.Length > text.Length && path.StartsWith(text) && path[text.Length..].IndexOf((byte)'/') < 0 : path.SequenceEqual(text))
            {
                return true;
            }
        }

        return false;
    }
}
