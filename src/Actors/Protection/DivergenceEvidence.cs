using System.Collections.Immutable;
using FtAkka.Replication.Log;
using FtAkka.Replication.Protection;

namespace FtAkka.Actors.Protection;

/// <summary>One side's account of a divergence, to be kept for people.</summary>
/// <param name="Vm">The VM.</param>
/// <param name="Node">The node of this side.</param>
/// <param name="Side">"primary" or "backup".</param>
/// <param name="Session">The session, which both sides share.</param>
/// <param name="Lsn">The entry at which replay left the recording.</param>
/// <param name="Icount">The icount there.</param>
/// <param name="What">What was noticed.</param>
/// <param name="Differences">Registers and pages that differ, first ones first; known to the primary only.</param>
/// <param name="Log">The newest entries that this side recorded or received.</param>
public sealed record DivergenceReport(string Vm, string Node, string Side, ChannelSession Session, Lsn Lsn, ulong Icount, string What,
    ImmutableArray<string> Differences, ImmutableArray<LogEntry> Log);

/// <summary>
/// Keeps what a divergence will be explained with: the newest part of the log, and on the primary the state at the digests that the backup may not
/// have checked yet. Bounded. Used under the lock of the <see cref="ReplicaShell"/>.
/// </summary>
internal sealed class DivergenceEvidence(long logBytesMax)
{
    /// <summary>More digests than a backup lags behind: it is stopped for at a second.</summary>
    private const int WitnessesMax = 64;

    private const int PagesMax = 1 << 20;

    private readonly Queue<(LogEntry Entry, int Bytes)> log = new();
    private readonly Queue<StateWitness> witnesses = new();
    private long bytes;
    private long pages;

    /// <summary>The newest entries.</summary>
    public ImmutableArray<LogEntry> Log => [.. log.Select(kept => kept.Entry)];

    /// <summary>A new session begins.</summary>
    public void Clear()
    {
        log.Clear();
        witnesses.Clear();
        (bytes, pages) = (0, 0);
    }

    /// <summary>Keeps entries, and forgets the oldest.</summary>
    public void Keep(IReadOnlyList<LogEntry> entries)
    {
        foreach (LogEntry entry in entries)
        {
            int size = LogSendBuffer.SizeOf(entry);
            log.Enqueue((entry, size));
            bytes += size;
        }
        while (bytes > logBytesMax && log.TryDequeue(out (LogEntry Entry, int Bytes) oldest))
        {
            bytes -= oldest.Bytes;
        }
    }

    /// <summary>Keeps the state at a digest, and forgets the oldest.</summary>
    public void Keep(StateWitness witness)
    {
        witnesses.Enqueue(witness);
        pages += witness.Pages.Length;
        while (witnesses.Count > WitnessesMax || (pages > PagesMax && witnesses.Count > 1))
        {
            pages -= witnesses.Dequeue().Pages.Length;
        }
    }

    /// <summary>The state at an icount; null if it is not kept (any more).</summary>
    public StateWitness? At(ulong icount) => witnesses.LastOrDefault(witness => witness.Icount == icount);
}
