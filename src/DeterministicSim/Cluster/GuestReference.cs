using FtAkka.TinyGuests;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>
/// What a failure-free guest writes and prints, computed once in a process: every seed of a scenario has the same guest. Pure functions of their
/// arguments, so that what was computed before never shows.
/// </summary>
internal static class GuestReference
{
    private const int TextsMax = 64;

    private static readonly Lock Guard = new();
    private static readonly Dictionary<(string Guest, int Present), string> Texts = [];
    private static (ulong Seed, byte[] Records) s_journal = (0, []);

    /// <summary>A record of the journal.</summary>
    public static ReadOnlySpan<byte> Record(ulong seed, int number)
    {
        lock (Guard)
        {
            int known = s_journal.Records.Length / JournalRecord.SizeBytes;
            if (s_journal.Seed != seed || number >= known)
            {
                s_journal = (seed, JournalRecord.Expected(seed, Math.Max(64, (number + 1) * 2)));
            }
            return s_journal.Records.AsSpan(number * JournalRecord.SizeBytes, JournalRecord.SizeBytes);
        }
    }

    /// <summary>The text of a guest that finds so many records.</summary>
    public static string Text(string guest, int present, Func<int, string> compose)
    {
        lock (Guard)
        {
            if (!Texts.TryGetValue((guest, present), out string? text))
            {
                if (Texts.Count == TextsMax)
                {
                    Texts.Clear();
                }
                Texts[(guest, present)] = text = compose(present);
            }
            return text;
        }
    }
}
