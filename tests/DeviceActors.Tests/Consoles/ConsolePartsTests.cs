using System.Text;
using FtAkka.DeviceActors.Consoles;

namespace FtAkka.DeviceActors.Tests.Consoles;

/// <summary>Output positions and the escape key.</summary>
public sealed class ConsolePartsTests
{
    private static string Text(byte[] bytes) => Encoding.ASCII.GetString(bytes);

    [Fact]
    public void Bytes_sent_again_are_taken_once()
    {
        var buffer = new OutputBuffer(0, 100);
        Assert.Equal(5, buffer.Append(0, "hello"u8));
        Assert.Equal(0, buffer.Append(0, "hello"u8));
        Assert.Equal(0, buffer.Append(1, "ell"u8));
        Assert.Equal(3, buffer.Append(3, "lo you"u8[..5]));
        Assert.Equal((8ul, 0ul), (buffer.NextOffset, buffer.LostBytes));
        Assert.Equal("hello yo", Text(buffer.TakeAll(out ulong offset)));
        Assert.Equal(0ul, offset);
        Assert.Equal(0, buffer.Append(0, "hello"u8));   // taken out is taken
    }

    [Fact]
    public void Replica_that_goes_live_starts_where_the_other_stopped()
    {
        var buffer = new OutputBuffer(startOffset: 3, 100);
        Assert.Equal(2, buffer.Append(0, "hello"u8));
        Assert.Equal("lo", Text(buffer.TakeAll(out ulong offset)));
        Assert.Equal(3ul, offset);
    }

    [Fact]
    public void Oldest_bytes_go_when_the_limit_is_reached()
    {
        var buffer = new OutputBuffer(0, 4);
        buffer.Append(0, "abcdef"u8);
        Assert.Equal((2ul, 2ul, 6ul), (buffer.LostBytes, buffer.FirstOffset, buffer.NextOffset));
        Assert.Equal("cdef", Text(buffer.TakeAll(out ulong offset)));
        Assert.Equal(2ul, offset);
    }

    [Fact]
    public void Gap_is_counted_and_no_byte_moves_to_a_wrong_place()
    {
        var buffer = new OutputBuffer(0, 100);
        buffer.Append(0, "ab"u8);
        buffer.Append(10, "xy"u8);
        Assert.Equal(10ul, buffer.LostBytes);
        Assert.Equal("xy", Text(buffer.TakeAll(out ulong offset)));
        Assert.Equal(10ul, offset);
    }

    [Theory]
    [InlineData("abc", "abc", false)]
    [InlineData("a\u0001xb", "a", true)]
    [InlineData("a\u0001X", "a", true)]
    [InlineData("\u0001\u0001", "\u0001", false)]
    [InlineData("\u0001qab", "ab", false)]
    [InlineData("x\u0001", "x", false)]
    public void Escape_key_behaves_as_in_QEMU(string typed, string passed, bool leave)
    {
        var filter = new EscapeFilter();
        Assert.Equal(passed, Text([.. filter.Filter(Encoding.ASCII.GetBytes(typed), out bool left)]));
        Assert.Equal(leave, left);
    }

    [Fact]
    public void Escape_key_is_remembered_between_pieces()
    {
        var filter = new EscapeFilter();
        Assert.Empty(filter.Filter("\u0001"u8, out bool leave));
        Assert.False(leave);
        Assert.Empty(filter.Filter("x"u8, out leave));
        Assert.True(leave);
    }
}
