using System.Buffers.Binary;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Log;

namespace FtAkka.Replication.Tests.Log;

/// <summary>Entries as bytes and back; and bytes that are none.</summary>
public sealed class LogFrameTests
{
    private static bool Long => Environment.GetEnvironmentVariable("FTAKKA_LONG_TESTS") == "1";

    [Fact]
    public void Entries_of_every_kind_come_back_as_they_were()
    {
        for (int seed = 0; seed < 200; seed++)
        {
            List<LogEntry> entries = LogEntrySamples.Entries(new Random(seed), (ulong)seed + 1);
            byte[] frame = LogFrame.Write(entries);
            Assert.Equal(LogFrameError.None, LogFrame.TryRead(frame, out IReadOnlyList<LogEntry> read, out int consumed));
            Assert.Equal(frame.Length, consumed);
            Assert.Equal(entries.Select(LogEntrySamples.Text), read.Select(LogEntrySamples.Text));
        }
        Assert.Equal(
            Enum.GetValues<LogEntryKind>().Order(),
            LogEntrySamples.Entries(new Random(0)).Select(LogEntries.KindOf).Distinct().Order());
    }

    [Fact]
    public void Many_entries_become_several_frames_without_a_gap()
    {
        var entries = Enumerable.Range(1, 40)
            .Select(n => new LogEntry(new Lsn((ulong)n), (ulong)n * 10, new InputPayload(new DiskCompleted(0, new DiskCompletion((ulong)n, DiskStatus.Ok, [.. new byte[100_000]])))))
            .ToList();
        List<ReadOnlyMemory<byte>> frames = [.. LogFrame.WriteAll(entries)];
        Assert.True(frames.Count > 2);
        Assert.All(frames, frame => Assert.True(frame.Length < 1_200_000));
        var read = new List<LogEntry>();
        foreach (ReadOnlyMemory<byte> frame in frames)
        {
            Assert.Equal(LogFrameError.None, LogFrame.TryRead(frame, out IReadOnlyList<LogEntry> part, out _));
            read.AddRange(part);
        }
        Assert.Equal(entries.Select(LogEntrySamples.Text), read.Select(LogEntrySamples.Text));
    }

    [Fact]
    public void Longest_disk_read_fits()
    {
        var entry = new LogEntry(new Lsn(1), 0, new InputPayload(new DiskCompleted(0, new DiskCompletion(1, DiskStatus.Ok, [.. new byte[16 << 20]]))));
        Assert.Equal(LogFrameError.None, LogFrame.TryRead(LogFrame.Write([entry]), out IReadOnlyList<LogEntry> read, out _));
        Assert.Equal(16 << 20, ((DiskCompleted)((InputPayload)read[0].Payload).Input).Completion.Data.Length);
    }

    [Fact]
    public void Every_beginning_of_a_frame_is_incomplete()
    {
        byte[] frame = LogFrame.Write(LogEntrySamples.Entries(new Random(1)));
        for (int length = 0; length < frame.Length; length++)
        {
            Assert.Equal(LogFrameError.Incomplete, LogFrame.TryRead(frame.AsMemory(0, length), out IReadOnlyList<LogEntry> read, out int consumed));
            Assert.Empty(read);
            Assert.Equal(0, consumed);
        }
    }

    [Fact]
    public void Every_changed_bit_is_noticed()
    {
        byte[] frame = LogFrame.Write([new LogEntry(new Lsn(7), 99, new InputPayload(new ClockAdvance(12345)))]);
        for (int bit = 0; bit < frame.Length * 8; bit++)
        {
            byte[] changed = [.. frame];
            changed[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.NotEqual(LogFrameError.None, LogFrame.TryRead(changed, out _, out _));
        }
    }

    /// <summary>A frame whose checksum was made right again is what a hostile peer sends: the outcome is a value.</summary>
    [Fact]
    public void Mutated_bodies_are_entries_or_errors_and_never_an_exception()
    {
        int rounds = Long ? 200_000 : 5_000;
        var random = new Random(42);
        int understood = 0;
        for (int round = 0; round < rounds; round++)
        {
            byte[] frame = LogFrame.Write(LogEntrySamples.Entries(random).Skip(random.Next(20)).Take(random.Next(1, 6)).ToList());
            for (int change = random.Next(1, 6); change > 0; change--)
            {
                frame[random.Next(8, frame.Length)] = (byte)(random.Next(2) == 0 ? random.Next(256) : 0xC0 + random.Next(0x40));
            }
            BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(28), Crc32C.Of(frame.AsSpan(0, 28), frame.AsSpan(32)));
            LogFrameError error = LogFrame.TryRead(frame, out IReadOnlyList<LogEntry> read, out int consumed);
            Assert.True(error is LogFrameError.None or LogFrameError.BadBody, $"round {round}: {error}");
            Assert.Equal(error == LogFrameError.None, consumed > 0 && read.Count > 0);
            understood += error == LogFrameError.None ? 1 : 0;
            foreach (LogEntry entry in read)
            {
                _ = LogEntries.Describe(entry);
            }
        }
        Assert.InRange(understood, rounds / 100, rounds);
    }

