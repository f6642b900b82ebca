using FtAkka.Replication.Log;

namespace FtAkka.Recordings;

/// <summary>Where and why the readable part of a log ends, other than by the end of the file.</summary>
/// <param name="Offset">Byte offset of the first byte that is not read.</param>
/// <param name="CutBytes">Bytes from there to the end of the file.</param>
/// <param name="LastLsn">The last entry before it.</param>
/// <param name="LastIcount">Its icount.</param>
/// <param name="Reason">What is wrong, for people.</param>
/// <param name="IsTorn">The bytes end within a frame, as when the recorder was killed; otherwise they are damaged.</param>
/// <param name="ReadableFrom">Where damage is followed by frames that the index still finds: icount of the first of them; null if there are none.</param>
public sealed record LogTail(long Offset, long CutBytes, Lsn LastLsn, ulong LastIcount, string Reason, bool IsTorn, ulong? ReadableFrom)
{
    /// <summary>For people: what is wrong, and what they can do.</summary>
    public override string ToString() =>
        $"the log is cut at byte {Offset}, behind entry {LastLsn} at icount {LastIcount}: {Reason}; the {CutBytes} bytes from there on are not used. "
        + (IsTorn ? "That is how a recording ends whose recorder was killed: up to there it is whole and can be used."
            : "Up to there it is whole and can be used; for the rest take a good copy of the file"
                + (ReadableFrom is { } icount ? $", or start from a keyframe at or behind icount {icount} (--from), where the log can be read again." : "."));
}

/// <summary>
/// Streams a log file, entry by entry, one frame in memory at a time. A tail that is torn or damaged is cut: it reads as the end, and <see cref="Tail"/>
/// says so.
/// </summary>
public sealed class LogFileReader : IDisposable
{
    private readonly FileStream file;
    private readonly FileStream? index;
    private readonly string path;
    private readonly Queue<LogEntry> entries = new();
    private byte[] buffer = new byte[64 << 10];
    private readonly long start;
    private long offset;
    private Lsn skipThrough;

    private LogFileReader(string path, FileStream file, FileStream? index, long start)
    {
        this.path = path;
        this.file = file;
        this.index = index;
        this.start = offset = start;
    }

    /// <summary>Set once reading has met a damaged tail.</summary>
    public LogTail? Tail { get; private set; }

    /// <summary>Number of the last entry of the frames read so far.</summary>
    public Lsn LastLsn { get; private set; }

    /// <summary>Its icount.</summary>
    public ulong LastIcount { get; private set; }

    /// <summary>Bytes read so far, as a position in the file; for progress and rates.</summary>
    public long Position => offset;

    /// <summary>Length of the file.</summary>
    public long Length => file.Length;

