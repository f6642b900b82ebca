using FtAkka.Cpu;
using FtAkka.Machine.Boot;
using FtAkka.Replication.Log;
using FtAkka.Replication.Snapshots;

namespace FtAkka.Recordings;

/// <summary>When what is written is forced to the disk, so that it survives a crash of the host. A crash of the process alone loses nothing written.</summary>
public enum RecordingSync
{
    /// <summary>Never: the host's cache decides.</summary>
    Never,

    /// <summary>At each keyframe and at the end.</summary>
    Keyframe,

    /// <summary>Behind each write of the log, at most ten times a second.</summary>
    Always,
}

/// <summary>
/// Writes a recording's folder on a thread of its own: the machine only hands over entries and copies of pages. When the disk is slower than the
/// machine for long, the machine waits: memory is bounded by <see cref="PendingBytesMax"/> and one keyframe.
/// </summary>
public sealed class RecordingWriter : IDisposable
{
    /// <summary>Entries that may wait to be written, in bytes of their content.</summary>
    public const long PendingBytesMax = 64 << 20;

    /// <summary>Entries are written this long after they were made, or earlier.</summary>
    private static readonly TimeSpan FlushInterval = TimeSpan.FromMilliseconds(100);

    private const long WriteNowBytes = 1 << 20;

    /// <summary>An index record at most every so many bytes of log.</summary>
    private const long IndexEveryBytes = 256 << 10;

    /// <summary>What an entry takes besides its payload, about.</summary>
    private const int EntryBytes = 64;

    private readonly string folder;
    private readonly RecordingSync sync;
    private readonly FileStream log;
    private readonly FileStream index;
    private readonly Thread thread;
    private readonly object gate = new();
    private List<LogEntry> pending = [];
    private long pendingBytes;
    private SnapshotCapture? capture;
    private bool closing;
    private Exception? failure;
    private long indexedUpTo;

    private RecordingWriter(string folder, RecordingManifest manifest, RecordingSync sync)
    {
        this.folder = folder;
        this.sync = sync;
        Recording = manifest.Recording;
        log = Create(RecordingFiles.Log);
        index = Create(RecordingFiles.Index);
        log.Write(new LogFileHeader(manifest.Recording).Write());
        thread = new Thread(Work) { IsBackground = true, Name = "recording" };
        thread.Start();
    }

    /// <summary>Identity of the recording.</summary>
    public Guid Recording { get; }

    /// <summary>Bytes of log written so far.</summary>
    public long LogBytes { get; private set; } = LogFileHeader.SizeBytes;

    /// <summary>Bytes of snapshots written so far.</summary>
    public long SnapshotBytes { get; private set; }

    /// <summary>Starts a recording of a machine with the present CPU semantics, as every machine but that of a replay has.</summary>
    /// <exception cref="RecordingException">The folder holds a recording already, or cannot be written.</exception>
    public static RecordingWriter Create(string folder, RecordingManifest manifest, RecordingSync sync)
    {
        ArgumentNullException.ThrowIfNull(manifest);
        try
        {
            Directory.CreateDirectory(folder);
            string manifestFile = Path.Combine(folder, RecordingFiles.Manifest);
            if (File.Exists(manifestFile) || File.Exists(Path.Combine(folder, RecordingFiles.Log)))
            {
                throw new RecordingException($"{folder} holds a recording already; choose another folder, or remove this one.");
            }
            var writer = new RecordingWriter(folder, manifest, sync);
            File.WriteAllText(manifestFile, (manifest with { Semantics = CpuSemantics.Current }).ToJson());
            return writer;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new RecordingException($"The recording cannot be written to {folder}: {refused.Message}", refused);
        }
    }

    /// <summary>Takes entries, which follow those given before without gap. Waits while too many are pending.</summary>
    /// <exception cref="RecordingException">Writing has failed.</exception>
    public void Append(IReadOnlyList<LogEntry> entries)
    {
        ArgumentNullException.ThrowIfNull(entries);
        if (entries.Count == 0)
        {
            return;
        }
        lock (gate)
        {
            while (pendingBytes > PendingBytesMax && failure is null)
            {
                Monitor.Wait(gate);
            }
            ThrowIfFailed();
            pending.AddRange(entries);
            foreach (LogEntry entry in entries)
            {
                pendingBytes += EntryBytes + LogEntries.ContentBytes(entry);
            }
            if (pendingBytes > WriteNowBytes)
            {
                Monitor.PulseAll(gate);
            }
        }
    }