    [Theory]
    [InlineData("C6FFFFFFFF", false)] // a byte string of 4 GiB
    [InlineData("C680000000", false)]
    [InlineData("DDFFFFFFFF", false)] // an array of 4 G elements
    [InlineData("00", true)] // a field of a later version is skipped
    [InlineData("C403010203", true)]
    [InlineData("9100", false)] // but not one that nests
    public void Further_field(string field, bool understood)
    {
        // A clock advance with one field more than this version knows.
        byte[] body = [0x94, 0x04, 0x00, 0x05, .. Convert.FromHexString(field)];
        byte[] frame = [.. LogFrame.Write([new LogEntry(new Lsn(1), 0, new InputPayload(new ClockAdvance(5)))]).AsSpan(0, LogFrame.HeaderBytes), .. body];
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(4), body.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(28), Crc32C.Of(frame.AsSpan(0, 28), frame.AsSpan(32)));
        Assert.Equal(understood ? LogFrameError.None : LogFrameError.BadBody, LogFrame.TryRead(frame, out _, out _));
    }

    [Fact]
    public void Deep_nesting_is_an_error()
    {
        byte[] body = [0x94, 0x04, 0x00, 0x05, .. Enumerable.Repeat((byte)0x91, 1 << 20)];
        byte[] frame = [.. LogFrame.Write([new LogEntry(new Lsn(1), 0, new InputPayload(new ClockAdvance(5)))]).AsSpan(0, LogFrame.HeaderBytes), .. body];
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(4), body.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(28), Crc32C.Of(frame.AsSpan(0, 28), frame.AsSpan(32)));
        Assert.Equal(LogFrameError.BadBody, LogFrame.TryRead(frame, out _, out _));
    }

    [Fact]
    public void Newer_version_is_named_as_such()
    {
        byte[] frame = LogFrame.Write(LogEntrySamples.Entries(new Random(1)));
        frame[2] = LogFrame.Version + 1;
        Assert.Equal(LogFrameError.UnknownVersion, LogFrame.TryRead(frame, out _, out _));
    }

    /// <summary>The format of version 1, byte by byte: what is written today must be read for ever.</summary>
    [Fact]
    public void Bytes_of_version_1()
    {
        LogEntry[] entries =
        [
            new(new Lsn(0x11), 1000, new InputPayload(new ClockAdvance(5_000_000))),
            new(new Lsn(0x12), 1007, new InputPayload(new ConsoleInput(ConsoleKind.Serial, [0x6C, 0x73, 0x0A]))),
            new(new Lsn(0x13), 1007, new OutputMarkPayload(3)),
            new(new Lsn(0x14), 2000, new CheckpointPayload()),
        ];
        byte[] frame = LogFrame.Write(entries);
        Assert.Equal("464c01001a000000" + "1100000000000000" + "e803000000000000" + "04000000", Convert.ToHexStringLower(frame.AsSpan(0, 28)));
        Assert.Equal(
            "930400ce004c4b40" + "94030700c4036c730a" + "93060003" + "920bcd03e1",
            Convert.ToHexStringLower(frame.AsSpan(32)));
    }

    [Fact]
    public void Header_and_index_records_come_back_and_damage_is_noticed()
    {
        var header = new LogFileHeader(Guid.NewGuid());
        byte[] bytes = header.Write();
        Assert.Equal(LogFrameError.None, LogFileHeader.TryRead(bytes, out LogFileHeader read));
        Assert.Equal(header, read);
        for (int i = 0; i < bytes.Length; i++)
        {
            byte[] bad = [.. bytes];
            bad[i] ^= 1;
            Assert.NotEqual(LogFrameError.None, LogFileHeader.TryRead(bad, out _));
        }
        var record = new LogIndexRecord(77, new Lsn(5), 4096);
        byte[] stored = new byte[LogIndexRecord.SizeBytes];
        record.Write(stored);
        Assert.Equal(record, LogIndexRecord.TryRead(stored));
        stored[3] ^= 1;
        Assert.Null(LogIndexRecord.TryRead(stored));
        Assert.Null(LogIndexRecord.TryRead(stored.AsSpan(0, 31)));
    }
}
