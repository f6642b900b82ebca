using FtAkka.Cpu.Memory;

namespace FtAkka.Cpu.Tests.Memory;

public sealed class GuestMemoryTests
{
    private const ulong GiB = 1UL << 30;

    [Fact]
    public void RAM_beyond_3_GiB_continues_at_4_GiB()
    {
        using var memory = new GuestMemory(5 * GiB);

        Assert.True(memory.TryWrite(3 * GiB - 4, [1, 2, 3, 4]));
        Assert.True(memory.TryWrite(4 * GiB, [5, 6]));
        Assert.True(memory.TryWrite(6 * GiB - 2, [7, 8]));

        Assert.Equal([1, 2, 3, 4], memory.Page((3 << 18) - 1)[^4..].ToArray());
        Assert.Equal([5, 6], memory.Page(3 << 18)[..2].ToArray());
        Assert.Equal([7, 8], memory.Page(memory.PageCount - 1)[^2..].ToArray());
        Assert.Equal(4 * GiB, memory.PhysicalAddressOf(3 << 18));
        Assert.Equal(3 << 18, memory.PageIndexOf(4 * GiB));
        Assert.Equal([-1, -1, -1], new[] { 3 * GiB, 4 * GiB - 1, 6 * GiB }.Select(memory.PageIndexOf));
    }

    [Theory]
    [InlineData(3 * GiB - 1, 2)]
    [InlineData(3 * GiB, 1)]
    [InlineData(4 * GiB - 1, 2)]
    [InlineData(6 * GiB - 1, 2)]
    [InlineData(ulong.MaxValue, 2)]
    public void Access_not_wholly_in_RAM_is_refused_and_writes_nothing(ulong address, int length)
    {
        using var memory = new GuestMemory(5 * GiB);
        byte[] bytes = [.. Enumerable.Repeat((byte)0xAA, length)];

        Assert.False(memory.TryWrite(address, bytes));
        Assert.False(memory.TryRead(address, bytes));

        Assert.Equal(0, memory.Page((3 << 18) - 1)[^1]);
        Assert.Equal(0, memory.Page(memory.PageCount - 1)[^1]);
        Assert.Equal(0xAA, bytes[0]);
    }

    [Theory]
    [InlineData(GiB + 1)]
    [InlineData(4096UL)]
    [InlineData(65 * GiB)]
    public void Size_out_of_range_is_refused(ulong size) => Assert.Throws<ArgumentOutOfRangeException>(() => new GuestMemory(size));

    [Fact]
    public void Use_after_dispose_throws_instead_of_touching_unmapped_memory()
    {
        var memory = new GuestMemory(GuestMemory.SizeBytesMin);
        memory.Dispose();
        memory.Dispose();

        Assert.Throws<ObjectDisposedException>(() => memory.TryRead(0, new byte[1]));
        Assert.Throws<ObjectDisposedException>(() => memory.TryWrite(0, [1]));
        Assert.Throws<ObjectDisposedException>(() => memory.Page(0)[0]);
    }
}
