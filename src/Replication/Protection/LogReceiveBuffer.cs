using FtAkka.Replication.Log;

namespace FtAkka.Replication.Protection;

/// <summary>What became of a received run of entries.</summary>
/// <param name="Fresh">Entries that continue the log here, for replay; to be acknowledged.</param>
/// <param name="Gap">Entries before these are missing: the primary must send again.</param>
/// <param name="Full">There was no room for all: the primary will send again once it hears nothing.</param>
public readonly record struct LogReception(IReadOnlyList<LogEntry> Fresh, bool Gap, bool Full);

/// <summary>
/// The backup's end of the log channel: takes each entry once and in order, whatever the channel repeats or loses, bounded by what has
/// been received and not executed. Pure.
/// </summary>
public sealed class LogReceiveBuffer
{
    private readonly ProtectionOptions _options;
    private readonly Queue<(Lsn Lsn, int Bytes)> _waiting = new();

    /// <param name="options">Limits.</param>
    /// <param name="start">The newest entry that is part of the copy replay begins from.</param>
    public LogReceiveBuffer(ProtectionOptions options, Lsn start)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        LastReceived = LastExecuted = start;
    }

    /// <summary>Every entry up to here was received: what may be acknowledged.</summary>
    public Lsn LastReceived { get; private set; }

    /// <summary>Every entry up to here was executed.</summary>
    public Lsn LastExecuted { get; private set; }

    /// <summary>Entries received and not executed.</summary>
    public int Count => _waiting.Count;

    /// <summary>Bytes of the same.</summary>
    public long Bytes { get; private set; }

    /// <summary>Takes entries that follow each other without gap.</summary>
    public LogReception Receive(IReadOnlyList<LogEntry> entries)
    {
        ArgumentNullException.ThrowIfNull(entries);
        if (entries.Count == 0 || entries[^1].Lsn <= LastReceived)
            return new LogReception([], false, false);
        if (entries[0].Lsn > LastReceived.Next)
            return new LogReception([], true, false);
        var fresh = new List<LogEntry>();
        foreach (var entry in entries)
        {
            if (entry.Lsn <= LastReceived)
                continue;
            int bytes = LogSendBuffer.SizeOf(entry);
            if (_waiting.Count > 0 && (_waiting.Count >= _options.LogEntriesMax || Bytes + bytes > _options.LogBytesMax))
                return new LogReception(fresh, false, true);
            _waiting.Enqueue((entry.Lsn, bytes));
            Bytes += bytes;
            LastReceived = entry.Lsn;
            fresh.Add(entry);
        }
        return new LogReception(fresh, false, false);
    }

    /// <summary>Replay has executed everything up to here.</summary>
    public void Executed(Lsn lsn)
    {
        while (_waiting.TryPeek(out var head) && head.Lsn <= lsn)
        {
            Bytes -= head.Bytes;
            LastExecuted = head.Lsn;
            _waiting.Dequeue();
        }
    }
}
