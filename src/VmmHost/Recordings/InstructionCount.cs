using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;

namespace FtAkka.VmmHost.Recordings;

/// <summary>Counts of instructions on the command line: a number, with K, M, G or T for thousands, millions and so on.</summary>
internal static class InstructionCount
{
    /// <summary>An option that takes a count.</summary>
    public static Option<ulong?> Option(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "N",
        CustomParser = Parse,
    };

    /// <summary>Reads a count; null if the text is none.</summary>
    public static ulong? TryParse(string text)
    {
        ulong unit = text.Length == 0 ? 1 : char.ToUpperInvariant(text[^1]) switch
        {
            'K' => 1_000,
            'M' => 1_000_000,
            'G' => 1_000_000_000,
            'T' => 1_000_000_000_000,
            _ => 1UL,
        };
        string digits = (unit == 1 ? text : text[..^1]).Replace("_", "", StringComparison.Ordinal).Replace(",", "", StringComparison.Ordinal);
        return ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) && number <= ulong.MaxValue / unit
            ? number * unit : null;
    }

    /// <summary>A count for people.</summary>
    public static string Text(ulong count) => count.ToString("#,0", CultureInfo.InvariantCulture);

    private static ulong? Parse(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        ulong? count = TryParse(text);
        if (count is null)
        {
            result.AddError($"'{text}' is no number of instructions; write 1000000, 50M or 2G.");
        }
        return count;
    }
}
