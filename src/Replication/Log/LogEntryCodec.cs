using System.Buffers;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using FtAkka.Machine;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using MessagePack;

namespace FtAkka.Replication.Log;

/// <summary>Kinds of log entries as they stand in the log (docs/log-format.md). Numbers are never reused.</summary>
public enum LogEntryKind
{
    NetReceive = 1,
    DiskCompletion = 2,
    ConsoleInput = 3,
    ClockAdvance = 4,
    Control = 5,
    OutputMark = 6,
    Digest = 7,
    End = 8,
    NetLinkChange = 9,
    DiskCapacityChange = 10,
    Checkpoint = 11,
    OwnRead = 12,
}

/// <summary>
/// One entry as a MessagePack array: kind, icount minus that of the entry before, then the fields of the kind in fixed positions.
/// A reader skips fields it does not know at the end of an entry; a kind it does not know is an error.
/// </summary>
internal static class LogEntryCodec
{
    /// <summary>Largest byte string in an entry: a disk read of 16 MiB.</summary>
    private const int BytesMax = 16 << 20;

    public static LogEntryKind KindOf(LogPayload payload) => payload switch
    {
        InputPayload { Input: NetReceive } => LogEntryKind.NetReceive,
        InputPayload { Input: DiskCompleted } => LogEntryKind.DiskCompletion,
        InputPayload { Input: ConsoleInput } => LogEntryKind.ConsoleInput,
        InputPayload { Input: ClockAdvance } => LogEntryKind.ClockAdvance,
        InputPayload { Input: Control } => LogEntryKind.Control,
        InputPayload { Input: NetLinkChange } => LogEntryKind.NetLinkChange,
        InputPayload { Input: DiskCapacityChange } => LogEntryKind.DiskCapacityChange,
        OwnReadPayload => LogEntryKind.OwnRead,
        OutputMarkPayload => LogEntryKind.OutputMark,
        DigestPayload => LogEntryKind.Digest,
        CheckpointPayload => LogEntryKind.Checkpoint,
        EndPayload => LogEntryKind.End,
        _ => throw new ArgumentException($"no log entry kind for {payload.GetType().Name}.", nameof(payload)),
    };

    /// <summary>Length of the byte string in an entry; 0 without one.</summary>
    public static int ContentBytes(LogPayload payload) => payload switch
    {
        InputPayload { Input: NetReceive frame } => frame.Frame.Length,
        InputPayload { Input: DiskCompleted disk } => disk.Completion.Data.Length,
        InputPayload { Input: ConsoleInput console } => console.Bytes.Length,
        _ => 0,
    };

    public static void Write(ref MessagePackWriter writer, LogPayload payload, ulong icountDelta)
    {
        var kind = KindOf(payload);
        writer.WriteArrayHeader(2 + FieldCount(kind));
        writer.Write((int)kind);
        writer.Write(icountDelta);
        switch (payload)
        {
            case InputPayload input:
                WriteInput(ref writer, input.Input);
                break;
            case OwnReadPayload read:
                writer.Write(read.Disk);
                writer.Write(read.Id);
                break;
            case OutputMarkPayload mark:
                writer.Write(mark.LastOutput);
                break;
            case DigestPayload digest:
                writer.Write(digest.Digest.Cpu);
                writer.Write(digest.Digest.Devices);
                writer.Write(digest.Digest.Memory);
                break;
            case EndPayload end:
                writer.Write((int)end.Reason);
                break;
            default:
                break;
        }
    }

    private static int FieldCount(LogEntryKind kind) => kind switch
    {
        LogEntryKind.DiskCompletion => 4,
        LogEntryKind.Digest => 3,
        LogEntryKind.NetReceive or LogEntryKind.ConsoleInput or LogEntryKind.OwnRead or LogEntryKind.NetLinkChange or LogEntryKind.DiskCapacityChange => 2,
        LogEntryKind.Checkpoint => 0,
        _ => 1,
    };

