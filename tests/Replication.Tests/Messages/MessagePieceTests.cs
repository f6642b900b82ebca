using System.Collections.Immutable;
using FtAkka.Replication.Messages;

namespace FtAkka.Replication.Tests.Messages;

/// <summary>Long messages are cut and put together again, whatever the way between does to the parts.</summary>
public sealed class MessagePieceTests
{
    private const int PieceBytes = MessageCutter.BytesMaxLeast;

    private readonly MessageAssembler assembler = new();

    [Fact]
    public void Message_that_fits_is_sent_whole()
    {
        var message = new LogAppend([.. new byte[PieceBytes - WireMessageCodec.FixedBytesMax]], 1, 2);
        Assert.Empty(new MessageCutter(1, PieceBytes).Cut(message));
    }

    [Theory]
    [InlineData(PieceBytes - WireMessageCodec.FixedBytesMax + 1)]
    [InlineData(PieceBytes * 3)]
    [InlineData(PieceBytes * 100 + 17)]
    public void Longer_message_comes_back_as_it_was(int bytes)
    {
        LogAppend message = Append(bytes);
        MessagePiece[] parts = new MessageCutter(1, PieceBytes).Cut(message);
        Assert.All(parts, part => Assert.InRange(part.Bytes.Length, 1, PieceBytes));
        Assert.All(parts[..^1], part => Assert.Equal((null, WireMessageRefusal.None), assembler.Take("a", part)));
        AssertSame(message, assembler.Take("a", parts[^1]).Message);
    }

    [Fact]
    public void Parts_may_come_twice_and_in_any_order_and_the_message_comes_once()
    {
        LogAppend message = Append(PieceBytes * 20);
        MessagePiece[] parts = new MessageCutter(1, PieceBytes).Cut(message);
        MessagePiece[] twice = [.. parts, .. parts];
        new Random(7).Shuffle(twice);
        var whole = twice.Select(part => assembler.Take("a", part)).Where(taken => taken.Message is not null).ToArray();
        AssertSame(message, Assert.Single(whole).Message);
    }

    [Fact]
    public void Message_with_a_lost_part_never_comes_and_does_not_hinder_the_next()
    {
        var cutter = new MessageCutter(1, PieceBytes);
        MessagePiece[] first = cutter.Cut(Append(PieceBytes * 3));
        LogAppend second = Append(PieceBytes * 5);
        Assert.All(first[1..], part => Assert.Null(assembler.Take("a", part).Message));
        MessagePiece[] next = cutter.Cut(second);
        Assert.Null(assembler.Take("a", next[0]).Message);
        // The late part belongs to nothing any more.
        Assert.Equal((null, WireMessageRefusal.None), assembler.Take("a", first[0]));
        Assert.All(next[1..^1], part => Assert.Null(assembler.Take("a", part).Message));
        AssertSame(second, assembler.Take("a", next[^1]).Message);
    }

    [Fact]
    public void Restarted_sender_whose_numbers_begin_anew_is_heard()
    {
        foreach (MessagePiece part in new MessageCutter(1, PieceBytes).Cut(Append(PieceBytes * 3)).Skip(1))
        {
            assembler.Take("a", part);
        }
        var cutter = new MessageCutter(2, PieceBytes);
        IWireMessage?[] taken = [.. cutter.Cut(Append(PieceBytes * 2)).Select(part => assembler.Take("a", part).Message)];
        Assert.NotNull(taken[^1]);
    }

    [Fact]
    public void Parts_of_several_senders_do_not_mix()
    {
        LogAppend a = Append(PieceBytes * 4), b = Append((PieceBytes * 4) + 1);
        MessagePiece[] ofA = new MessageCutter(1, PieceBytes).Cut(a), ofB = new MessageCutter(1, PieceBytes).Cut(b);
        for (int i = 0; i < ofA.Length - 1; i++)
        {
            Assert.Null(assembler.Take("a", ofA[i]).Message);
            Assert.Null(assembler.Take("b", ofB[i]).Message);
        }
        AssertSame(a, assembler.Take("a", ofA[^1]).Message);
        Assert.All(ofB[^1..], part => AssertSame(b, assembler.Take("b", part).Message));
    }

    [Fact]
    public void Parts_that_contradict_each_other_are_refused()
    {
        var part = new MessagePiece(1, 1, "la", 0, 3, [1]);
        Assert.Equal(WireMessageRefusal.None, assembler.Take("a", part).Refusal);
        Assert.Equal(WireMessageRefusal.OutOfRange, assembler.Take("a", part with { Index = 1, Count = 4 }).Refusal);
        Assert.Equal(WireMessageRefusal.None, assembler.Take("a", part).Refusal);
        Assert.Equal(WireMessageRefusal.OutOfRange, assembler.Take("a", part with { Index = 1, Manifest = "lr" }).Refusal);
    }

    [Fact]
    public void Parts_of_what_is_no_message_are_refused()
    {
        Assert.Equal(WireMessageRefusal.Malformed, assembler.Take("a", new MessagePiece(1, 1, "la", 0, 1, [0xc1])).Refusal);
        Assert.Equal(WireMessageRefusal.UnknownManifest, assembler.Take("a", new MessagePiece(1, 2, "zz", 0, 1, [0xc1])).Refusal);
        byte[] nested = WireMessageCodec.Encode(new MessagePiece(1, 1, "la", 0, 1, [1]));
        Assert.Equal(WireMessageRefusal.UnknownManifest, assembler.Take("a", new MessagePiece(1, 3, "mp", 0, 1, [.. nested])).Refusal);
    }

    [Fact]
    public void Hostile_parts_occupy_bounded_memory()
    {
        ImmutableArray<byte> much = [.. new byte[8 << 20]];
        WireMessageRefusal[] refusals = [.. Enumerable.Range(0, 5).Select(i => assembler.Take("a", new MessagePiece(1, 1, "la", i, MessagePiece.CountMax, much)).Refusal)];
        Assert.Equal([WireMessageRefusal.None, WireMessageRefusal.None, WireMessageRefusal.None, WireMessageRefusal.None, WireMessageRefusal.OutOfRange], refusals);
        // Of many senders only the last few are remembered.
        MessagePiece[] parts = new MessageCutter(1, PieceBytes).Cut(Append(PieceBytes * 2));
        assembler.Take("first", parts[0]);
        for (int i = 0; i < MessageAssembler.SendersMax; i++)
        {
            assembler.Take($"other {i}", parts[0]);
        }
        Assert.All(parts[1..], part => Assert.Null(assembler.Take("first", part).Message));
    }

    [Fact]
    public void Message_that_no_receiver_takes_is_refused_at_its_sender() =>
        Assert.Throws<ArgumentException>(() => new MessageCutter(1).Cut(Append(MessageAssembler.BytesMax)));

    private static LogAppend Append(int bytes)
    {
        byte[] frames = new byte[bytes];
        new Random(bytes).NextBytes(frames);
        return new LogAppend([.. frames], 1, 2, 3, 4);
    }

    private static void AssertSame(LogAppend expected, IWireMessage? actual)
    {
        LogAppend found = Assert.IsType<LogAppend>(actual);
        Assert.True(expected.Frames.AsSpan().SequenceEqual(found.Frames.AsSpan()));
        Assert.Equal(expected with { Frames = [] }, found with { Frames = [] });
    }
}
