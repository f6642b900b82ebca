using System.Buffers.Binary;
using System.Text;

namespace FtAkka.GuestKit.Tests;

public sealed class Lz4LegacyFrameTests
{
    [Fact]
    public void Literals_are_copied()
    {
        Assert.Equal("hello"u8.ToArray(), Lz4LegacyFrame.Decode(Frame([0x50, .. "hello"u8]), 5));
    }

    [Fact]
    public void Overlapping_match_repeats_what_it_has_written()
    {
        // Literals "ab", then a match of 4 + 6 bytes at distance 2, then the literal "!".
        byte[] block = [0x26, (byte)'a', (byte)'b', 2, 0, 0x10, (byte)'!'];

        Assert.Equal("abababababab!", Encoding.ASCII.GetString(Lz4LegacyFrame.Decode(Frame(block), 13)));
    }

    [Fact]
    public void Distant_match_copies_without_repeating()
    {
        byte[] block = [0x80, .. "abcdefgh"u8, 8, 0, 0x10, (byte)'!'];

        Assert.Equal("abcdefghabcd!", Encoding.ASCII.GetString(Lz4LegacyFrame.Decode(Frame(block), 13)));
    }

    [Theory]
    [InlineData(15)]
    [InlineData(269)]
    [InlineData(270)]
    [InlineData(271)]
    [InlineData(1000)]
    public void Long_lengths_continue_in_further_bytes(int count)
    {
        byte[] literals = [.. Enumerable.Range(0, count).Select(i => (byte)(i * 7))];
        byte[] block = [0xf0, .. Continuation(count - 15), .. literals];

        Assert.Equal(literals, Lz4LegacyFrame.Decode(Frame(block), count));
    }

    [Fact]
    public void Blocks_follow_each_other_and_matches_stay_inside_their_block()
    {
        Assert.Equal("onetwo", Encoding.ASCII.GetString(Lz4LegacyFrame.Decode(Frame([0x30, .. "one"u8], [0x30, .. "two"u8]), 6)));

        // A match into the block before: the legacy frame's blocks are independent.
        byte[] frame = Frame([0x80, .. "abcdefgh"u8], [0x10, (byte)'x', 4, 0, 0x10, (byte)'!']);
        Assert.Throws<InvalidDataException>(() => Lz4LegacyFrame.Decode(frame, 14));
    }

    [Theory]
    [InlineData(new byte[] { 0x50, 1, 2 })] // literals missing
    [InlineData(new byte[] { 0xf0, 255 })] // length does not end
    [InlineData(new byte[] { 0x10, 1, 0, 0, 0x10, 1 })] // distance 0
    [InlineData(new byte[] { 0x10, 1, 2, 0, 0x10, 1 })] // distance before the start
    [InlineData(new byte[] { 0x10, 1, 1 })] // half a distance
    [InlineData(new byte[] { 0x1f, 1, 1, 0, 255, 0, 0x10, 1 })] // more output than announced
    public void Damaged_block_is_refused(byte[] block)
    {
        Assert.Throws<InvalidDataException>(() => Lz4LegacyFrame.Decode(Frame(block), 8));
    }

    [Fact]
    public void Every_cut_of_a_frame_is_refused()
    {
        byte[] frame = Frame([0x26, (byte)'a', (byte)'b', 2, 0, 0x10, (byte)'!']);
        for (int length = 0; length < frame.Length; length++)
        {
            Assert.Throws<InvalidDataException>(() => Lz4LegacyFrame.Decode(frame.AsSpan(0, length), 13));
        }
    }

    internal static byte[] Frame(params byte[][] blocks)
    {
        using var frame = new MemoryStream();
        Span<byte> word = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(word, Lz4LegacyFrame.Magic);
        frame.Write(word);
        foreach (byte[] block in blocks)
        {
            BinaryPrimitives.WriteInt32LittleEndian(word, block.Length);
            frame.Write(word);
            frame.Write(block);
        }

        return frame.ToArray();
    }

    internal static byte[] Continuation(int rest) => [.. Enumerable.Repeat((byte)255, rest / 255), (byte)(rest % 255)];
}
