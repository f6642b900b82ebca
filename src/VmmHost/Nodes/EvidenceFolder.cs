using System.Globalization;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Log;

namespace FtAkka.VmmHost.Nodes;

/// <summary>
/// Keeps reports of divergences as files: a text for people, and the log's frames as they stand on the wire. Both sides name theirs alike, so
/// that they can be laid side by side. They hold what the guest had in memory, and are for their owner only. Old ones are removed.
/// </summary>
public sealed class EvidenceFolder(string folder, int reportsMax)
{
    /// <summary>Entries shown in the text; the frames have all that were kept.</summary>
    private const int EntriesShown = 200;

    private const UnixFileMode OwnersFile = UnixFileMode.UserRead | UnixFileMode.UserWrite, OwnersFolder = OwnersFile | UnixFileMode.UserExecute;

    private readonly Lock sync = new();

    /// <summary>Writes a report on a thread of its own. A storage that fails is told to <paramref name="say"/>; nothing else depends on it.</summary>
    public void Keep(DivergenceReport report, Action<string> say)
    {
        ArgumentNullException.ThrowIfNull(report);
        new Thread(() =>
        {
            try
            {
                say($"{report.Vm}: the report of its divergence is {Write(report)}");
            }
            catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
            {
                say($"{report.Vm}: the report of its divergence cannot be kept in {folder}: {failed.Message}");
            }
        }) { IsBackground = true, Name = "evidence" }.Start();
    }

    /// <summary>Writes a report.</summary>
    /// <returns>Path of the text.</returns>
    /// <exception cref="IOException">The storage fails.</exception>
    public string Write(DivergenceReport report)
    {
        ArgumentNullException.ThrowIfNull(report);
        lock (sync)
        {
            Directory.CreateDirectory(folder, OwnersFolder);
            string name = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture,
                $"{report.Vm}-g{report.Session.Generation}-a{report.Session.Attempt}-e{report.Lsn.Value}.{report.Side}"));
            using (var text = new StreamWriter(Create($"{name}.txt")))
            {
                foreach (string line in Lines(report))
                {
                    text.WriteLine(line);
                }
            }
            // Whoever finds the frames finds them whole.
            using (FileStream log = Create($"{name}.part"))
            {
                foreach (ReadOnlyMemory<byte> frame in report.Log.IsEmpty ? [] : LogFrame.WriteAll(report.Log))
                {
                    log.Write(frame.Span);
                }
            }
            File.Move($"{name}.part", $"{name}.frames", overwrite: true);
            RemoveOld();
            return $"{name}.txt";
        }
    }

    /// <summary>A new file in place of one that may be there, whoever may read that.</summary>
    private static FileStream Create(string path)
    {
        File.Delete(path);
        return new FileStream(path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnersFile });
    }

    private static IEnumerable<string> Lines(DivergenceReport report)
    {
        yield return $"VM {report.Vm}, {report.Side} on {report.Node}, generation {report.Session.Generation}, attempt {report.Session.Attempt}";
        yield return $"replay left the recording at entry {report.Lsn}, icount {report.Icount}: {report.What}";
        if (report.Side == "primary")
        {
            yield return report.Differences.IsEmpty
                ? "registers and pages are equal, or the digest is not kept any more: the difference is in a device, or unknown"
                : $"{report.Differences.Length} registers and pages differ, the first: {report.Differences[0]}";
            foreach (string difference in report.Differences)
            {
                yield return "  " + difference;
            }
        }
        yield return $"the newest {Math.Min(EntriesShown, report.Log.Length)} of {report.Log.Length} log entries kept:";
        foreach (LogEntry entry in report.Log.Skip(report.Log.Length - EntriesShown))
        {
            yield return $"  {entry.Lsn} icount {entry.Icount} {entry.Payload}";
        }
    }

    private void RemoveOld()
    {
        foreach (FileInfo old in new DirectoryInfo(folder).GetFiles("*.txt").OrderByDescending(file => file.LastWriteTimeUtc).Skip(reportsMax))
        {
            File.Delete(Path.ChangeExtension(old.FullName, ".frames"));
            old.Delete();
        }
    }
}
