using System.Globalization;

namespace FtAkka.Recordings;

/// <summary>Counts of instructions for people.</summary>
public static class ReadableCount
{
    /// <summary>The digits in groups of three: 1,234,567.</summary>
    public static string Of(ulong count) => count.ToString("#,0", CultureInfo.InvariantCulture);
}
