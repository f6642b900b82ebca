using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Log;

namespace FtAkka.Replication.Protection;

/// <summary>Entries that go out as one message.</summary>
/// <param name="Entries">Without gap.</param>
/// <param name="Recorded">When the last of them was recorded.</param>
public sealed record LogBatch(IReadOnlyList<LogEntry> Entries, Instant Recorded);

/// <summary>
/// The primary's end of the log channel: keeps every entry until the backup has acknowledged it, says when to send what, and begins
/// again where the backup stands after a loss or a reconnect. Pure.
/// </summary>
public sealed class LogSendBuffer
{
    private readonly record struct Kept(LogEntry Entry, Instant Recorded, int Bytes);

    private readonly ProtectionOptions _options;
    private readonly List<Kept> _kept = [];
    private int _acknowledgedCount;
    private Instant _progress;
    private Lsn _urgent;
    private Lsn _resumedFrom;
    private Instant? _resumedAt;
    private bool _full;

    /// <param name="options">Limits and flush policy.</param>
    /// <param name="start">The newest entry that is part of the copy the backup begins from.</param>
    /// <param name="now">Time.</param>
    public LogSendBuffer(ProtectionOptions options, Lsn start, Instant now)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        LastAppended = LastSent = Acknowledged = start;
        _progress = now;
    }

    /// <summary>Newest entry.</summary>
    public Lsn LastAppended { get; private set; }

    /// <summary>Newest entry handed out for sending.</summary>
    public Lsn LastSent { get; private set; }

    /// <summary>Newest entry the backup has received, with all before it.</summary>
    public Lsn Acknowledged { get; private set; }

    /// <summary>Entries kept.</summary>
    public int Count => _kept.Count - _acknowledgedCount;

    /// <summary>Bytes kept, roughly as they stand on the wire.</summary>
    public long Bytes { get; private set; }

    /// <summary>The machine must stop. True from full until half of it is acknowledged.</summary>
    public bool MustStop => _full;

    /// <summary>Beyond its limits.</summary>
    public bool IsFull => Count >= _options.LogEntriesMax || Bytes >= _options.LogBytesMax;

    /// <summary>Takes the next entry. A full buffer takes it nonetheless: the quantum that filled it has run.</summary>
    public void Append(Instant now, LogEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        ArgumentOutOfRangeException.ThrowIfNotEqual(entry.Lsn, LastAppended.Next);
        if (Count == 0)
            _progress = now;
        int bytes = SizeOf(entry);
        _kept.Add(new Kept(entry, now, bytes));
        Bytes += bytes;
        LastAppended = entry.Lsn;
        // An output waits for the acknowledgement of its mark, and the end of the machine ends the traffic that would carry it along.
        if (entry.Payload is OutputMarkPayload or EndPayload)
            _urgent = entry.Lsn;
        _full |= IsFull;
    }

    /// <summary>What is due: everything once an output mark waits or a batch is full or old, nothing otherwise.</summary>
    public IReadOnlyList<LogBatch> Flush(Instant now)
    {
        if (LastSent == LastAppended)
            return [];
        int first = IndexOf(LastSent.Next);
        if (_urgent <= LastSent && now - _kept[first].Recorded < _options.BatchDelayMax && !BatchIsFull(first))
            return [];
        var batches = new List<LogBatch>();
        while (first < _kept.Count)
        {
            var entries = new List<LogEntry>();
            long bytes = 0;
            int next = first;
            for (; next < _kept.Count && (entries.Count == 0 || bytes + _kept[next].Bytes <= _options.BatchBytesMax); next++)
            {
                entries.Add(_kept[next].Entry);
                bytes += _kept[next].Bytes;
            }
            batches.Add(new LogBatch(entries, _kept[next - 1].Recorded));
            first = next;
        }
        LastSent = LastAppended;
        return batches;
    }

    /// <summary>The backup has received everything up to here. Numbers that were never sent are ignored.</summary>
    public void Acknowledge(Instant now, Lsn received)
    {
        if (received <= Acknowledged || received > LastAppended)
            return;
        int count = (int)(received.Value - Acknowledged.Value);
        for (int i = _acknowledgedCount; i < _acknowledgedCount + count; i++)
            Bytes -= _kept[i].Bytes;
        _acknowledgedCount += count;
        Acknowledged = received;
        LastSent = LastSent < received ? received : LastSent;
        _progress = now;
        if (_acknowledgedCount > 256 && _acknowledgedCount * 2 > _kept.Count)
        {
            _kept.RemoveRange(0, _acknowledgedCount);
            _acknowledgedCount = 0;
        }
        _full &= Count * 2 > _options.LogEntriesMax || Bytes * 2 > _options.LogBytesMax;
    }

    /// <summary>
    /// The backup stands at <paramref name="received"/> and misses what follows. Everything after it is sent again by the next
    /// <see cref="Flush"/>.
    /// </summary>
    /// <returns>False if entries it misses are gone: it can only be cloned again.</returns>
    public bool TryResume(Instant now, Lsn received)
    {
        if (received < Acknowledged || received > LastAppended)
            return false;
        Acknowledge(now, received);
        // Every frame behind a lost one asks for it: one answer is enough, or each answer would bring as many questions again.
        bool answered = _resumedAt is { } at && received <= _resumedFrom && now - at < _options.ResendAfter;
        if (answered)
            return true;
        if (LastSent > received)
        {
            LastSent = received;
            _urgent = LastAppended;
        }
        (_resumedFrom, _resumedAt, _progress) = (received, now, now);
        return true;
    }

    /// <summary>Sends again what has not been acknowledged for <see cref="ProtectionOptions.ResendAfter"/>: the channel may have lost it.</summary>
    public void ResendWhenStuck(Instant now)
    {
        if (LastSent > Acknowledged && now - _progress >= _options.ResendAfter)
            TryResume(now, Acknowledged);
    }

    private bool BatchIsFull(int first)
    {
        long bytes = 0;
        for (int i = first; i < _kept.Count && bytes < _options.BatchBytesMax; i++)
            bytes += _kept[i].Bytes;
        return bytes >= _options.BatchBytesMax;
    }

    private int IndexOf(Lsn lsn) => _acknowledgedCount + (int)(lsn.Value - Acknowledged.Value - 1);

    /// <summary>Bytes that an entry counts for in both ends' buffers.</summary>
    public static int SizeOf(LogEntry entry) => 24 + entry.Payload switch
    {
        InputPayload { Input: NetReceive net } => net.Frame.Length,
        InputPayload { Input: DiskCompleted disk } => disk.Completion.Data.Length,
        InputPayload { Input: ConsoleInput console } => console.Bytes.Length,
        _ => 0,
    };
}
