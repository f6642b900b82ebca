using System.Buffers;
using System.Text;

namespace FtAkka.LogChannelActors.Remoting;

/// <summary>
/// Which texts may stand for the path of an actor. Akka's own parser throws on malformed uids and skips empty names, and its lookup climbs to the
/// parent at "..": a path that passes here is looked up as it reads.
/// </summary>
internal static class ActorPathRule
{
    /// <summary>Longest path, address included, in bytes.</summary>
    public const int MaximumLength = 1024;

    private const int LongestUid = 10;

    // What Akka allows in names, less the quotation mark and the percent sign, which are nowhere needed and hard to read in a log.
    private static readonly SearchValues<byte> Allowed =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.*$+:@&=,!~';()/#"u8);

    // Akka's endpoints of remoting have an encoded address in their names, and they are the senders of some of its own answers.
    private static readonly SearchValues<byte> AllowedOfSenders =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.*$+:@&=,!~';()/#%"u8);

    /// <summary>Checks the part of a path after the address.</summary>
    /// <param name="path">Begins with a slash.</param>
    /// <param name="name">The path without the uid of the actor.</param>
    public static bool TryRead(ReadOnlySpan<byte> path, out ReadOnlySpan<byte> name) => TryRead(path, Allowed, out name);

    /// <summary>The same for the path of a sender, which is not looked up here: one of Akka's own actors may have a percent sign in it.</summary>
    public static bool IsSender(ReadOnlySpan<byte> path) => TryRead(path, path.StartsWith("/system/"u8) ? AllowedOfSenders : Allowed, out _);

    private static bool TryRead(ReadOnlySpan<byte> path, SearchValues<byte> allowed, out ReadOnlySpan<byte> name)
    {
        name = path;
        if (path.Length is 0 or > MaximumLength || path[0] != '/' || path.IndexOfAnyExcept(allowed) >= 0)
        {
            return false;
        }

        var hash = path.IndexOf((byte)'#');
        if (hash >= 0)
        {
            if (!IsUid(path[(hash + 1)..]))
            {
                return false;
            }

            name = path[..hash];
        }

        // A name that begins with a point is "." or ".." or one that nobody needs.
        return name.Length == 1 ? hash < 0 : name[^1] != '/' && name.IndexOf("//"u8) < 0 && name.IndexOf("/."u8) < 0;
    }

    /// <summary>Whether a path leads to the actor that makes actors for other nodes, or below it.</summary>
    public static bool IsRemoteDaemon(ReadOnlySpan<byte> path) => path.StartsWith("/remote"u8);

    /// <summary>A text from the wire, cut and without control characters, for one line of the log.</summary>
    public static string Printable(ReadOnlySpan<byte> text)
    {
        const int longest = 120;
        var cut = text.Length > longest ? text[..longest] : text;
        var builder = new StringBuilder(cut.Length + 3);
        foreach (var value in cut)
        {
            builder.Append(value is >= 0x20 and < 0x7F ? (char)value : '?');
        }

        return builder.Append(text.Length > longest ? "..." : string.Empty).ToString();
    }

    private static bool IsUid(ReadOnlySpan<byte> digits)
    {
        if (digits.Length is 0 or > LongestUid)
        {
            return false;
        }

        long value = 0;
        foreach (var digit in digits)
        {
            if (digit is < (byte)'0' or > (byte)'9')
            {
                return false;
            }

            value = (value * 10) + (digit - '0');
        }

        return value <= int.MaxValue;
    }
}