    private static void WriteInput(ref MessagePackWriter writer, InputEvent input)
    {
        switch (input)
        {
            case NetReceive frame:
                writer.Write(frame.Nic);
                writer.Write(frame.Frame.AsSpan());
                break;
            case DiskCompleted disk:
                writer.Write(disk.Disk);
                writer.Write(disk.Completion.Id);
                writer.Write((int)disk.Completion.Status);
                writer.Write(disk.Completion.Data.AsSpan());
                break;
            case ConsoleInput console:
                writer.Write((int)console.Console);
                writer.Write(console.Bytes.AsSpan());
                break;
            case ClockAdvance clock:
                writer.Write(clock.Tsc);
                break;
            case Control control:
                writer.Write((int)control.Operation);
                break;
            case NetLinkChange link:
                writer.Write(link.Nic);
                writer.Write(link.Up);
                break;
            case DiskCapacityChange capacity:
                writer.Write(capacity.Disk);
                writer.Write(capacity.CapacitySectors);
                break;
            default:
                throw new ArgumentException($"no log entry for {input.GetType().Name}.", nameof(input));
        }
    }

    /// <summary>Reads one entry.</summary>
    /// <returns>Null if the bytes are no entry this version knows.</returns>
    /// <exception cref="MessagePackSerializationException">Malformed MessagePack; the frame reader turns it into a value.</exception>
    public static LogPayload? Read(ref MessagePackReader reader, ulong icountBefore, out ulong icount)
    {
        icount = icountBefore;
        int count = reader.ReadArrayHeader();
        if (count < 2)
            return null;
        int kind = reader.ReadInt32();
        ulong delta = reader.ReadUInt64();
        if (delta > ulong.MaxValue - icountBefore || !Enum.IsDefined((LogEntryKind)kind) || count - 2 < FieldCount((LogEntryKind)kind))
            return null;
        icount = icountBefore + delta;
        var payload = ReadFields(ref reader, (LogEntryKind)kind, icount);
        for (int extra = FieldCount((LogEntryKind)kind); extra < count - 2; extra++)
        {
            // Fields are flat, now and later: skipping nested ones would recurse as deep as a hostile peer likes.
            if (reader.NextMessagePackType is MessagePackType.Array or MessagePackType.Map)
                return null;
            reader.Skip();
        }
        return payload;
    }

    private static LogPayload? ReadFields(ref MessagePackReader reader, LogEntryKind kind, ulong icount)
    {
        switch (kind)
        {
            case LogEntryKind.NetReceive:
                int nic = reader.ReadInt32();
                return ReadBytes(ref reader) is { } frame ? new InputPayload(new NetReceive(nic, frame)) : null;
            case LogEntryKind.DiskCompletion:
                int disk = reader.ReadInt32();
                ulong id = reader.ReadUInt64();
                var status = (DiskStatus)reader.ReadInt32();
                return ReadBytes(ref reader) is { } data && Enum.IsDefined(status)
                    ? new InputPayload(new DiskCompleted(disk, new DiskCompletion(id, status, data))) : null;
            case LogEntryKind.ConsoleInput:
                var console = (ConsoleKind)reader.ReadInt32();
                return ReadBytes(ref reader) is { } bytes && Enum.IsDefined(console) ? new InputPayload(new ConsoleInput(console, bytes)) : null;
            case LogEntryKind.ClockAdvance:
                return new InputPayload(new ClockAdvance(reader.ReadUInt64()));
            case LogEntryKind.Control:
                var operation = (ControlOperation)reader.ReadInt32();
                return Enum.IsDefined(operation) ? new InputPayload(new Control(operation)) : null;
            case LogEntryKind.NetLinkChange:
                return new InputPayload(new NetLinkChange(reader.ReadInt32(), reader.ReadBoolean()));
            case LogEntryKind.DiskCapacityChange:
                return new InputPayload(new DiskCapacityChange(reader.ReadInt32(), reader.ReadUInt64()));
            case LogEntryKind.OwnRead:
                return new OwnReadPayload(reader.ReadInt32(), reader.ReadUInt64());
            case LogEntryKind.OutputMark:
                return new OutputMarkPayload(reader.ReadUInt64());
            case LogEntryKind.Digest:
                return new DigestPayload(new MachineDigest(icount, reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64()));
            case LogEntryKind.Checkpoint:
                return new CheckpointPayload();
            case LogEntryKind.End:
                var reason = (MachineExitReason)reader.ReadInt32();
                return Enum.IsDefined(reason) ? new EndPayload(reason) : null;
            default:
                return null;
        }
    }

    private static ImmutableArray<byte>? ReadBytes(ref MessagePackReader reader)
    {
        ReadOnlySequence<byte>? bytes = reader.ReadBytes();
        return bytes is { Length: <= BytesMax } ? ImmutableCollectionsMarshal.AsImmutableArray(bytes.Value.ToArray()) : null;
    }
}
