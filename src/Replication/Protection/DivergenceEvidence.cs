using System.Collections.Immutable;
using FtAkka.Replication.Log;

namespace FtAkka.Replication.Protection;

/// <summary>One side's account of a divergence, to be kept for people.</summary>
/// <param name="Vm">The VM.</param>
/// <param name="Node">The node of this side.</param>
/// <param name="Side">"primary" or "backup".</param>
/// <param name="Session">The session, which both sides share.</param>
/// <param name="Lsn">The entry at which replay left the recording.</param>
/// <param name="Icount">The icount there.</param>
/// <param name="What">What was noticed.</param>
/// <param name="Differences">Registers and _pages that differ, first ones first; known to the primary only.</param>
/// <param name="Log">The newest entries that this side recorded or received.</param>
public sealed record DivergenceReport(string Vm, string Node, string Side, ChannelSession Session, Lsn Lsn, ulong Icount, string What,
    ImmutableArray<string> Differences, ImmutableArray<LogEntry> Log);

/// <summary>
/// Keeps what a divergence will be explained with: the newest part of the log, and on the primary the state at the digests that the backup may not
/// have checked yet. Bounded.
/// </summary>
internal sealed class DivergenceEvidence(long logBytesMax)
{
    /// <summary>More digests than a backup lags behind: it is stopped for at a second.</summary>
    private const int WitnessesMax = 64;

    private const int PagesMax = 1 << 20;

    private readonly Queue<(LogEntry Entry, int Bytes)> _log = new();
    private readonly Queue<StateWitness> _witnesses = new();
    private long _bytes;
    private long _pages;

    /// <summary>The newest entries.</summary>
    public ImmutableArray<LogEntry> Log => [.. _log.Select(kept => kept.Entry)];

    /// <summary>A new session begins.</summary>
    public void Clear()
    {
        _log.Clear();
        _witnesses.Clear();
        (_bytes, _pages) = (0, 0);
    }

    /// <summary>Keeps entries, and forgets the oldest.</summary>
    public void Keep(IReadOnlyList<LogEntry> entries)
    {
        foreach (LogEntry entry in entries)
        {
            int size = LogSendBuffer.SizeOf(entry);
            _log.Enqueue((entry, size));
            _bytes += size;
        }
        while (_bytes > logBytesMax && _log.TryDequeue(out (LogEntry Entry, int Bytes) oldest))
        {
            _bytes -= oldest.Bytes;
        }
    }

    /// <summary>Keeps the state at a digest, and forgets the oldest.</summary>
    public void Keep(StateWitness witness)
    {
        _witnesses.Enqueue(witness);
        _pages += witness.Pages.Length;
        while (_witnesses.Count > WitnessesMax || (_pages > PagesMax && _witnesses.Count > 1))
        {
            _pages -= _witnesses.Dequeue().Pages.Length;
        }
    }

    /// <summary>The state at an icount; null if it is not kept (any more).</summary>
    public StateWitness? At(ulong icount) => _witnesses.LastOrDefault(witness => witness.Icount == icount);
}
