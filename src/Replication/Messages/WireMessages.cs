using System.Collections.Immutable;
using FtAkka.Replication.Protection;

namespace FtAkka.Replication.Messages;

/// <summary>A message that may cross hosts. Every one has a row in <see cref="WireMessageCodec.Table"/>.</summary>
public interface IWireMessage
{
    /// <summary>Bytes of the message's arrays and of its texts without a short limit: its body is at most <see cref="WireMessageCodec.FixedBytesMax"/> longer.</summary>
    int ContentBytes => 0;
}

/// <summary>
/// A part of a message that is too long for one frame of the wire. Between two hosts a long frame would hold up whatever is behind it, heartbeats
/// included. The receiver puts the parts together by <see cref="MessageAssembler"/>.
/// </summary>
/// <param name="Incarnation">Incarnation of the sender's process; a restarted one has a greater number.</param>
/// <param name="Number">Number of the cut message: greater than that of every earlier one of this incarnation to the same receiver.</param>
/// <param name="Manifest">Manifest of the whole.</param>
/// <param name="Index">Which part this is, from 0 on.</param>
/// <param name="Count">Number of parts.</param>
/// <param name="Bytes">The part of the whole's body.</param>
public sealed record MessagePiece(long Incarnation, ulong Number, string Manifest, int Index, int Count, ImmutableArray<byte> Bytes) : IWireMessage
{
    /// <summary>Longest manifest in characters.</summary>
    public const int ManifestMax = 8;

    /// <summary>Most parts of one message.</summary>
    public const int CountMax = 4096;

    /// <inheritdoc/>
    public int ContentBytes => Bytes.Length;
}

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

/// <summary>Node → every other node, before it starts a VM that may run elsewhere: which replica of it do you have? Answered by <see cref="VmAnswer"/>.</summary>
/// <param name="NodeName">Name of the sender; at most <see cref="Heartbeat.NodeNameMax"/> characters.</param>
/// <param name="Vm">Name of the VM; at most <see cref="CloneOffer.NameMax"/> characters.</param>
public sealed record VmQuestion(string NodeName, string Vm) : IWireMessage;

/// <summary>Answers <see cref="VmQuestion"/>.</summary>
/// <param name="NodeName">Name of the sender; at most <see cref="Heartbeat.NodeNameMax"/> characters.</param>
/// <param name="Vm">Name of the VM; at most <see cref="CloneOffer.NameMax"/> characters.</param>
/// <param name="Role">Role of the sender's replica; <see cref="ReplicaRole.Halted"/>: it has none.</param>
/// <param name="Generation">Generation of that replica; 0 if it has none.</param>
public sealed record VmAnswer(string NodeName, string Vm, ReplicaRole Role, ulong Generation) : IWireMessage;

/// <summary>Node → node of the primary: what has become of its <see cref="CloneOffer"/>. Repeated when the offer is.</summary>
/// <param name="NodeName">Name of the sender; at most <see cref="Heartbeat.NodeNameMax"/> characters.</param>
/// <param name="Vm">Name of the VM; at most <see cref="CloneOffer.NameMax"/> characters.</param>
/// <param name="Generation">The offer's.</param>
/// <param name="Attempt">The offer's.</param>
/// <param name="Address">Where the process of the new backup is reached, in at most <see cref="CloneOffer.AddressMax"/> characters; empty if there is none.</param>
/// <param name="Refusal">Empty if there is one; otherwise why not, in at most <see cref="ChannelClosed.TextMax"/> characters.</param>
public sealed record OfferJudged(string NodeName, string Vm, ulong Generation, ulong Attempt, string Address, string Refusal) : IWireMessage
{
    /// <inheritdoc/>
    public int ContentBytes => Refusal.Length * 3;
}

/// <summary>Node → a node that it hears for the first time, or again after a loss: settings that all nodes must have alike. Not answered: each node tells its own.</summary>
/// <param name="NodeName">Name of the sender; at most <see cref="Heartbeat.NodeNameMax"/> characters.</param>
/// <param name="Settings">Lines of key=value.</param>
public sealed record SettingsTold(string NodeName, string Settings) : IWireMessage
{
    /// <summary>Longest text of settings in characters.</summary>
    public const int SettingsMax = 2000;

    /// <inheritdoc/>
    public int ContentBytes => Settings.Length * 3;
}

/// <summary>
/// Primary → backup: log frames, as they stand in a log file, and how the primary stands. Without frames it only says that the primary
/// lives. Answered by <see cref="LogAck"/>.
/// </summary>
/// <param name="Frames">Whole frames, one after the other.</param>
/// <param name="FirstLsn">LSN of the first entry in them.</param>
/// <param name="LastLsn">LSN of the last entry in them; not below <paramref name="FirstLsn"/>.</param>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
/// <param name="SentAtTicks">The primary's clock when it sent this; echoed as <see cref="LogAck.LeaseTicks"/>.</param>
/// <param name="RecordedTicks">The primary's clock when it recorded the last entry; echoed as <see cref="LogAck.EchoedTicks"/>.</param>
/// <param name="ReleasedOutput">Every output up to this number has left.</param>
/// <param name="Entitled">The copy is committed: the backup may go live once it has received <paramref name="EntitledFromLsn"/>.</param>
/// <param name="EntitledFromLsn">Outputs up to this mark left before the backup was entitled.</param>
public sealed record LogAppend(
    ImmutableArray<byte> Frames, ulong FirstLsn, ulong LastLsn, ulong Generation = 0, ulong Attempt = 0, long SentAtTicks = 0,
    long RecordedTicks = 0, ulong ReleasedOutput = 0, bool Entitled = false, ulong EntitledFromLsn = 0) : IChannelMessage
{
    /// <inheritdoc/>
    public int ContentBytes => Frames.Length;
}

/// <summary>Backup → primary: what has been received and what has been executed.</summary>
/// <param name="ReceivedLsn">Every entry up to and including this one is in the backup's buffer: what the output rule waits for.</param>
/// <param name="ExecutedLsn">Every entry up to and including this one has been replayed; not above <paramref name="ReceivedLsn"/>.</param>
/// <param name="ExecutedIcount">The icount that the backup has reached.</param>
/// <param name="EchoedTicks">Time stamp of the primary found with the last entries replayed, sent back for measuring the lag.</param>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
/// <param name="LeaseTicks">Greatest <see cref="LogAppend.SentAtTicks"/> received: the primary may act for the lease from then on.</param>
/// <param name="Resend">Entries after <paramref name="ReceivedLsn"/> are missing: send them again.</param>
/// <param name="Entitled">The backup knows that the copy is committed, and has what it needs: it may take over.</param>
public sealed record LogAck(
    ulong ReceivedLsn, ulong ExecutedLsn, ulong ExecutedIcount, long EchoedTicks, ulong Generation = 0, ulong Attempt = 0,
    long LeaseTicks = 0, bool Resend = false, bool Entitled = false) : IChannelMessage;

/// <summary>Primary → backup: outputs have left. A backup that goes live re-sends only what comes after.</summary>
/// <param name="ReleasedOutput">Every output up to this number has left.</param>
/// <param name="Generation">See <see cref="IChannelMessage"/>.</param>
/// <param name="Attempt">See <see cref="IChannelMessage"/>.</param>
public sealed record LogReleased(ulong ReleasedOutput, ulong Generation = 0, ulong Attempt = 0) : IChannelMessage;
