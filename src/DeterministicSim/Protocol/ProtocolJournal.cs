using System.Collections.Immutable;
using FtAkka.DeterministicSim.Reports;
using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Machine.Events;
using FtAkka.Replication.Messages;

namespace FtAkka.DeterministicSim.Protocol;

/// <summary>
/// What happened in a run: its hash, its counters and its time line. Text is made when somebody reads it; the last events are always kept, so that a
/// violation can be told with what led to it.
/// </summary>
internal sealed class ProtocolJournal(bool keepAll)
{
    private const int KeptMost = 400;
    private const ulong Prime = 0x9E37_79B9_7F4A_7C15;

    private readonly Queue<Entry> _entries = new();
    private readonly long[] _effects = new long[Enum.GetValues<FaultKind>().Length];
    private readonly long[] _moments = new long[Enum.GetValues<NamedMoment>().Length];
    private readonly long[] _crashes = new long[Enum.GetValues<NamedMoment>().Length];
    private ulong _low = 0x243F_6A88_85A3_08D3;
    private ulong _high = 0x1319_8A2E_0370_7344;

    private readonly record struct Entry(long Time, string Host, TimelineKind Kind, object What, string? To);

    /// <summary>How often states and transitions were met that no fault or moment names.</summary>
    public SortedDictionary<string, long> Counters { get; } = new(StringComparer.Ordinal);

    public string TraceHash => $"{_high:x16}{_low:x16}";

    public void Count(string what) => Counters[what] = Counters.GetValueOrDefault(what) + 1;

    public void Effect(FaultKind kind) => _effects[(int)kind]++;

    public void Reached(NamedMoment moment) => _moments[(int)moment]++;

    public void CrashedAt(NamedMoment moment) => _crashes[(int)moment]++;

    public long Effects(FaultKind kind) => _effects[(int)kind];

    public void Add(long time, string host, TimelineKind kind, object what, string? to = null)
    {
        Hash((ulong)time, ((ulong)kind << 32) ^ (host.Length > 0 ? host[0] : 0ul) ^ (to is null ? 0 : (ulong)to[0] << 16));
        if (what is string text)
        {
            foreach (char c in text)
            {
                Hash(c, Prime);
            }
        }
        else
        {
            HashMessage(what);
        }
        _entries.Enqueue(new Entry(time, host, kind, what, to));
        if (!keepAll && _entries.Count > KeptMost)
        {
            _entries.Dequeue();
        }
    }

    public void Hash(ulong first, ulong second)
    {
        _low = (ulong.RotateLeft(_low, 23) ^ first) * Prime;
        _high = (ulong.RotateLeft(_high, 31) ^ second ^ (_low >> 32)) * 0xD6E8_FEB8_6659_FD93;
    }

    public ImmutableArray<TimelineEvent> Timeline() =>
        [.. _entries.Select(entry => new TimelineEvent(new TimeSpan(entry.Time), entry.Host, entry.Kind, Describe(entry.What), entry.To))];

    public ImmutableSortedDictionary<FaultKind, long> Effects() => Table<FaultKind>(_effects);

    public ImmutableSortedDictionary<NamedMoment, long> Moments() => Table<NamedMoment>(_moments);

    public ImmutableSortedDictionary<NamedMoment, long> Crashes() => Table<NamedMoment>(_crashes);

    private static ImmutableSortedDictionary<T, long> Table<T>(long[] counts)
        where T : struct, Enum =>
        Enum.GetValues<T>().Where((_, index) => counts[index] > 0).ToImmutableSortedDictionary(value => value, value => counts[Convert.ToInt32(value, null)]);

    private void HashMessage(object what)
    {
        switch (what)
        {
            case LogAppend append:
                Hash(append.FirstLsn, append.LastLsn);
                Hash(append.ReleasedOutput, (ulong)append.Frames.Length);
                break;
            case LogAck ack:
                Hash(ack.ReceivedLsn, ack.ExecutedLsn);
                break;
            case ICloneChunk chunk:
                Hash(chunk.Sequence, chunk.Attempt);
                break;
            case MachineEffect effect:
                Hash(effect.Icount, 1);
                break;
            case IChannelMessage message:
                Hash(message.Generation, message.Attempt);
                break;
            default:
                break;
        }
    }

    private static string Describe(object what) => what switch
    {
        string text => text,
        LogAppend { Frames.Length: 0 } append => $"alive (generation {append.Generation}, released {append.ReleasedOutput}{(append.Entitled ? ", entitled" : "")})",
        LogAppend append => $"log {append.FirstLsn}..{append.LastLsn} (generation {append.Generation}, released {append.ReleasedOutput}{(append.Entitled ? ", entitled" : "")})",
        LogAck ack => $"ack {ack.ReceivedLsn}, executed {ack.ExecutedLsn}{(ack.Resend ? ", send again" : "")}",
        LogReleased released => $"released {released.ReleasedOutput}",
        FailoverYield yielded => $"yield at {yielded.LastLsn}",
        ChannelClosed closed => $"closed: {closed.Reason}",
        CloneOffer offer => $"clone offer (generation {offer.Generation}, attempt {offer.Attempt})",
        CloneAnswer { Refusal.Length: 0 } => "clone accepted",
        CloneAnswer answer => $"clone refused: {answer.Refusal}",
        ClonePages pages => $"clone pages {pages.Sequence}",
        CloneState state => $"clone state {state.Sequence}",
        CloneFinish finish => $"clone finish {finish.Sequence} at icount {finish.Icount}",
        CloneProgress progress => $"clone progress {progress.NextSequence}",
        CloneAssembled => "clone assembled",
        BackupFitness fitness => fitness.Refusal.Length > 0 ? $"backup could not go live: {fitness.Refusal}" : "backup could go live",
        ConsoleOutput console => $"console {console.StreamOffset}+{console.Bytes.Length}",
        NetTransmit => "frame",
        DiskRequested disk => $"disk {disk.Request.Kind} {disk.Request.Id} of sector {disk.Request.Sector}",
        _ => what.GetType().Name,
    };
}
