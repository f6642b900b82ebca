using System.Buffers.Binary;
using System.Text;
using FtAkka.Cpu.Memory;
using FtAkka.Machine.Acpi;
using FtAkka.Machine.Boot;

namespace FtAkka.Machine.Tests.Boot;

/// <summary>The 64-bit Linux boot protocol (Documentation/arch/x86/boot.rst).</summary>
public sealed class LinuxLoaderTests : IDisposable
{
    private const ulong RamBytes = 32UL << 20;
    private readonly GuestMemory memory = new(RamBytes);

    public void Dispose() => memory.Dispose();

    private byte[] Read(ulong address, int count)
    {
        var bytes = new byte[count];
        Assert.True(memory.TryRead(address, bytes));
        return bytes;
    }

    private ulong Read64(ulong address) => BinaryPrimitives.ReadUInt64LittleEndian(Read(address, 8));

    private uint Read32(ulong address) => BinaryPrimitives.ReadUInt32LittleEndian(Read(address, 4));

    private BootError? Load(byte[] kernel, out BootEntry entry, byte[]? initrd = null, string commandLine = "console=ttyS0") =>
        LinuxLoader.Load(memory, kernel, initrd ?? [], commandLine, AcpiTables.Build([]), out entry);

    private BootError Refused(byte[] kernel, byte[]? initrd = null, string commandLine = "")
    {
        var error = Load(kernel, out _, initrd, commandLine);
        Assert.NotNull(error);
        Assert.EndsWith(".", error.Message, StringComparison.Ordinal);
        return error;
    }

    [Fact]
    public void Bzimage_code_stands_at_its_preferred_address_and_is_entered_200h_behind()
    {
        Assert.Null(Load(SyntheticKernel.BzImage(), out var entry));
        Assert.Equal(SyntheticKernel.PreferredAddress + 0x200, entry.Rip);
        Assert.Equal(SyntheticKernel.BzImage()[1024..], Read(SyntheticKernel.PreferredAddress, SyntheticKernel.CodeBytes));
    }

    [Fact]
    public void Boot_params_carry_the_kernels_header_and_the_loaders_fields()
    {
        var initrd = Encoding.ASCII.GetBytes("the initial ram disk");
        Assert.Null(Load(SyntheticKernel.BzImage(), out var entry, initrd, "root=/dev/vda quiet"));
        var page = Read(entry.Rsi, 4096);
        Assert.Equal(0xAA55, BinaryPrimitives.ReadUInt16LittleEndian(page.AsSpan(0x1FE)));
        Assert.Equal("HdrS", Encoding.ASCII.GetString(page, 0x202, 4));
        Assert.Equal(0x020F, BinaryPrimitives.ReadUInt16LittleEndian(page.AsSpan(0x206)));
        Assert.Equal(0xFF, page[0x210]);
        Assert.Equal(1, page[0x211] & 1);
        Assert.Equal(SyntheticKernel.PreferredAddress, BinaryPrimitives.ReadUInt64LittleEndian(page.AsSpan(0x258)));
        Assert.Equal(0UL, BinaryPrimitives.ReadUInt64LittleEndian(page.AsSpan(0)));
        Assert.Equal(AcpiTables.BaseAddress, BinaryPrimitives.ReadUInt64LittleEndian(page.AsSpan(0x70)));
        var ramdisk = BinaryPrimitives.ReadUInt32LittleEndian(page.AsSpan(0x218));
        Assert.Equal((uint)initrd.Length, BinaryPrimitives.ReadUInt32LittleEndian(page.AsSpan(0x21C)));
        Assert.Equal(initrd, Read(ramdisk, initrd.Length));
        Assert.Equal(0U, ramdisk % 4096);
        Assert.True(ramdisk >= SyntheticKernel.PreferredAddress + SyntheticKernel.InitSize);
        var commandLine = Read(BinaryPrimitives.ReadUInt32LittleEndian(page.AsSpan(0x228)), 20);
        Assert.Equal("root=/dev/vda quiet\0", Encoding.ASCII.GetString(commandLine));
        Assert.Equal("RSD PTR ", Encoding.ASCII.GetString(Read(AcpiTables.BaseAddress, 8)));
    }

