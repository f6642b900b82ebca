using System.CommandLine;
using System.CommandLine.Parsing;
using FtAkka.VmmHost.VmFiles;

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

    private static ulong? Parse(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        ulong? count = SpecText.TryCount(text);
        if (count is null)
        {
            result.AddError($"'{text}' is no number of instructions; write 1000000, 50M or 2G.");
        }
        return count;
    }
}
