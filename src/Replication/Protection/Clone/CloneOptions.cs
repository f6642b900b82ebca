using System.Collections.Immutable;
using FtAkka.Machine.Digest;
using FtAkka.Replication.Disks;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Protection.Clone;

/// <summary>Limits of a copy.</summary>
public sealed record CloneOptions
{
    /// <summary>Bytes of one chunk, roughly.</summary>
    public int ChunkBytes { get; init; } = 128 << 10;

    /// <summary>Chunks under way and not confirmed, at most.</summary>
    public int WindowChunks { get; init; } = 32;

    /// <summary>The same at least, however slow the way is.</summary>
    public int WindowChunksMin { get; init; } = 4;

    /// <summary>
    /// By how much chunks may delay what else is on the channel: heartbeats, the log, acknowledgements. Confirmations that take longer than the fastest
    /// seen by more than this make the window smaller.
    /// </summary>
    public TimeSpan QueueDelayMax { get; init; } = TimeSpan.FromMilliseconds(20);

    /// <summary>Bytes of chunks sent per second at most, on average; 0 for no limit.</summary>
    public long BytesPerSecondMax { get; init; }

    /// <summary>Rounds after which the machine is paused, however many pages are left.</summary>
    public int RoundsMax { get; init; } = 10;

    /// <summary>The machine is paused once the pages left could be sent in this time. It is paused only while they are copied in memory.</summary>
    public TimeSpan PauseTarget { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// Blocks of separate disks that are left at the switch are sent while the machine runs on; meanwhile the log grows. There is another round before it if they
    /// would take longer than this.
    /// </summary>
    public TimeSpan BlocksAfterSwitch { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Chunks not confirmed for so long are sent again.</summary>
    public TimeSpan ResendAfter { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>The copy fails when nothing has moved for so long.</summary>
    public TimeSpan SilenceMax { get; init; } = TimeSpan.FromSeconds(10);
}

/// <summary>A page and what is in it.</summary>
/// <param name="Page">Number; physical address divided by the page's size.</param>
/// <param name="Bytes">Content, as long as a page; empty for a page of zeroes.</param>
public readonly record struct PageContent(long Page, ImmutableArray<byte> Bytes);

/// <summary>The machine at the switch, taken while it stood still.</summary>
/// <param name="Position">Where its log stood.</param>
/// <param name="State">CPU and devices.</param>
/// <param name="Pages">The pages asked for, and every page written since dirty pages were last collected.</param>
/// <param name="Digest">
/// What the backup must compute from the copy; its icount is that of the switch. How much memory it covers is for the shells to agree
/// upon: all of it makes the pause longer.
/// </param>
/// <param name="Blocks">Blocks of separate disks changed since dirty blocks were last collected; null for none. Their content may be newer: the log has what came later.</param>
public sealed record FinalCapture(LogPosition Position, ImmutableArray<byte> State, IReadOnlyList<PageContent> Pages, MachineDigest Digest,
    IReadOnlyList<BlockPlace>? Blocks = null)
{
    /// <summary>How long the machine stood still.</summary>
    public TimeSpan Pause { get; init; }
}

/// <summary>What the sender is told.</summary>
public abstract record CloneSenderInput
{
    public sealed record Tick : CloneSenderInput;

    /// <summary>A message of the session; those that do not concern the copy are ignored.</summary>
    public sealed record Received(IChannelMessage Message) : CloneSenderInput;

    /// <summary>Answers <see cref="CloneSenderEffect.ReadPages"/>: contents at any one moment since; what is written later is dirty.</summary>
    public sealed record PagesRead(IReadOnlyList<PageContent> Pages) : CloneSenderInput;

    /// <summary>
    /// Answers <see cref="CloneSenderEffect.CollectDirty"/>: pages written since the last collection, which begins anew, and blocks of separate disks likewise.
    /// </summary>
    public sealed record DirtyCollected(IReadOnlyList<long> Pages, IReadOnlyList<BlockPlace>? Blocks = null) : CloneSenderInput;

    /// <summary>Answers <see cref="CloneSenderEffect.HashBlocks"/>.</summary>
    public sealed record BlocksHashed(IReadOnlyList<BlockHash> Hashes) : CloneSenderInput;

    /// <summary>Answers <see cref="CloneSenderEffect.ReadBlocks"/>, like <see cref="PagesRead"/>.</summary>
    public sealed record BlocksRead(IReadOnlyList<BlockContent> Blocks) : CloneSenderInput;

    /// <summary>A separate disk cannot be read.</summary>
    public sealed record BlocksFailed(string Why) : CloneSenderInput;

    /// <summary>Answers <see cref="CloneSenderEffect.PauseAndCapture"/>. The machine runs on, and records from here.</summary>
    public sealed record Captured(FinalCapture Capture) : CloneSenderInput;

    /// <summary>Give up.</summary>
    public sealed record Cancel : CloneSenderInput;
}

/// <summary>What the shell does for the sender, in order.</summary>
public abstract record CloneSenderEffect
{
    /// <summary>What must be done outside of the replica's core: on the machine, or on its disks.</summary>
    public abstract record Work : CloneSenderEffect;

    public sealed record Send(IChannelMessage Message) : CloneSenderEffect;

    /// <summary>Note from now on which pages are written.</summary>
    public sealed record StartDirtyLog : Work;

    /// <summary>Note from now on which blocks of separate disks are changed.</summary>
    public sealed record StartBlockLog : Work;

    /// <summary>Read so many blocks of a separate disk, and hash each.</summary>
    public sealed record HashBlocks(int Disk, long First, int Count) : Work;

    public sealed record ReadBlocks(int Disk, IReadOnlyList<long> Blocks) : Work;

    public sealed record ReadPages(IReadOnlyList<long> Pages) : Work;

    public sealed record CollectDirty : Work;

    /// <summary>Pause the machine, take a <see cref="FinalCapture"/> that has these pages too, note the position, run on.</summary>
    public sealed record PauseAndCapture(IReadOnlyList<long> AlsoPages) : Work;

    /// <summary>The log for the backup begins here; given before any entry recorded after the capture.</summary>
    public sealed record Switched(LogPosition Position) : CloneSenderEffect;

    /// <summary>The backup has assembled the copy, and its digest is the right one.</summary>
    public sealed record Confirmed : CloneSenderEffect;

    /// <summary>The copy failed; the reason is for people. Final.</summary>
    public sealed record Failed(string Why) : CloneSenderEffect;

    /// <summary>How far it is; for people.</summary>
    /// <param name="Round">0 is the whole memory, then rounds of dirty pages; the last is the pause.</param>
    /// <param name="Sent">Pages of the round sent.</param>
    /// <param name="Of">Pages of the round.</param>
    /// <param name="Bytes">Bytes of the copy that the other side has confirmed, of all rounds.</param>
    /// <param name="Elapsed">Time since the offer was accepted.</param>
    /// <param name="Disks">How far the separate disks are; null where there are none.</param>
    public sealed record Progress(int Round, long Sent, long Of, long Bytes, TimeSpan Elapsed, DiskProgress? Disks = null) : CloneSenderEffect;
}

/// <summary>How far the resynchronisation of separate disks is, in blocks of 64 KiB.</summary>
/// <param name="Compared">Blocks whose hashes the other side has compared.</param>
/// <param name="Of">Blocks of all separate disks.</param>
/// <param name="Differing">Blocks of them that it had with another content.</param>
/// <param name="Sent">Blocks sent, those changed meanwhile included.</param>
public sealed record DiskProgress(long Compared, long Of, long Differing, long Sent);

/// <summary>What the receiver is told.</summary>
public abstract record CloneReceiverInput
{
    public sealed record Tick : CloneReceiverInput;

    public sealed record Received(IChannelMessage Message) : CloneReceiverInput;

    /// <summary>Answers <see cref="CloneReceiverEffect.Restore"/>.</summary>
    public sealed record Restored(MachineDigest Digest) : CloneReceiverInput;

    /// <summary>The machine cannot be restored from what came.</summary>
    public sealed record RestoreFailed(string Why) : CloneReceiverInput;

    /// <summary>Answers <see cref="CloneReceiverEffect.CompareBlocks"/>. Bit n: the n-th block has another content.</summary>
    public sealed record BlocksCompared(ulong Sequence, ulong Differing) : CloneReceiverInput;

    /// <summary>Answers <see cref="CloneReceiverEffect.WriteBlocks"/>.</summary>
    public sealed record BlocksWritten(ulong Sequence) : CloneReceiverInput;

    /// <summary>This replica's disk cannot be read or written.</summary>
    public sealed record BlocksFailed(string Why) : CloneReceiverInput;
}

/// <summary>What the shell does for the receiver, in order.</summary>
public abstract record CloneReceiverEffect
{
    /// <summary>What must be done outside of the replica's core: on the machine, or on its disks.</summary>
    public abstract record Work : CloneReceiverEffect;

    public sealed record Send(IChannelMessage Message) : CloneReceiverEffect;

    public sealed record WritePages(IReadOnlyList<PageContent> Pages) : Work;

    /// <summary>Hash own blocks and compare.</summary>
    public sealed record CompareBlocks(ulong Sequence, int Disk, long First, IReadOnlyList<BlockHash> Hashes) : Work;

    /// <summary>Write blocks to this replica's own disk. Those of one chunk before those of the next.</summary>
    public sealed record WriteBlocks(ulong Sequence, int Disk, IReadOnlyList<BlockContent> Blocks) : Work;

    /// <summary>Restore CPU and devices, compute the digest as the primary's shell did, answer.</summary>
    public sealed record Restore(ImmutableArray<byte> State, LogPosition Position, ulong Icount) : Work;

    /// <summary>The machine has the copy's state, and replay begins here.</summary>
    public sealed record Assembled(LogPosition Position, ulong Icount) : CloneReceiverEffect;

    /// <summary>The copy is useless: forget the replica. Final.</summary>
    public sealed record Failed(string Why) : CloneReceiverEffect;
}