    [Fact]
    public void Header_ends_where_the_jump_says_and_what_follows_in_the_file_stays_out()
    {
        var kernel = SyntheticKernel.BzImage();
        kernel.AsSpan(0x26C, 0x20).Fill(0xEE);
        Load(kernel, out var entry);
        Assert.All(Read(entry.Rsi + 0x26C, 0x20), value => Assert.Equal(0, value));
    }

    [Fact]
    public void E820_map_has_holes_is_ordered_and_covers_all_ram_above_the_first_mebibyte()
    {
        Load(SyntheticKernel.BzImage(), out var entry);
        var count = Read(entry.Rsi + 0x1E8, 1)[0];
        var map = Enumerable.Range(0, count).Select(i => entry.Rsi + 0x2D0 + (ulong)i * 20)
            .Select(a => (Start: Read64(a), End: Read64(a) + Read64(a + 8), Kind: Read32(a + 16))).ToArray();
        Assert.Contains((0x10_0000UL, RamBytes, 1U), map);
        Assert.Contains((0UL, 0x9_FC00UL, 1U), map);
        Assert.Contains((0xE_0000UL, 0x10_0000UL, 3U), map);
        for (var i = 1; i < map.Length; i++)
            Assert.True(map[i - 1].End <= map[i].Start);
    }

    [Fact]
    public void E820_map_of_a_large_guest_continues_at_4_GiB()
    {
        var map = E820Map.Build(5UL << 30);
        Assert.Contains(new E820Entry(0x10_0000, 0xBFF0_0000, E820Kind.Usable), map);
        Assert.Contains(new E820Entry(0x1_0000_0000, 2UL << 30, E820Kind.Usable), map);
    }

    [Fact]
    public void Gdt_has_64_bit_code_at_10h_and_data_at_18h()
    {
        Load(SyntheticKernel.BzImage(), out var entry);
        Assert.Equal(31, entry.GdtLimit);
        Assert.Equal(0UL, Read64(entry.GdtBase));
        Assert.Equal(0x00AF_9B00_0000_FFFFUL, Read64(entry.GdtBase + BootEntry.CodeSelector));
        Assert.Equal(0x00CF_9300_0000_FFFFUL, Read64(entry.GdtBase + BootEntry.DataSelector));
    }

    [Theory]
    [InlineData(0x0UL)]
    [InlineData(0x7123UL)]
    [InlineData(0x100_0000UL)]
    [InlineData(0xFEE0_0000UL)]
    [InlineData(0xFFFF_FFFFUL)]
    public void Page_tables_map_the_first_4_GiB_onto_themselves(ulong address)
    {
        Load(SyntheticKernel.BzImage(), out var entry);
        var pointers = Read64(entry.Cr3 + (address >> 39) * 8);
        Assert.Equal(3UL, pointers & 0xFFF);
        var directory = Read64((pointers & ~0xFFFUL) + (address >> 30 & 0x1FF) * 8);
        Assert.Equal(3UL, directory & 0xFFF);
        Assert.Equal(address >> 21 << 21 | 0x83, Read64((directory & ~0xFFFUL) + (address >> 21 & 0x1FF) * 8));
    }

    [Fact]
    public void Elf_segment_stands_at_its_physical_address_with_zeroes_behind()
    {
        var code = Enumerable.Range(1, 200).Select(i => (byte)i).ToArray();
        memory.TryWrite(0x100_0000 + 200, new byte[] { 1, 2, 3 });
        Assert.Null(Load(SyntheticKernel.Elf(code), out var entry));
        Assert.Equal(0x100_0000UL, entry.Rip);
        Assert.Equal(code, Read(0x100_0000, 200));
        Assert.All(Read(0x100_0000 + 200, 200), value => Assert.Equal(0, value));
        Assert.Equal("HdrS", Encoding.ASCII.GetString(Read(entry.Rsi + 0x202, 4)));
    }

    [Fact]
    public void File_that_is_no_kernel() => Assert.Equal(BootErrorKind.NotAKernel, Refused(Encoding.ASCII.GetBytes("#!/bin/sh\n")).Kind);

