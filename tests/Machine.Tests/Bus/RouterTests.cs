using FtAkka.Machine.Bus;

namespace FtAkka.Machine.Tests.Bus;

public sealed class RouterTests
{
    private sealed class Register : IMmioDevice, IPortDevice
    {
        public List<(ulong Offset, int Size, ulong Value)> Writes { get; } = [];

        public ulong MmioRead(ulong offset, int size) => 0xAABB_CCDD_0000_0000 | offset;

        public void MmioWrite(ulong offset, int size, ulong value) => Writes.Add((offset, size, value));

        public byte PortRead(ushort offset) => (byte)(0x10 + offset);

        public void PortWrite(ushort offset, byte value) => Writes.Add((offset, 1, value));
    }

    [Theory]
    [InlineData(1, 0xFFUL)]
    [InlineData(2, 0xFFFFUL)]
    [InlineData(4, 0xFFFF_FFFFUL)]
    [InlineData(8, ulong.MaxValue)]
    public void Address_without_device_reads_all_ones_of_the_access_size(int size, ulong expected)
    {
        var router = new PhysicalAddressRouter();
        router.Add(0x1000, 0x1000, new Register());
        Assert.Equal(expected, router.Read(0x2000, size));
        Assert.Equal(expected, router.Read(0xFF8, size));
    }

    [Fact]
    public void Address_inside_a_window_reaches_its_device_with_the_offset_and_masked_value()
    {
        var (low, high) = (new Register(), new Register());
        var router = new PhysicalAddressRouter();
        router.Add(0x2000, 0x100, high);
        router.Add(0x1000, 0x1000, low);
        Assert.Equal(0x10UL, router.Read(0x2010, 4));
        router.Write(0x1FFF, 1, 0x1234);
        router.Write(0x20FC, 4, ulong.MaxValue);
        Assert.Equal([(0xFFFUL, 1, 0x34UL)], low.Writes);
        Assert.Equal([(0xFCUL, 4, 0xFFFF_FFFFUL)], high.Writes);
    }

    [Fact]
    public void Access_over_the_end_of_a_window_belongs_to_nobody()
    {
        var register = new Register();
        var router = new PhysicalAddressRouter();
        router.Add(0x1000, 3, register);
        Assert.Equal(0xFFFF_FFFF, router.Read(0x1000, 4));
        router.Write(0x1002, 2, 1);
        Assert.Empty(register.Writes);
    }

    [Theory]
    [InlineData(0x1800, 0x1000)]
    [InlineData(0x0, 0x1001)]
    [InlineData(0x5000, 0)]
    public void Window_that_overlaps_or_is_empty_is_refused(ulong start, ulong size)
    {
        var router = new PhysicalAddressRouter();
        router.Add(0x1000, 0x1000, new Register());
        Assert.Throws<ArgumentException>(() => router.Add(start, size, new Register()));
    }

    [Fact]
    public void Port_without_device_reads_all_ones()
    {
        var router = new PortRouter();
        Assert.Equal(0xFFU, router.Read(0x2F8, 1));
        Assert.Equal(0xFFFF_FFFFU, router.Read(0xCFC, 4));
        router.Write(0xCF8, 4, 0x8000_0000);
    }

    [Fact]
    public void Wide_port_access_is_split_lowest_port_first_over_all_owners()
    {
        var register = new Register();
        var router = new PortRouter();
        router.Add(0x100, 2, register);
        Assert.Equal(0xFFFF_1110U, router.Read(0x100, 4));
        Assert.Equal(0x10FFU, router.Read(0xFF, 2));
        router.Write(0x101, 2, 0xBEEF);
        Assert.Equal([(1UL, 1, 0xEFUL)], register.Writes);
    }
}