    /// <summary>Opens a log.</summary>
    /// <param name="path">The log file.</param>
    /// <param name="indexPath">Its index; if there is none, seeking reads from the start.</param>
    /// <param name="recording">The recording it must belong to.</param>
    /// <exception cref="RecordingException">It cannot be opened, or is no log of that recording.</exception>
    public static LogFileReader Open(string path, string indexPath, Guid recording)
    {
        try
        {
            var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 256 << 10);
            Span<byte> header = stackalloc byte[LogFileHeader.SizeBytes];
            int read = file.ReadAtLeast(header, header.Length, throwOnEndOfStream: false);
            LogFrameError error = LogFileHeader.TryRead(header[..read], out LogFileHeader found);
            if (error != LogFrameError.None || found.Recording != recording)
            {
                file.Dispose();
                throw new RecordingException($"{path}: {(error == LogFrameError.None ? "this log belongs to another recording" : Explain(error))}.");
            }
            FileStream? index = File.Exists(indexPath)
                ? new FileStream(indexPath, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete) : null;
            return new LogFileReader(path, file, index, LogFileHeader.SizeBytes);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw Refused(refused);
        }
    }

    /// <summary>Opens frames without a header, as a report of a divergence keeps them: the newest part of a log, from any entry on.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="RecordingException">It cannot be opened.</exception>
    public static LogFileReader OpenFrames(string path)
    {
        try
        {
            return new LogFileReader(path, new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 256 << 10), index: null, start: 0);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw Refused(refused);
        }
    }

    private static RecordingException Refused(Exception why) => new($"The log cannot be opened: {why.Message}", why);

    /// <summary>Goes to the entry behind <paramref name="after"/>.</summary>
    public void SeekBehind(Lsn after)
    {
        Reset(FindFrame(record => record.FirstLsn <= after.Next));
        skipThrough = after;
    }

    /// <summary>Goes to a frame whose entries begin at or before <paramref name="icount"/>; what is read from there on may begin a little earlier.</summary>
    public void SeekIcount(ulong icount)
    {
        // Entries of one icount may lie in several frames: the first of them counts.
        Reset(FindFrame(record => record.Icount < icount));
        skipThrough = Lsn.None;
    }

    /// <summary>Icount of the last entry, found by the index; null without one. Reading goes on from the start.</summary>
    public ulong? FindEnd()
    {
        if (FindFrame(_ => true) is not { } last)
        {
            return null;
        }
        Reset(last);
        while (ReadFrame())
        {
            entries.Clear();
        }
        ulong end = LastIcount;
        Reset(null);
        return end;
    }

    /// <summary>The next entry; null at the end, or where the rest is damaged.</summary>
    public LogEntry? Read()
    {
        while (entries.Count == 0)
        {
            if (!ReadFrame())
            {
                return null;
            }
        }
        return entries.Dequeue();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        file.Dispose();
        index?.Dispose();
    }

    private void Reset(LogIndexRecord? at)
    {
        entries.Clear();
        Tail = null;
        offset = start;
        (LastLsn, LastIcount) = (Lsn.None, 0);
        if (at is { } record && HasFrameAt(record))
        {
            offset = record.Offset;
            (LastLsn, LastIcount) = (new Lsn(record.FirstLsn.Value - 1), record.Icount);
        }
        file.Position = offset;
    }

    /// <summary>The last index record that satisfies a condition which holds for the first ones and not for the rest.</summary>
    private LogIndexRecord? FindFrame(Func<LogIndexRecord, bool> condition)
    {
        LogIndexRecord? found = null;
        long low = 0;
        long high = (index?.Length ?? 0) / LogIndexRecord.SizeBytes;
        while (low < high)
        {
            long middle = low + ((high - low) / 2);
            if (ReadIndex(middle) is not { } record)
            {
                return null;
            }
            if (condition(record))
            {
                (found, low) = (record, middle + 1);
            }
            else
            {
                high = middle;
            }
        }
        return found;
    }

    private LogIndexRecord? ReadIndex(long number)
    {
        Span<byte> bytes = stackalloc byte[LogIndexRecord.SizeBytes];
        int read = RandomAccess.Read(index!.SafeFileHandle, bytes, number * LogIndexRecord.SizeBytes);
        return LogIndexRecord.TryRead(bytes[..read]);
    }

    /// <summary>An index that does not fit its log, as after a crash of the host, must not lead astray.</summary>
    private bool HasFrameAt(LogIndexRecord record)
    {
        Span<byte> header = stackalloc byte[LogFrame.HeaderBytes];
        return record.Offset <= file.Length - header.Length
            && RandomAccess.Read(file.SafeFileHandle, header, record.Offset) == header.Length
            && LogFrame.LengthOf(header) > 0
            && LogFrame.IndexRecordOf(header, record.Offset) == record;
    }

    private bool ReadFrame()
    {
        if (Tail is not null)
        {
            return false;
        }
        int read = file.ReadAtLeast(buffer.AsSpan(0, LogFrame.HeaderBytes), LogFrame.HeaderBytes, throwOnEndOfStream: false);
        if (read == 0)
        {
            return false;
        }
        long length = LogFrame.LengthOf(buffer.AsSpan(0, read));
        if (length > buffer.Length)
        {
            Array.Resize(ref buffer, (int)length);
        }
        if (length > read)
        {
            read += file.ReadAtLeast(buffer.AsSpan(read, (int)length - read), (int)length - read, throwOnEndOfStream: false);
        }
        LogFrameError error = LogFrame.TryRead(buffer.AsMemory(0, read), out IReadOnlyList<LogEntry> frame, out int consumed);
        if (error != LogFrameError.None)
        {
            return Cut(Explain(error), error == LogFrameError.Incomplete);
        }
        if (offset == 0)
        {
            // Without a header, the first frame begins with any entry.
            LastLsn = new Lsn(frame[0].Lsn.Value - 1);
        }
        if (frame[0].Lsn != LastLsn.Next || frame[0].Icount < LastIcount)
        {
            return Cut($"entry {frame[0].Lsn} at icount {frame[0].Icount} follows entry {LastLsn} at icount {LastIcount}", isTorn: false);
        }
        offset += consumed;
        (LastLsn, LastIcount) = (frame[^1].Lsn, frame[^1].Icount);
        foreach (LogEntry entry in frame)
        {
            if (entry.Lsn > skipThrough)
            {
                entries.Enqueue(entry);
            }
        }
        return true;
    }

    private bool Cut(string reason, bool isTorn)
    {
        // A damaged length may point behind the end: only where the index knows of no frame there is the tail torn.
        ulong? readable = FindFrameBehind(offset);
        Tail = new LogTail(offset, file.Length - offset, LastLsn, LastIcount, $"{Path.GetFileName(path)}: {reason}", isTorn && readable is null, readable);
        return false;
    }

    /// <summary>Icount of the first frame behind an offset that the index finds; null if there is none.</summary>
    private ulong? FindFrameBehind(long damaged)
    {
        long count = (index?.Length ?? 0) / LogIndexRecord.SizeBytes;
        long low = 0;
        for (long high = count; low < high;)
        {
            long middle = low + ((high - low) / 2);
            (low, high) = ReadIndex(middle) is { } record && record.Offset > damaged ? (low, middle) : (middle + 1, high);
        }
        return low < count && ReadIndex(low) is { } found && found.Offset > damaged && HasFrameAt(found) ? found.Icount : null;
    }

    private static string Explain(LogFrameError error) => error switch
    {
        LogFrameError.Incomplete => "the last piece was not written to its end",
        LogFrameError.BadMagic => "these bytes are no log",
        LogFrameError.UnknownVersion => "it has a format that this version of ftakka does not know; the one that recorded it does",
        LogFrameError.TooLong => "a length is impossible",
        LogFrameError.BadChecksum => "the checksum does not fit the bytes",
        _ => "the content is not what this version writes",
    };
}
