namespace FtAkka.DeviceActors;

/// <summary>
/// Lets a line of one cause through and keeps the next ones back for a while, since a guest can cause as many as it likes. How many were kept
/// back stands in the next line that goes through. Pure.
/// </summary>
internal sealed class LineLimit
{
    /// <summary>One line in this time.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private TimeSpan? last;
    private ulong keptBack;

    /// <summary>Whether a line may be written now.</summary>
    /// <param name="now">A reading of one monotonic clock.</param>
    /// <param name="also">For its end: nothing, or how many like it were not written.</param>
    public bool TryTake(TimeSpan now, out string also)
    {
        also = "";
        if (last is { } earlier)
        {
            if (now - earlier < Interval)
            {
                keptBack++;
                return false;
            }
            also = keptBack == 0 ? "" : $" (and {keptBack} more like it in the {(now - earlier).TotalSeconds:F0} s before)";
        }
        (last, keptBack) = (now, 0);
        return true;
    }
}
