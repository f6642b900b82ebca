namespace FtAkka.Architecture.Tests;

/// <summary>Fails with every violation in full; xunit's own assertion on an empty collection cuts them short.</summary>
internal static class Violations
{
    public static void None(IEnumerable<string> violations)
    {
        string[] all = [.. violations];
        Assert.True(all.Length == 0, string.Join('\n', all));
    }
}
