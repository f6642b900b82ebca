namespace FtAkka.Recordings;

/// <summary>What two recordings differ in, for people.</summary>
public static class DiffText
{
    /// <summary>Writes what differs, or that nothing does.</summary>
    public static void Write(TextWriter output, DiffReport report)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(report);
        if (report.Equal)
        {
            output.WriteLine("the recordings are the same");
            return;
        }
        foreach (DifferentValue setting in report.Configuration)
        {
            output.WriteLine($"setting {setting.Name}: {setting.First}  {setting.Second}");
        }
        Write(output, "the machines start from different states", report.Start);
        if (report.Entry is { } entry)
        {
            output.WriteLine("the first entry that differs:");
            foreach (string line in report.Before)
            {
                output.WriteLine($"   {line}");
            }
            output.WriteLine($"1: {(entry.First.Length > 0 ? entry.First : "(the log ends here)")}");
            output.WriteLine($"2: {(entry.Second.Length > 0 ? entry.Second : "(the log ends here)")}");
        }
        if (report.EntryDetail is { } detail)
        {
            output.WriteLine(detail);
        }
        Write(output, "state where the different inputs have been delivered", report.AtEntry);
        if (report.Culprit is { } culprit)
        {
            output.WriteLine("the instruction that makes registers differ for the first time:");
            output.WriteLine($"     {culprit}");
        }
        Write(output, "state behind it", report.FirstRegisters);
        foreach (string problem in report.Problems)
        {
            output.WriteLine(problem);
        }
        Write(output, "state in the first keyframes behind it", report.Keyframe);
    }

    private static void Write(TextWriter output, string title, StateDifference? difference)
    {
        if (difference is null)
        {
            return;
        }
        output.WriteLine($"{title}, icount {ReadableCount.Of(difference.Icount)}:");
        foreach (string line in difference.Lines())
        {
            output.WriteLine(line);
        }
    }
}
