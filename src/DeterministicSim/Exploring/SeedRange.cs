using System.Globalization;

namespace FtAkka.DeterministicSim.Exploring;

/// <summary>Seeds from one to another, both included.</summary>
public readonly record struct SeedRange(ulong First, ulong Last)
{
    /// <summary>How many.</summary>
    public ulong Count => Last - First + 1;

    /// <summary>Reads <c>A..B</c>, or a single seed.</summary>
    public static bool TryParse(string? text, out SeedRange range)
    {
        range = default;
        string[] parts = (text ?? "").Split("..");
        if (parts.Length > 2 || !TrySeed(parts[0], out ulong first) || !TrySeed(parts[^1], out ulong last) || last < first)
        {
            return false;
        }
        range = new SeedRange(first, last);
        return true;
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{First}..{Last}");

    private static bool TrySeed(string text, out ulong seed) => ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out seed);
}
