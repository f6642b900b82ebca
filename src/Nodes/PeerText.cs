namespace FtAkka.Nodes;

/// <summary>Texts that another node has written, as they may stand in this node's log and answers.</summary>
internal static class PeerText
{
    private const string Cut = "...";

    /// <summary>The text in one line, without control characters, cut where it is too long.</summary>
    public static string OneLine(string text, int lengthMax = 120)
    {
        string line = string.Concat(text.Take(lengthMax + 1).Select(letter => char.IsControl(letter) || char.IsSurrogate(letter) ? '?' : letter));
        return line.Length <= lengthMax ? line : line[..(lengthMax - Cut.Length)] + Cut;
    }
}
