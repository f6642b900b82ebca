namespace FtAkka.VmmHost.Vms;

/// <summary>
/// Keeps a log readable where a library says the same for each message that it cannot deliver: a text is let through once in a while, and is
/// dropped until then. Used by one thread at a time.
/// </summary>
/// <param name="quiet">How long a text that was let through is dropped.</param>
internal sealed class RepeatedLines(TimeSpan quiet)
{
    /// <summary>Texts that are remembered; when there are more, all are forgotten.</summary>
    private const int TextsMax = 256;

    private readonly Dictionary<string, (long Since, int Dropped)> texts = new(StringComparer.Ordinal);

    /// <summary>Whether a text is to be written.</summary>
    /// <param name="text">The text.</param>
    /// <param name="now">The time in milliseconds of a clock that never goes back.</param>
    /// <param name="dropped">How often it was dropped since it was last written.</param>
    public bool IsDue(string text, long now, out int dropped)
    {
        dropped = 0;
        if (texts.TryGetValue(text, out (long Since, int Dropped) known))
        {
            if (now - known.Since < quiet.TotalMilliseconds)
            {
                texts[text] = (known.Since, known.Dropped + 1);
                return false;
            }
            dropped = known.Dropped;
        }
        else if (texts.Count == TextsMax)
        {
            texts.Clear();
        }
        texts[text] = (now, 0);
        return true;
    }
}