    [Fact]
    public void Empty_file() => Assert.Equal(BootErrorKind.NotAKernel, Refused([]).Kind);

    [Fact]
    public void Elf_file_of_another_machine()
    {
        var kernel = SyntheticKernel.Elf(new byte[16]);
        kernel[18] = 183;
        Assert.Equal(BootErrorKind.NotAKernel, Refused(kernel).Kind);
    }

    [Fact]
    public void Elf_file_with_an_entry_outside_its_segments()
    {
        var kernel = SyntheticKernel.Elf(new byte[16]);
        kernel[27] ^= 0x40;
        Assert.Equal(BootErrorKind.NotAKernel, Refused(kernel).Kind);
    }

    [Fact]
    public void Elf_segment_below_one_mebibyte() =>
        Assert.Equal(BootErrorKind.BadSegment, Refused(SyntheticKernel.Elf(new byte[16], 0x7000)).Kind);

    [Fact]
    public void Old_boot_protocol()
    {
        var kernel = SyntheticKernel.BzImage();
        kernel[0x206] = 0x0B;
        var error = Refused(kernel);
        Assert.Equal(BootErrorKind.UnsupportedVersion, error.Kind);
        Assert.Contains("2.11", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Kernel_of_32_bits()
    {
        var kernel = SyntheticKernel.BzImage();
        kernel[0x236] = 0x7E;
        Assert.Equal(BootErrorKind.No64BitEntry, Refused(kernel).Kind);
    }

    [Fact]
    public void Every_truncation_of_a_kernel_is_refused()
    {
        foreach (var kernel in (byte[][])[SyntheticKernel.BzImage(), SyntheticKernel.Elf(new byte[300])])
        {
            // Up to 15 bytes may be missing from a bzImage, whose size is a number of 16-byte units.
            for (var length = 0; length < kernel.Length - 15; length++)
                Assert.Contains(Refused(kernel[..length]).Kind, new[] { BootErrorKind.NotAKernel, BootErrorKind.TruncatedFile });
        }
    }

    [Fact]
    public void Kernel_larger_than_memory()
    {
        var kernel = SyntheticKernel.BzImage();
        BinaryPrimitives.WriteUInt32LittleEndian(kernel.AsSpan(0x260), (uint)RamBytes);
        var error = Refused(kernel);
        Assert.Equal(BootErrorKind.TooLittleMemory, error.Kind);
        Assert.Contains("34 MiB", error.Message, StringComparison.Ordinal);
        Assert.Contains("32 MiB", error.Message, StringComparison.Ordinal);
        Assert.Equal(BootErrorKind.TooLittleMemory, Refused(SyntheticKernel.Elf(new byte[16], RamBytes)).Kind);
    }

    [Fact]
    public void Initrd_larger_than_the_room_above_the_kernel()
    {
        var room = (int)(RamBytes - SyntheticKernel.PreferredAddress - SyntheticKernel.InitSize);
        Assert.Equal(BootErrorKind.InitrdTooLarge, Refused(SyntheticKernel.BzImage(), new byte[room]).Kind);
        Assert.Null(Load(SyntheticKernel.BzImage(), out _, new byte[room - 4096]));
    }

    [Fact]
    public void Command_line_of_the_limit_fits_and_one_character_more_does_not()
    {
        Assert.Null(Load(SyntheticKernel.BzImage(), out _, commandLine: new string('a', 2047)));
        Assert.Equal(BootErrorKind.CommandLineTooLong, Refused(SyntheticKernel.BzImage(), commandLine: new string('a', 2048)).Kind);
        Assert.Equal(BootErrorKind.CommandLineTooLong, Refused(SyntheticKernel.Elf(new byte[16]), commandLine: new string('a', 2048)).Kind);
    }

    [Theory]
    [InlineData("root=\u00e9")]
    [InlineData("a\0b")]
    public void Command_line_with_other_than_printable_ascii(string commandLine) =>
        Assert.Equal(BootErrorKind.CommandLineInvalid, Refused(SyntheticKernel.BzImage(), commandLine: commandLine).Kind);
}
