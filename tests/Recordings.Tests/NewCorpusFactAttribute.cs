namespace FtAkka.Recordings.Tests;

/// <summary>Makes new recordings for the corpus; skipped, and visibly so, unless FTAKKA_NEW_CORPUS names a prefix for them.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class NewCorpusFactAttribute : FactAttribute
{
    public NewCorpusFactAttribute()
    {
        if (string.IsNullOrEmpty(Prefix))
        {
            Skip = "FTAKKA_NEW_CORPUS=PREFIX makes recordings";
        }
    }

    public static string Prefix => Environment.GetEnvironmentVariable("FTAKKA_NEW_CORPUS") ?? "";
}
