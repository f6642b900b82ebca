namespace FtAkka.DeterministicSim.Loop;

/// <summary>
/// Akka numbers some actors through all systems of the process, with those of a test beside the simulation. Within a system their UIDs tell them
/// apart, so that the number need not show.
/// </summary>
internal static class ProcessWideNames
{
    private static readonly string[] s_names = ["/system/EventStreamUnsubscriber-", "/system/inbox-", "/system/transports/akkaprotocolmanager.tcp."];

    /// <summary>The text without such numbers.</summary>
    public static string Without(string text)
    {
        foreach (string name in s_names)
        {
            int at = text.IndexOf(name, StringComparison.Ordinal);
            if (at >= 0)
            {
                int begin = at + name.Length, end = begin;
                while (end < text.Length && char.IsAsciiDigit(text[end]))
                {
                    end++;
                }

                return string.Concat(text.AsSpan(0, begin), Without(text[end..]));
            }
        }

        return text;
    }
}
