using System.Collections.Immutable;
using System.Runtime.InteropServices;
using MessagePack;

namespace FtAkka.Replication.Messages;

/// <summary>Fields of the messages between the replicas of a VM.</summary>
public static partial class WireMessageCodec
{
    private static void WriteLogAppend(ref MessagePackWriter writer, LogAppend message)
    {
        writer.Write(message.Frames.AsSpan());
        writer.Write(message.FirstLsn);
        writer.Write(message.LastLsn);
        WriteSession(ref writer, message);
        writer.Write(message.SentAtTicks);
        writer.Write(message.RecordedTicks);
        writer.Write(message.ReleasedOutput);
        writer.Write(message.Entitled);
        writer.Write(message.EntitledFromLsn);
    }

    private static LogAppend? ReadLogAppend(ref MessagePackReader reader)
    {
        var frames = ReadBytes(ref reader);
        var message = new LogAppend(frames, reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64(),
            reader.ReadInt64(), reader.ReadInt64(), reader.ReadUInt64(), reader.ReadBoolean(), reader.ReadUInt64());
        return !frames.IsDefault && message.FirstLsn <= message.LastLsn ? message : null;
    }

    private static void WriteLogAck(ref MessagePackWriter writer, LogAck message)
    {
        writer.Write(message.ReceivedLsn);
        writer.Write(message.ExecutedLsn);
        writer.Write(message.ExecutedIcount);
        writer.Write(message.EchoedTicks);
        WriteSession(ref writer, message);
        writer.Write(message.LeaseTicks);
        writer.Write(message.Resend);
        writer.Write(message.Entitled);
    }

    private static LogAck? ReadLogAck(ref MessagePackReader reader)
    {
        var message = new LogAck(reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadInt64(),
            reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadInt64(), reader.ReadBoolean(), reader.ReadBoolean());
        return message.ExecutedLsn <= message.ReceivedLsn ? message : null;
    }

    private static void WriteLogReleased(ref MessagePackWriter writer, LogReleased message)
    {
        writer.Write(message.ReleasedOutput);
        WriteSession(ref writer, message);
    }

    private static LogReleased ReadLogReleased(ref MessagePackReader reader) =>
        new(reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64());

    private static void WriteChannelClosed(ref MessagePackWriter writer, ChannelClosed message)
    {
        WriteSession(ref writer, message);
        writer.Write((int)message.Reason);
        writer.Write(message.Text);
    }

    private static ChannelClosed? ReadChannelClosed(ref MessagePackReader reader)
    {
        ulong generation = reader.ReadUInt64(), attempt = reader.ReadUInt64();
        var reason = (ChannelCloseReason)reader.ReadInt32();
        return ReadText(ref reader, ChannelClosed.TextMax) is { } text && Enum.IsDefined(reason)
            ? new ChannelClosed(generation, attempt, reason, text) : null;
    }

    private static void WriteFailoverYield(ref MessagePackWriter writer, FailoverYield message)
    {
        WriteSession(ref writer, message);
        writer.Write(message.LastLsn);
        writer.Write(message.LastOutput);
    }

    private static FailoverYield ReadFailoverYield(ref MessagePackReader reader) =>
        new(reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64());

    private static void WriteCloneOffer(ref MessagePackWriter writer, CloneOffer message)
    {
        WriteSession(ref writer, message);
        writer.Write(message.Vm);
        writer.Write(message.Node);
        writer.Write(message.Profile);
        writer.Write(message.LogVersion);
        writer.Write(message.PageBytes);
        writer.Write(message.PageCount);
        writer.Write(message.Address);
    }

    private static CloneOffer? ReadCloneOffer(ref MessagePackReader reader)
    {
        ulong generation = reader.ReadUInt64(), attempt = reader.ReadUInt64();
        string? vm = ReadText(ref reader, CloneOffer.NameMax), node = ReadText(ref reader, CloneOffer.NameMax);
        string? profile = ReadText(ref reader, CloneOffer.ProfileMax);
        int version = reader.ReadInt32(), pageBytes = reader.ReadInt32();
        long pages = reader.ReadInt64();
        string? address = ReadText(ref reader, CloneOffer.AddressMax);
        return vm is { Length: > 0 } && node is { Length: > 0 } && profile is not null && pageBytes > 0 && pages > 0 && address is not null
            ? new CloneOffer(generation, attempt, vm, node, profile, version, pageBytes, pages, address) : null;
    }

