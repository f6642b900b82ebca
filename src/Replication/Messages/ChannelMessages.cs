using System.Collections.Immutable;
using FtAkka.Replication.Protection;

namespace FtAkka.Replication.Messages;

/// <summary>A message between the two replicas of a VM. One that belongs to another session is ignored.</summary>
public interface IChannelMessage : IWireMessage
{
    /// <summary>Generation of the session's primary.</summary>
    ulong Generation { get; }

    /// <summary>Which attempt of that primary to have a backup.</summary>
    ulong Attempt { get; }
}

/// <summary>Why a session ends.</summary>
public enum ChannelCloseReason
{
    /// <summary>Primary → backup: it goes on alone.</summary>
    Dropped = 1,

    /// <summary>Primary → backup: the clone is off.</summary>
    Cancelled = 2,

    /// <summary>Primary → backup: the machine ended, and everything it said has left.</summary>
    Ended = 3,

    /// <summary>Backup → primary: it owns the next generation.</summary>
    TookOver = 4,

    /// <summary>Backup → primary: replay left the recording.</summary>
    Diverged = 5,

    /// <summary>Backup's node → primary: there is no such backup here (any more).</summary>
    Gone = 6,

    /// <summary>Backup → primary: the copy cannot be completed.</summary>
    CloneFailed = 7,
}

/// <summary>Either → the other: the session ends. Not answered.</summary>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
/// <param name="Reason">What it means.</param>
/// <param name="Text">For people.</param>
public sealed record ChannelClosed(ulong Generation, ulong Attempt, ChannelCloseReason Reason, string Text) : IChannelMessage
{
    /// <summary>Longest text in characters.</summary>
    public const int TextMax = 2000;

    /// <inheritdoc/>
    public int ContentBytes => Text.Length * 3;
}

/// <summary>Primary → backup, when that is entitled: console output from before the copy. Not answered; clients miss it if it is lost.</summary>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
/// <param name="Offset">Position of the first byte since power-on.</param>
/// <param name="Bytes">The bytes.</param>
public sealed record ConsoleHistory(ulong Generation, ulong Attempt, ulong Offset, ImmutableArray<byte> Bytes) : IChannelMessage
{
    /// <inheritdoc/>
    public int ContentBytes => Bytes.Length;
}

/// <summary>Backup → primary, before it closes for <see cref="ChannelCloseReason.Diverged"/>: what it has where it diverged. Not answered.</summary>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
/// <param name="Lsn">The entry at which replay left the recording.</param>
/// <param name="Icount">Instructions retired there.</param>
/// <param name="Registers">Lines of name=value.</param>
/// <param name="Pages">Each: u64 physical address, u64 hash of its content. Little-endian.</param>
public sealed record DivergenceWitness(ulong Generation, ulong Attempt, ulong Lsn, ulong Icount, string Registers, ImmutableArray<byte> Pages) : IChannelMessage
{
    /// <summary>Longest text of registers in characters.</summary>
    public const int RegistersMax = 32 << 10;

    /// <summary>Most pages.</summary>
    public const int PagesMax = 256 << 10;

    /// <inheritdoc/>
    public int ContentBytes => (Registers.Length * 3) + Pages.Length;
}

/// <summary>Process of a replica → that of its peer, at a fixed interval, from another thread than the replica's: the process lives. Not answered.</summary>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
/// <param name="Sequence">Grows by one with each. They travel with everything else: a gap means that a connection broke and took with it what was under way.</param>
public sealed record ReplicaBeat(ulong Generation, ulong Attempt, long Sequence) : IChannelMessage
{
    /// <inheritdoc/>
    public int ContentBytes => 0;
}

/// <summary>Backup → primary, again and again: whether it could go live on its host. Not answered.</summary>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
/// <param name="Refusal">Empty if it could; otherwise why not, in at most <see cref="ChannelClosed.TextMax"/> characters.</param>
public sealed record BackupFitness(ulong Generation, ulong Attempt, string Refusal) : IChannelMessage
{
    /// <inheritdoc/>
    public int ContentBytes => Refusal.Length * 3;

    /// <summary>The message of a session.</summary>
    /// <param name="session">The session.</param>
    /// <param name="refusal">Why it could not go live; null if it could. A longer text is cut.</param>
    internal static BackupFitness Of(ChannelSession session, string? refusal) =>
        new(session.Generation, session.Attempt, refusal is null ? "" : refusal[..Math.Min(refusal.Length, ChannelClosed.TextMax)]);
}

/// <summary>Primary → backup: the machine is stopped, everything up to the entry has left; take over. Answered by <see cref="ChannelClosed"/>.</summary>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
/// <param name="LastLsn">The last entry of the primary.</param>
/// <param name="LastOutput">Its last output.</param>
public sealed record FailoverYield(ulong Generation, ulong Attempt, ulong LastLsn, ulong LastOutput) : IChannelMessage;

/// <summary>Primary → node of the backup to be: a copy is offered. Answered by <see cref="CloneAnswer"/>.</summary>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
/// <param name="Vm">Name of the VM.</param>
/// <param name="Node">Name of the primary's node.</param>
/// <param name="Profile">CPU model and machine configuration; the backup must be able to build the very same.</param>
/// <param name="LogVersion">Version of the log's format.</param>
/// <param name="PageBytes">Size of a page.</param>
/// <param name="PageCount">Pages of memory, numbered from 0.</param>
/// <param name="Address">Where the primary's process is reached, in at most <see cref="AddressMax"/> characters; empty until its host has filled it in.</param>
public sealed record CloneOffer(
    ulong Generation, ulong Attempt, string Vm, string Node, string Profile, int LogVersion, int PageBytes, long PageCount, string Address = "") : IChannelMessage
{
    /// <summary>Longest address in characters: a host name, a port and a key's fingerprint.</summary>
    public const int AddressMax = 512;

    /// <summary>Longest name in characters.</summary>
    public const int NameMax = 255;

    /// <summary>Longest profile in characters.</summary>
    public const int ProfileMax = 16 << 10;

    /// <inheritdoc/>
    public int ContentBytes => Profile.Length * 3;
}

