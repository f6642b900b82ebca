using System.Buffers;
using System.Globalization;
using FtAkka.Machine.Events;
using MessagePack;

namespace FtAkka.Replication.Log;

/// <summary>Questions about single entries: for people, for statistics and to compare logs.</summary>
public static class LogEntries
{
    private const int BytesShown = 32;

    /// <summary>Kind of an entry.</summary>
    public static LogEntryKind KindOf(LogEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        return LogEntryCodec.KindOf(entry.Payload);
    }

    /// <summary>Bytes of content that an entry carries: a frame, disk data, typed text.</summary>
    public static int ContentBytes(LogEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        return LogEntryCodec.ContentBytes(entry.Payload);
    }

    /// <summary>The entry as it stands in a log, behind an entry at <paramref name="icountBefore"/>. Equal entries give equal bytes.</summary>
    public static byte[] Encode(LogEntry entry, ulong icountBefore = 0)
    {
        ArgumentNullException.ThrowIfNull(entry);
        var buffer = new ArrayBufferWriter<byte>(64);
        var writer = new MessagePackWriter(buffer);
        LogEntryCodec.Write(ref writer, entry.Payload, checked(entry.Icount - icountBefore));
        writer.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Content of an entry in one line for people, without number, icount and kind.</summary>
    public static string Describe(LogEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        return entry.Payload switch
        {
            InputPayload input => Describe(input.Input),
            OwnReadPayload read => Text($"disk {read.Disk} request {read.Id} Ok, data from the replica's own disk"),
            OutputMarkPayload mark => Text($"outputs up to {mark.LastOutput}"),
            DigestPayload digest => $"cpu {digest.Digest.Cpu:x16} devices {digest.Digest.Devices:x16} memory {digest.Digest.Memory:x16}",
            CheckpointPayload => "a snapshot was taken here",
            EndPayload end => end.Reason.ToString(),
            _ => "",
        };
    }

    private static string Describe(InputEvent input) => input switch
    {
        NetReceive frame => Text($"nic {frame.Nic}, {frame.Frame.Length} bytes: {Hex(frame.Frame.AsSpan())}"),
        NetLinkChange link => Text($"nic {link.Nic} {(link.Up ? "up" : "down")}"),
        DiskCompleted disk => Text($"disk {disk.Disk} request {disk.Completion.Id} {disk.Completion.Status}, {disk.Completion.Data.Length} bytes"),
        DiskCapacityChange change => Text($"disk {change.Disk}, {change.CapacitySectors} sectors"),
        ConsoleInput typed => $"{typed.Console}: {Quote(typed.Bytes.AsSpan())}",
        ClockAdvance clock => Text($"tsc {clock.Tsc}"),
        Control control => control.Operation.ToString(),
        _ => input.GetType().Name,
    };

    private static string Hex(ReadOnlySpan<byte> bytes) =>
        Convert.ToHexStringLower(bytes[..Math.Min(bytes.Length, BytesShown)]) + (bytes.Length > BytesShown ? "..." : "");

    private static string Quote(ReadOnlySpan<byte> bytes)
    {
        var text = new System.Text.StringBuilder("\"");
        foreach (byte value in bytes)
        {
            _ = value switch
            {
                (byte)'\n' => text.Append("\\n"),
                (byte)'\r' => text.Append("\\r"),
                (byte)'"' or (byte)'\\' => text.Append('\\').Append((char)value),
                >= 0x20 and < 0x7F => text.Append((char)value),
                _ => text.Append(CultureInfo.InvariantCulture, $"\\x{value:x2}"),
            };
        }
        return text.Append('"').ToString();
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