    private static void WriteCloneAnswer(ref MessagePackWriter writer, CloneAnswer message)
    {
        WriteSession(ref writer, message);
        writer.Write(message.Refusal);
    }

    private static CloneAnswer? ReadCloneAnswer(ref MessagePackReader reader)
    {
        ulong generation = reader.ReadUInt64(), attempt = reader.ReadUInt64();
        return ReadText(ref reader, ChannelClosed.TextMax) is { } refusal ? new CloneAnswer(generation, attempt, refusal) : null;
    }

    private static void WriteReplicaBeat(ref MessagePackWriter writer, ReplicaBeat message)
    {
        WriteSession(ref writer, message);
        writer.Write(message.Sequence);
    }

    private static ReplicaBeat? ReadReplicaBeat(ref MessagePackReader reader)
    {
        var message = new ReplicaBeat(reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadInt64());
        return message.Sequence > 0 ? message : null;
    }

    private static void WriteBackupFitness(ref MessagePackWriter writer, BackupFitness message)
    {
        WriteSession(ref writer, message);
        writer.Write(message.Refusal);
    }

    private static BackupFitness? ReadBackupFitness(ref MessagePackReader reader)
    {
        ulong generation = reader.ReadUInt64(), attempt = reader.ReadUInt64();
        return ReadText(ref reader, ChannelClosed.TextMax) is { } refusal ? new BackupFitness(generation, attempt, refusal) : null;
    }

    private static void WriteClonePages(ref MessagePackWriter writer, ClonePages message)
    {
        WriteSession(ref writer, message);
        writer.Write(message.Sequence);
        writer.Write(message.Pages.AsSpan());
    }

    private static ClonePages? ReadClonePages(ref MessagePackReader reader)
    {
        var message = new ClonePages(reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64(), ReadBytes(ref reader));
        return message.Pages.IsDefault ? null : message;
    }

    private static void WriteCloneBlockHashes(ref MessagePackWriter writer, CloneBlockHashes message)
    {
        WriteSession(ref writer, message);
        writer.Write(message.Sequence);
        writer.Write(message.Disk);
        writer.Write(message.First);
        writer.Write(message.Hashes.AsSpan());
    }

    private static CloneBlockHashes? ReadCloneBlockHashes(ref MessagePackReader reader)
    {
        var message = new CloneBlockHashes(reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadInt32(), reader.ReadInt64(), ReadBytes(ref reader));
        return !message.Hashes.IsDefault && message.Disk >= 0 && message.First >= 0
            && message.Hashes.Length <= CloneBlockHashes.BlocksMax * Disks.BlockHash.SizeBytes ? message : null;
    }

    private static void WriteCloneBlocksWanted(ref MessagePackWriter writer, CloneBlocksWanted message)
    {
        WriteSession(ref writer, message);
        writer.Write(message.Sequence);
        writer.Write(message.Wanted);
    }

    private static CloneBlocksWanted ReadCloneBlocksWanted(ref MessagePackReader reader) =>
        new(reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64());

    private static void WriteCloneBlocks(ref MessagePackWriter writer, CloneBlocks message)
    {
        WriteSession(ref writer, message);
        writer.Write(message.Sequence);
        writer.Write(message.Disk);
        writer.Write(message.Blocks.AsSpan());
    }

    private static CloneBlocks? ReadCloneBlocks(ref MessagePackReader reader)
    {
        var message = new CloneBlocks(reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadInt32(), ReadBytes(ref reader));
        return !message.Blocks.IsDefault && message.Disk >= 0 ? message : null;
    }

    private static void WriteCloneState(ref MessagePackWriter writer, CloneState message)
    {
        WriteSession(ref writer, message);
        writer.Write(message.Sequence);
        writer.Write(message.TotalBytes);
        writer.Write(message.Bytes.AsSpan());
    }

    private static CloneState? ReadCloneState(ref MessagePackReader reader)
    {
        var message = new CloneState(reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadInt32(), ReadBytes(ref reader));
        return !message.Bytes.IsDefault && message.TotalBytes is >= 0 and <= CloneState.TotalBytesMax
            && message.Bytes.Length <= message.TotalBytes ? message : null;
    }