/// <summary>Node → primary: the offer is accepted, or why not.</summary>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
/// <param name="Refusal">Empty if accepted; otherwise what is wrong and what to do.</param>
public sealed record CloneAnswer(ulong Generation, ulong Attempt, string Refusal) : IChannelMessage
{
    /// <inheritdoc/>
    public int ContentBytes => Refusal.Length * 3;
}

/// <summary>A numbered part of a copy. Answered by <see cref="CloneProgress"/>.</summary>
public interface ICloneChunk : IChannelMessage
{
    /// <summary>From 0 on, without gaps.</summary>
    ulong Sequence { get; }
}

/// <summary>Primary → backup: contents of pages.</summary>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
/// <param name="Sequence">See <see cref="ICloneChunk"/>.</param>
/// <param name="Pages">Each: u64 page number, u8 1 if content follows and 0 if the page is all zeroes, content. Little-endian.</param>
public sealed record ClonePages(ulong Generation, ulong Attempt, ulong Sequence, ImmutableArray<byte> Pages) : ICloneChunk
{
    /// <inheritdoc/>
    public int ContentBytes => Pages.Length;
}

/// <summary>Primary → backup: hashes of blocks of a separate disk, one behind the other. Answered by <see cref="CloneBlocksWanted"/> besides.</summary>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
/// <param name="Sequence">See <see cref="ICloneChunk"/>.</param>
/// <param name="Disk">Index of the disk.</param>
/// <param name="First">Number of the first block of 64 KiB.</param>
/// <param name="Hashes">Each: u64 low, u64 high. Little-endian. At most <see cref="BlocksMax"/>.</param>
public sealed record CloneBlockHashes(ulong Generation, ulong Attempt, ulong Sequence, int Disk, long First, ImmutableArray<byte> Hashes) : ICloneChunk
{
    /// <summary>Most blocks in one message: a mebibyte of the disk.</summary>
    public const int BlocksMax = 16;

    /// <inheritdoc/>
    public int ContentBytes => Hashes.Length;
}

/// <summary>Backup → primary: which of the blocks of a <see cref="CloneBlockHashes"/> it has with another content.</summary>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
/// <param name="Sequence">The chunk that is answered.</param>
/// <param name="Wanted">Bit n: the n-th block of the chunk.</param>
public sealed record CloneBlocksWanted(ulong Generation, ulong Attempt, ulong Sequence, ulong Wanted) : IChannelMessage;

/// <summary>Primary → backup: contents of blocks of a separate disk.</summary>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
/// <param name="Sequence">See <see cref="ICloneChunk"/>.</param>
/// <param name="Disk">Index of the disk.</param>
/// <param name="Blocks">Each: i64 block number, u8 1 if content follows and 0 if the block is all zeroes, content. Little-endian.</param>
public sealed record CloneBlocks(ulong Generation, ulong Attempt, ulong Sequence, int Disk, ImmutableArray<byte> Blocks) : ICloneChunk
{
    /// <inheritdoc/>
    public int ContentBytes => Blocks.Length;
}

/// <summary>Primary → backup: a piece of the state of CPU and devices at the switch.</summary>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
/// <param name="Sequence">See <see cref="ICloneChunk"/>.</param>
/// <param name="TotalBytes">Length of the whole state.</param>
/// <param name="Bytes">The next piece.</param>
public sealed record CloneState(ulong Generation, ulong Attempt, ulong Sequence, int TotalBytes, ImmutableArray<byte> Bytes) : ICloneChunk
{
    /// <summary>Longest state, in bytes.</summary>
    public const int TotalBytesMax = 256 << 20;

    /// <inheritdoc/>
    public int ContentBytes => Bytes.Length;
}

/// <summary>Primary → backup: the copy is complete. Answered by <see cref="CloneAssembled"/> once the machine is restored.</summary>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
/// <param name="Sequence">See <see cref="ICloneChunk"/>.</param>
/// <param name="LastLsn">The last log entry that is part of the copy.</param>
/// <param name="LastOutput">The last output that is part of the copy.</param>
/// <param name="Icount">Instructions retired at the copy.</param>
public sealed record CloneFinish(ulong Generation, ulong Attempt, ulong Sequence, ulong LastLsn, ulong LastOutput, ulong Icount) : ICloneChunk;

/// <summary>Backup → primary: every chunk before this number has been taken: the room for more.</summary>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
/// <param name="NextSequence">The chunk wanted next.</param>
public sealed record CloneProgress(ulong Generation, ulong Attempt, ulong NextSequence) : IChannelMessage;

/// <summary>Backup → primary: the copied machine is restored, and this is its full digest.</summary>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
/// <param name="Icount">Instructions retired.</param>
/// <param name="Cpu">Part of the digest.</param>
/// <param name="Devices">Part of the digest.</param>
/// <param name="Memory">Part of the digest.</param>
public sealed record CloneAssembled(ulong Generation, ulong Attempt, ulong Icount, ulong Cpu, ulong Devices, ulong Memory) : IChannelMessage;
