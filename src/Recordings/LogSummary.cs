using FtAkka.Machine.Events;
using FtAkka.Replication.Log;

namespace FtAkka.Recordings;

/// <summary>How many entries of a kind a log has, and what they take.</summary>
/// <param name="Kind">The kind.</param>
/// <param name="Entries">How many.</param>
/// <param name="Bytes">Bytes in the log, without the frames around them.</param>
/// <param name="EntriesPerGuestSecond">Per second of guest time.</param>
/// <param name="BytesPerGuestSecond">Per second of guest time.</param>
public sealed record KindRate(LogEntryKind Kind, ulong Entries, ulong Bytes, double EntriesPerGuestSecond, double BytesPerGuestSecond);

/// <summary>What a log amounts to.</summary>
/// <param name="Entries">Entries in all.</param>
/// <param name="LastIcount">Icount of the last one.</param>
/// <param name="GuestSeconds">Guest time, by the clock advances.</param>
/// <param name="LogBytes">Bytes of the log that can be read, frames included.</param>
/// <param name="BytesPerGuestSecond">Per second of guest time.</param>
/// <param name="MegabitPerGuestSecond">The same in Mbit/s.</param>
/// <param name="BytesPerThousandInstructions">Per thousand instructions.</param>
/// <param name="Kinds">By kind.</param>
/// <param name="Cut">Where and why the log was cut; null if it is whole.</param>
public sealed record LogSummary(
    ulong Entries,
    ulong LastIcount,
    double GuestSeconds,
    long LogBytes,
    double BytesPerGuestSecond,
    double MegabitPerGuestSecond,
    double BytesPerThousandInstructions,
    IReadOnlyList<KindRate> Kinds,
    string? Cut);

/// <summary>Adds up a log as it is read.</summary>
public sealed class LogTally(ulong tscHz)
{
    private readonly SortedDictionary<LogEntryKind, (ulong Entries, ulong Bytes)> kinds = [];
    private ulong? firstTsc;
    private ulong lastTsc;
    private ulong entries;
    private ulong lastIcount;

    /// <summary>Whether nothing was added.</summary>
    public bool IsEmpty => entries == 0;

    public void Add(LogEntry entry)
    {
        LogEntryKind kind = LogEntries.KindOf(entry);
        (ulong count, ulong bytes) = kinds.GetValueOrDefault(kind);
        kinds[kind] = (count + 1, bytes + (ulong)LogEntries.Encode(entry, entries == 0 ? entry.Icount : lastIcount).Length);
        entries++;
        lastIcount = entry.Icount;
    }

    /// <summary>Follows the guest's clock, also past entries that are not counted.</summary>
    public void Pass(LogEntry entry)
    {
        if (entry.Payload is InputPayload { Input: ClockAdvance clock })
        {
            firstTsc ??= clock.Tsc;
            lastTsc = clock.Tsc;
        }
    }

    public LogSummary Summary(long logBytes, LogTail? tail)
    {
        double seconds = (lastTsc - (firstTsc ?? 0)) / (double)tscHz;
        double PerSecond(double amount) => seconds > 0 ? Math.Round(amount / seconds, 3) : 0;
        return new LogSummary(
            entries,
            lastIcount,
            Math.Round(seconds, 6),
            logBytes,
            PerSecond(logBytes),
            PerSecond(logBytes * 8 / 1e6),
            lastIcount > 0 ? Math.Round(logBytes * 1000.0 / lastIcount, 6) : 0,
            [.. kinds.Select(kind => new KindRate(kind.Key, kind.Value.Entries, kind.Value.Bytes, PerSecond(kind.Value.Entries), PerSecond(kind.Value.Bytes)))],
            tail?.ToString());
    }
}
