using System.Buffers;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using MessagePack;

namespace FtAkka.Replication.Messages;

/// <summary>Why a body is refused.</summary>
public enum WireMessageRefusal
{
    /// <summary>Not refused.</summary>
    None,

    /// <summary>The manifest is not in the table.</summary>
    UnknownManifest,

    /// <summary>The body ends before its last field does.</summary>
    Truncated,

    /// <summary>The body is not MessagePack, or holds a field of another type.</summary>
    Malformed,

    /// <summary>The body has fewer fields than the message, or more than any message may have.</summary>
    WrongFieldCount,

    /// <summary>Bytes follow the message.</summary>
    TrailingBytes,

    /// <summary>A field has a value that the message does not allow.</summary>
    OutOfRange,
}

/// <summary>One row of the table: a message type under its manifest.</summary>
public sealed class WireMessageFormat
{
    internal WireMessageFormat(string manifest, Type type, int fields, WriteFields write, ReadFields read)
    {
        Manifest = manifest;
        Type = type;
        Fields = fields;
        Write = write;
        Read = read;
    }

    internal delegate void WriteFields(ref MessagePackWriter writer, IWireMessage message);

    /// <summary>Reads the fields; null means that one of them is out of range.</summary>
    internal delegate IWireMessage? ReadFields(ref MessagePackReader reader);

    /// <summary>Name on the wire. Never reused for another message.</summary>
    public string Manifest { get; }

    /// <summary>The message's type.</summary>
    public Type Type { get; }

    /// <summary>Number of fields; field n has the key n, its place in the array.</summary>
    public int Fields { get; }

    internal WriteFields Write { get; }

    internal ReadFields Read { get; }
}

/// <summary>
/// The codec of every message that crosses hosts. A body is a MessagePack array whose n-th element is the field with key n; keys are
/// never reused, new fields are added at the end. A reader skips later fields that it does not know, if they are scalar, so that
/// a cluster can be updated node by node. Written out by hand: no types come from the wire, nothing is generated or compressed.
/// </summary>
public static partial class WireMessageCodec
{
    /// <summary>Fields that any message may have, unknown ones included.</summary>
    public const int FieldsMax = 32;

    /// <summary>Bytes of a body beside its <see cref="IWireMessage.ContentBytes"/>: numbers, lengths and names.</summary>
    public const int FixedBytesMax = 2048;

    /// <summary>Every message that crosses hosts. A new one is a row here and a sample in the tests, which count the rows.</summary>
    public static ImmutableArray<WireMessageFormat> Table { get; } =
    [
        Row<Heartbeat>("hb", 4, WriteHeartbeat, ReadHeartbeat),
        Row<LogAppend>("la", 10, WriteLogAppend, ReadLogAppend),
        Row<LogAck>("lk", 9, WriteLogAck, ReadLogAck),
        Row<LogReleased>("lr", 3, WriteLogReleased, ReadLogReleased),
        Row<ChannelClosed>("cc", 4, WriteChannelClosed, ReadChannelClosed),
        Row<FailoverYield>("fy", 4, WriteFailoverYield, ReadFailoverYield),
        Row<CloneOffer>("co", 9, WriteCloneOffer, ReadCloneOffer),
        Row<CloneAnswer>("ca", 3, WriteCloneAnswer, ReadCloneAnswer),
        Row<ClonePages>("cp", 4, WriteClonePages, ReadClonePages),
        Row<CloneState>("cs", 5, WriteCloneState, ReadCloneState),
        Row<CloneFinish>("cf", 6, WriteCloneFinish, ReadCloneFinish),
        Row<CloneProgress>("cg", 3, WriteCloneProgress, ReadCloneProgress),
        Row<CloneAssembled>("cm", 6, WriteCloneAssembled, ReadCloneAssembled),
        Row<ConsoleHistory>("ch", 4, WriteConsoleHistory, ReadConsoleHistory),
        Row<CloneBlockHashes>("bh", 6, WriteCloneBlockHashes, ReadCloneBlockHashes),
        Row<CloneBlocksWanted>("bw", 4, WriteCloneBlocksWanted, ReadCloneBlocksWanted),
        Row<CloneBlocks>("cb", 5, WriteCloneBlocks, ReadCloneBlocks),
        Row<DivergenceWitness>("dw", 6, WriteDivergenceWitness, ReadDivergenceWitness),
        Row<VmQuestion>("vq", 2, WriteVmQuestion, ReadVmQuestion),
        Row<VmAnswer>("va", 4, WriteVmAnswer, ReadVmAnswer),
        Row<SettingsTold>("st", 2, WriteSettingsTold, ReadSettingsTold),
        Row<OfferJudged>("oj", 6, WriteOfferJudged, ReadOfferJudged),
        Row<BackupFitness>("bf", 3, WriteBackupFitness, ReadBackupFitness),
        Row<ReplicaBeat>("rb", 3, WriteReplicaBeat, ReadReplicaBeat),
        Row<MessagePiece>(PieceManifest, 6, WriteMessagePiece, ReadMessagePiece),
    ];

