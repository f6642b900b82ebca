namespace FtAkka.Architecture.Tests;

/// <summary>Rules on source files. Each returns the violations as sentences; an empty list is a pass.</summary>
internal static class FileRules
{
    /// <summary>A longer file holds more than one subject.</summary>
    public const int LinesMax = 600;

    private static readonly string[] EmptyNames = ["Util", "Utils", "Utilities", "Helper", "Helpers", "Common", "Misc", "Manager"];

    public static IEnumerable<string> Length(string file, int lines)
    {
        if (lines > LinesMax)
        {
            yield return $"{file} has {lines} lines, more than {LinesMax}: split it by subject";
        }
    }

    /// <summary>Names that say nothing attract code that belongs elsewhere.</summary>
    public static IEnumerable<string> Name(string file) =>
        from part in file.Split('/').Select(part => part.EndsWith(".cs", StringComparison.Ordinal) ? part[..^3] : part)
        from empty in EmptyNames
        where part == empty || (part.EndsWith(empty, StringComparison.Ordinal) && file.EndsWith(part + ".cs", StringComparison.Ordinal))
        select $"{file}: '{empty}' does not say what it is for";
}