    /// <summary>Takes a keyframe. Waits while the one before is still being written.</summary>
    /// <exception cref="RecordingException">Writing has failed.</exception>
    public void AddKeyframe(SnapshotCapture keyframe)
    {
        lock (gate)
        {
            while (capture is not null && failure is null)
            {
                Monitor.Wait(gate);
            }
            ThrowIfFailed();
            capture = keyframe;
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>Writes what the machine boots from, at once: from its first restart on, a replay needs it.</summary>
    /// <exception cref="RecordingException">Writing has failed.</exception>
    public void WriteBootFiles(BootFiles files)
    {
        ArgumentNullException.ThrowIfNull(files);
        string path = Path.Combine(folder, RecordingFiles.Boot);
        try
        {
            using (var file = new FileStream(path + RecordingFiles.Unfinished, FileMode.Create, FileAccess.Write, FileShare.Read))
            {
                foreach (ReadOnlyMemory<byte> piece in files.Pieces)
                {
                    file.Write(piece.Span);
                }
                file.Flush(sync != RecordingSync.Never);
            }
            File.Move(path + RecordingFiles.Unfinished, path, overwrite: true);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new RecordingException($"The recording in {folder} ends here: {refused.Message}", refused);
        }
    }

    /// <summary>Writes everything taken so far and closes the files. The second call does nothing.</summary>
    /// <exception cref="RecordingException">Writing has failed: the recording ends earlier.</exception>
    public void Close()
    {
        lock (gate)
        {
            closing = true;
            Monitor.PulseAll(gate);
        }
        thread.Join();
        lock (gate)
        {
            ThrowIfFailed();
        }
    }

    /// <summary>As <see cref="Close"/>, but keeps an error to itself.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            closing = true;
            Monitor.PulseAll(gate);
        }
        thread.Join();
    }

    private void ThrowIfFailed()
    {
        if (failure is not null)
        {
            throw new RecordingException($"The recording in {folder} ends here: {failure.Message}", failure);
        }
    }

    private void Work()
    {
        try
        {
            while (WorkOnce())
            {
            }
            Finish();
        }
#pragma warning disable CA1031 // Whatever stops the writer must reach the machine's thread as an error, not end the process.
        catch (Exception broken)
#pragma warning restore CA1031
        {
            lock (gate)
            {
                failure = broken;
                Monitor.PulseAll(gate);
            }
        }
        finally
        {
            log.Dispose();
            index.Dispose();
        }
    }

    /// <summary>Writes what is pending, or waits for it. False: closed, and nothing is left.</summary>
    private bool WorkOnce()
    {
        List<LogEntry> entries;
        SnapshotCapture? keyframe;
        lock (gate)
        {
            if (!closing && capture is null && pendingBytes <= WriteNowBytes)
            {
                Monitor.Wait(gate, FlushInterval);
            }
            if (pending.Count == 0 && capture is null)
            {
                return !closing;
            }
            (entries, pending, pendingBytes) = (pending, [], 0);
            keyframe = capture;
            Monitor.PulseAll(gate);
        }
        WriteLog(entries);
        if (keyframe is not null)
        {
            // The entry that tells of the keyframe was appended before it: log first.
            WriteKeyframe(keyframe);
            lock (gate)
            {
                capture = null;
                Monitor.PulseAll(gate);
            }
        }
        return true;
    }

    private void WriteLog(List<LogEntry> entries)
    {
        Span<byte> record = stackalloc byte[LogIndexRecord.SizeBytes];
        foreach (ReadOnlyMemory<byte> frame in LogFrame.WriteAll(entries))
        {
            if (indexedUpTo == 0 || LogBytes - indexedUpTo >= IndexEveryBytes)
            {
                LogFrame.IndexRecordOf(frame.Span, LogBytes).Write(record);
                index.Write(record);
                indexedUpTo = LogBytes;
            }
            log.Write(frame.Span);
            LogBytes += frame.Length;
        }
        log.Flush(sync == RecordingSync.Always);
        index.Flush();
    }

    private void WriteKeyframe(SnapshotCapture keyframe)
    {
        string path = Path.Combine(folder, RecordingFiles.Snapshot(keyframe.Header.Icount));
        string unfinished = path + RecordingFiles.Unfinished;
        using (var file = new FileStream(unfinished, FileMode.Create, FileAccess.Write, FileShare.Read))
        {
            foreach (ReadOnlyMemory<byte> piece in SnapshotEncoder.Encode(keyframe))
            {
                file.Write(piece.Span);
                SnapshotBytes += piece.Length;
            }
            file.Flush(sync != RecordingSync.Never);
        }
        // A name without the suffix is a whole snapshot, whatever happens to the process.
        File.Move(unfinished, path, overwrite: true);
        log.Flush(sync != RecordingSync.Never);
    }

    private void Finish()
    {
        log.Flush(sync != RecordingSync.Never);
        index.Flush(sync != RecordingSync.Never);
    }

    private FileStream Create(string name) =>
        new(Path.Combine(folder, name), FileMode.CreateNew, FileAccess.Write, FileShare.Read, 64 << 10);
}