    /// <summary>Manifest of <see cref="MessagePiece"/>.</summary>
    internal const string PieceManifest = "mp";

    private const int LargestKeptBufferBytes = 1024 * 1024;

    [ThreadStatic]
    private static ArrayBufferWriter<byte>? t_buffer;

    private delegate void Writer<in T>(ref MessagePackWriter writer, T message);

    /// <summary>The manifest of a message.</summary>
    /// <exception cref="ArgumentException">Its type has no row in the table.</exception>
    public static string ManifestOf(IWireMessage message) => FormatOf(message).Manifest;

    /// <summary>Encodes a message.</summary>
    /// <exception cref="ArgumentException">Its type has no row in the table.</exception>
    public static byte[] Encode(IWireMessage message)
    {
        var buffer = t_buffer ?? new ArrayBufferWriter<byte>();
        buffer.ResetWrittenCount();
        Encode(message, buffer);
        // A disk's data make it large; growing a new one each time would cost more than all else here.
        t_buffer = buffer.Capacity <= LargestKeptBufferBytes ? buffer : null;
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Encodes a message to the end of a buffer.</summary>
    /// <exception cref="ArgumentException">Its type has no row in the table.</exception>
    public static void Encode(IWireMessage message, IBufferWriter<byte> buffer)
    {
        var format = FormatOf(message);
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(format.Fields);
        format.Write(ref writer, message);
        writer.Flush();
    }

    /// <summary>Decodes an untrusted body.</summary>
    /// <returns>The message, or why the body is refused; never both, and never an exception.</returns>
    public static (IWireMessage? Message, WireMessageRefusal Refusal) Decode(string manifest, ReadOnlyMemory<byte> body)
    {
        foreach (var format in Table)
        {
            if (format.Manifest == manifest)
            {
                return Decode(format, body);
            }
        }

        return (null, WireMessageRefusal.UnknownManifest);
    }

    private static (IWireMessage? Message, WireMessageRefusal Refusal) Decode(WireMessageFormat format, ReadOnlyMemory<byte> body)
    {
        try
        {
            var reader = new MessagePackReader(body);
            var count = reader.ReadArrayHeader();
            if (count < format.Fields || count > FieldsMax)
            {
                return (null, WireMessageRefusal.WrongFieldCount);
            }

            var message = format.Read(ref reader);
            if (message is null)
            {
                return (null, WireMessageRefusal.OutOfRange);
            }

            for (var i = format.Fields; i < count; i++)
            {
                // Nested values are refused, not skipped: skipping is recursive, and the depth would be the sender's choice.
                if (reader.NextMessagePackType is MessagePackType.Array or MessagePackType.Map or MessagePackType.Extension)
                {
                    return (null, WireMessageRefusal.Malformed);
                }

                reader.Skip();
            }

            return reader.End ? (message, WireMessageRefusal.None) : (null, WireMessageRefusal.TrailingBytes);
        }
        catch (EndOfStreamException)
        {
            return (null, WireMessageRefusal.Truncated);
        }
        // The reader tells of other bad bytes by exceptions of several types, according to its version and to what is wrong. All of them
        // mean the same here, and nothing but the reader runs inside.
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            return (null, WireMessageRefusal.Malformed);
        }
    }

    private static void WriteHeartbeat(ref MessagePackWriter writer, Heartbeat message)
    {
        writer.Write(message.NodeName);
        writer.Write(message.Incarnation);
        writer.Write(message.Sequence);
        writer.Write(message.SentAtTicks);
    }

    private static Heartbeat? ReadHeartbeat(ref MessagePackReader reader)
    {
        var name = reader.ReadString();
        var message = new Heartbeat(name ?? string.Empty, reader.ReadInt64(), reader.ReadInt64(), reader.ReadInt64());
        return name is { Length: > 0 and <= Heartbeat.NodeNameMax } ? message : null;
    }

    private static WireMessageFormat Row<T>(string manifest, int fields, Writer<T> write, WireMessageFormat.ReadFields read)
        where T : IWireMessage =>
        new(manifest, typeof(T), fields, (ref MessagePackWriter writer, IWireMessage message) => write(ref writer, (T)message), read);

    private static WireMessageFormat FormatOf(IWireMessage message)
    {
        ArgumentNullException.ThrowIfNull(message);
        var type = message.GetType();
        foreach (var format in Table)
        {
            if (format.Type == type)
            {
                return format;
            }
        }

        throw new ArgumentException($"{type} has no row in the table of wire messages.", nameof(message));
    }
}