    private static void WriteCloneFinish(ref MessagePackWriter writer, CloneFinish message)
    {
        WriteSession(ref writer, message);
        writer.Write(message.Sequence);
        writer.Write(message.LastLsn);
        writer.Write(message.LastOutput);
        writer.Write(message.Icount);
    }

    private static CloneFinish ReadCloneFinish(ref MessagePackReader reader) =>
        new(reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64());

    private static void WriteCloneProgress(ref MessagePackWriter writer, CloneProgress message)
    {
        WriteSession(ref writer, message);
        writer.Write(message.NextSequence);
    }

    private static CloneProgress ReadCloneProgress(ref MessagePackReader reader) =>
        new(reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64());

    private static void WriteCloneAssembled(ref MessagePackWriter writer, CloneAssembled message)
    {
        WriteSession(ref writer, message);
        writer.Write(message.Icount);
        writer.Write(message.Cpu);
        writer.Write(message.Devices);
        writer.Write(message.Memory);
    }

    private static CloneAssembled ReadCloneAssembled(ref MessagePackReader reader) =>
        new(reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64());

    private static void WriteConsoleHistory(ref MessagePackWriter writer, ConsoleHistory message)
    {
        WriteSession(ref writer, message);
        writer.Write(message.Offset);
        writer.Write(message.Bytes.AsSpan());
    }

    private static ConsoleHistory? ReadConsoleHistory(ref MessagePackReader reader)
    {
        var message = new ConsoleHistory(reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt64(), ReadBytes(ref reader));
        return !message.Bytes.IsDefault && message.Offset <= ulong.MaxValue - (ulong)message.Bytes.Length ? message : null;
    }

    private static void WriteDivergenceWitness(ref MessagePackWriter writer, DivergenceWitness message)
    {
        WriteSession(ref writer, message);
        writer.Write(message.Lsn);
        writer.Write(message.Icount);
        writer.Write(message.Registers);
        writer.Write(message.Pages.AsSpan());
    }

    private static DivergenceWitness? ReadDivergenceWitness(ref MessagePackReader reader)
    {
        ulong generation = reader.ReadUInt64(), attempt = reader.ReadUInt64(), lsn = reader.ReadUInt64(), icount = reader.ReadUInt64();
        string? registers = ReadText(ref reader, DivergenceWitness.RegistersMax);
        var pages = ReadBytes(ref reader);
        return registers is not null && !pages.IsDefault && pages.Length <= DivergenceWitness.PagesMax * 16 && pages.Length % 16 == 0
            ? new DivergenceWitness(generation, attempt, lsn, icount, registers, pages) : null;
    }

    private static void WriteMessagePiece(ref MessagePackWriter writer, MessagePiece message)
    {
        writer.Write(message.Incarnation);
        writer.Write(message.Number);
        writer.Write(message.Manifest);
        writer.Write(message.Index);
        writer.Write(message.Count);
        writer.Write(message.Bytes.AsSpan());
    }

    private static MessagePiece? ReadMessagePiece(ref MessagePackReader reader)
    {
        long incarnation = reader.ReadInt64();
        ulong number = reader.ReadUInt64();
        string? manifest = ReadText(ref reader, MessagePiece.ManifestMax);
        int index = reader.ReadInt32(), count = reader.ReadInt32();
        var bytes = ReadBytes(ref reader);
        return manifest is not null && !bytes.IsDefaultOrEmpty && count is > 0 and <= MessagePiece.CountMax && index >= 0 && index < count
            ? new MessagePiece(incarnation, number, manifest, index, count, bytes) : null;
    }

    private static void WriteSession(ref MessagePackWriter writer, IChannelMessage message)
    {
        writer.Write(message.Generation);
        writer.Write(message.Attempt);
    }

    /// <summary>Default for nil, which no message allows.</summary>
    private static ImmutableArray<byte> ReadBytes(ref MessagePackReader reader) =>
        reader.ReadBytes() is { } bytes ? ImmutableCollectionsMarshal.AsImmutableArray(System.Buffers.BuffersExtensions.ToArray(bytes)) : default;

    private static string? ReadText(ref MessagePackReader reader, int lengthMax) =>
        reader.ReadString() is { } text && text.Length <= lengthMax ? text : null;
}
