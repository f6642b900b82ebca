using System.Collections.Immutable;

namespace FtAkka.Replication.Messages;

/// <summary>A message that may cross hosts. Every one has a row in <see cref="WireMessageCodec.Table"/>.</summary>
public interface IWireMessage;

/// <summary>Node → every other node, at a fixed interval. Not answered: each node sends its own.</summary>
/// <param name="NodeName">Name of the sender.</param>
/// <param name="Incarnation">Incarnation of the sender's process; a restarted one has a greater number.</param>
/// <param name="Sequence">Grows by one with each heartbeat of the incarnation.</param>
/// <param name="SentAtTicks">The sender's own monotonic clock, in ticks of 100 ns; means nothing to the receiver but differences.</param>
public sealed record Heartbeat(string NodeName, long Incarnation, long Sequence, long SentAtTicks) : IWireMessage
{
    /// <summary>Longest node name in characters.</summary>
    public const int NodeNameMax = 255;
}

/// <summary>Primary → backup: log frames, as they stand in a log file. Answered by <see cref="LogAck"/>.</summary>
/// <param name="Frames">Whole frames, one after the other.</param>
/// <param name="FirstLsn">LSN of the first entry in them.</param>
/// <param name="LastLsn">LSN of the last entry in them; not below <paramref name="FirstLsn"/>.</param>
public sealed record LogAppend(ImmutableArray<byte> Frames, ulong FirstLsn, ulong LastLsn) : IWireMessage;

/// <summary>Backup → primary: what has been received and what has been executed.</summary>
/// <param name="ReceivedLsn">Every entry up to and including this one is in the backup's buffer: what the output rule waits for.</param>
/// <param name="ExecutedLsn">Every entry up to and including this one has been replayed; not above <paramref name="ReceivedLsn"/>.</param>
/// <param name="ExecutedIcount">The icount that the backup has reached.</param>
/// <param name="EchoedTicks">Time stamp of the primary found in the last entry replayed, sent back for measuring the lag.</param>
public sealed record LogAck(ulong ReceivedLsn, ulong ExecutedLsn, ulong ExecutedIcount, long EchoedTicks) : IWireMessage;

/// <summary>Primary → backup: outputs up to this mark have left. A backup that goes live re-sends only what comes after it.</summary>
/// <param name="ReleasedLsn">LSN of the newest output mark whose output has been released.</param>
public sealed record LogReleased(ulong ReleasedLsn) : IWireMessage;
