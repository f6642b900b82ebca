using System.Globalization;

namespace FtAkka.Recordings;

/// <summary>Names of the files in a recording's folder; see docs/log-format.md.</summary>
internal static class RecordingFiles
{
    public const string Manifest = "manifest.json";
    public const string Log = "log.ftlog";
    public const string Index = "log.ftindex";

    /// <summary>What the machine boots from; only in recordings of a machine that was started again.</summary>
    public const string Boot = "boot.ftboot";
    public const string SnapshotPattern = "*.ftsnap";

    /// <summary>Suffix of a snapshot that is still being written.</summary>
    public const string Unfinished = ".part";

    /// <summary>Name of a snapshot; names sort by icount.</summary>
    public static string Snapshot(ulong icount) => string.Create(CultureInfo.InvariantCulture, $"snapshot-{icount:d20}.ftsnap");
}
