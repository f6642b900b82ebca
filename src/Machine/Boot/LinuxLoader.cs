using System.Buffers.Binary;
using System.Text;
using FtAkka.Cpu.Memory;
using FtAkka.Machine.Acpi;

namespace FtAkka.Machine.Boot;

/// <summary>
/// Puts a Linux kernel, its initial RAM disk, command line and boot structures into guest memory for the 64-bit boot protocol
/// (Documentation/arch/x86/boot.rst). Takes a bzImage of protocol 2.12 or later, or a vmlinux ELF file.
/// </summary>
public static class LinuxLoader
{
    private const int PageBytes = 4096;
    private const int CopyChunkBytes = 1 << 20;
    private const int GdtBytes = 4 * 8;

    /// <summary>Loads everything; the guest's memory is in an unspecified state after an error.</summary>
    /// <param name="memory">Guest RAM.</param>
    /// <param name="kernel">The kernel file.</param>
    /// <param name="initrd">The initial RAM disk, or nothing.</param>
    /// <param name="commandLine">Printable ASCII.</param>
    /// <param name="acpiTables">What <see cref="AcpiTables.Build"/> made.</param>
    /// <param name="entry">State to enter the kernel with.</param>
    /// <returns>Null, or what is wrong.</returns>
    public static BootError? Load(IGuestPhysicalMemory memory, ReadOnlySpan<byte> kernel, ReadOnlySpan<byte> initrd, string commandLine,
        ReadOnlySpan<byte> acpiTables, out BootEntry entry)
    {
        entry = default;
        if ((Parse(kernel, out var image) ?? CheckCommandLine(commandLine, image!)) is { } error)
            return error;
        var lowRamEnd = Math.Min(memory.SizeBytes, MemoryMap.LowRamLimit);
        if (image!.EndAddress > lowRamEnd)
        {
            return new BootError(BootErrorKind.TooLittleMemory, $"The kernel needs memory up to {Mebibytes(image.EndAddress)} MiB, "
                + $"but the guest has {Mebibytes(lowRamEnd)} MiB below 4 GiB.");
        }
        if (PlaceInitrd(image, lowRamEnd, initrd.Length, out var initrdAddress) is { } initrdError)
            return initrdError;

        var written = WriteKernel(memory, kernel, image)
            && memory.TryWrite(initrdAddress, initrd)
            && memory.TryWrite(BootLayout.CommandLine, Encoding.ASCII.GetBytes(commandLine + '\0'))
            && memory.TryWrite(BootLayout.BootParams, BootParams(image, memory.SizeBytes, initrdAddress, initrd.Length))
            && memory.TryWrite(AcpiTables.BaseAddress, acpiTables)
            && memory.TryWrite(BootLayout.Gdt, Gdt())
            && WritePageTables(memory);
        if (!written)
            return new BootError(BootErrorKind.TooLittleMemory, $"The boot structures do not fit {Mebibytes(memory.SizeBytes)} MiB of guest memory.");
        entry = new BootEntry(image.EntryAddress, BootLayout.BootParams, BootLayout.StackTop, BootLayout.Pml4, BootLayout.Gdt, GdtBytes - 1);
        return null;
    }

    private static BootError? Parse(ReadOnlySpan<byte> kernel, out KernelImage? image)
    {
        image = null;
        if (ElfKernel.Looks(kernel))
            return ElfKernel.Parse(kernel, out image);
        return BzImage.Looks(kernel)
            ? BzImage.Parse(kernel, out image)
            : new BootError(BootErrorKind.NotAKernel, "The file is neither a bzImage (no boot flag and \"HdrS\" header) nor an ELF file.");
    }

    private static BootError? CheckCommandLine(string commandLine, KernelImage image)
    {
        if (commandLine.Length > image.CommandLineBytesMax)
        {
            return new BootError(BootErrorKind.CommandLineTooLong,
                $"The command line has {commandLine.Length} characters; this kernel takes {image.CommandLineBytesMax}.");
        }
        foreach (var c in commandLine)
        {
            if (c is not ((>= ' ' and <= '~') or '\t' or '\n'))
                return new BootError(BootErrorKind.CommandLineInvalid, $"The command line contains the character U+{(int)c:X4}; only printable ASCII is possible.");
        }
        return null;
    }

    /// <summary>As high as the kernel allows, so that the kernel can unpack and grow below.</summary>
    private static BootError? PlaceInitrd(KernelImage image, ulong lowRamEnd, int initrdBytes, out ulong address)
    {
        address = BootLayout.KernelMin;
        if (initrdBytes == 0)
            return null;
        var end = Math.Min(lowRamEnd, image.InitrdAddressMax + 1);
        var room = end > image.EndAddress ? end - image.EndAddress : 0;
        if ((ulong)initrdBytes + PageBytes > room)
        {
            return new BootError(BootErrorKind.InitrdTooLarge,
                $"The initial RAM disk of {initrdBytes} bytes does not fit the {room} bytes between the kernel and the end of usable memory.");
        }
        address = (end - (ulong)initrdBytes) & ~(ulong)(PageBytes - 1);
        return null;
    }

    private static bool WriteKernel(IGuestPhysicalMemory memory, ReadOnlySpan<byte> kernel, KernelImage image)
    {
        foreach (var segment in image.Segments)
        {
            if (!memory.TryWrite(segment.Address, kernel.Slice((int)segment.FileOffset, (int)segment.FileBytes)))
                return false;
            if (!TryZero(memory, segment.Address + segment.FileBytes, segment.MemoryBytes - segment.FileBytes))
                return false;
        }
        return true;
    }

    private static bool TryZero(IGuestPhysicalMemory memory, ulong address, ulong lengthBytes)
    {
        var zeros = new byte[(int)Math.Min(lengthBytes, CopyChunkBytes)];
        while (lengthBytes > 0)
        {
            var chunk = (int)Math.Min(lengthBytes, CopyChunkBytes);
            if (!memory.TryWrite(address, zeros.AsSpan(0, chunk)))
                return false;
            address += (uint)chunk;
            lengthBytes -= (uint)chunk;
        }
        return true;
    }

    private static byte[] BootParams(KernelImage image, ulong ramBytes, ulong initrdAddress, int initrdBytes)
    {
        var page = new byte[PageBytes];
        Span<byte> Field(int offset) => page.AsSpan(offset);
        image.SetupHeader.CopyTo(page, SetupHeader.Start);
        BinaryPrimitives.WriteUInt64LittleEndian(Field(SetupHeader.AcpiRsdpAddress), AcpiTables.BaseAddress);
        BinaryPrimitives.WriteUInt16LittleEndian(Field(SetupHeader.VideoMode), 0xFFFF);
        page[SetupHeader.TypeOfLoader] = SetupHeader.UndefinedLoader;
        page[SetupHeader.LoadFlags] |= SetupHeader.LoadFlagHigh;
        BinaryPrimitives.WriteUInt32LittleEndian(Field(SetupHeader.RamdiskImage), initrdBytes == 0 ? 0 : (uint)initrdAddress);
        BinaryPrimitives.WriteUInt32LittleEndian(Field(SetupHeader.RamdiskSize), (uint)initrdBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(Field(SetupHeader.CommandLinePointer), (uint)BootLayout.CommandLine);
        BinaryPrimitives.WriteUInt64LittleEndian(Field(SetupHeader.SetupData), 0);
        var map = E820Map.Build(ramBytes);
        page[SetupHeader.E820Entries] = (byte)map.Count;
        for (var i = 0; i < map.Count; i++)
            map[i].Write(Field(SetupHeader.E820Table + i * E820Entry.Bytes));
        return page;
    }

    private static byte[] Gdt()
    {
        // Two null entries, 64-bit code, flat data; both accessed (Intel SDM vol. 3A, 3.4.5).
        ReadOnlySpan<ulong> descriptors = [0, 0, 0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF];
        var gdt = new byte[GdtBytes];
        for (var i = 0; i < descriptors.Length; i++)
            BinaryPrimitives.WriteUInt64LittleEndian(gdt.AsSpan(8 * i), descriptors[i]);
        return gdt;
    }

    private static bool WritePageTables(IGuestPhysicalMemory memory)
    {
        const ulong presentWritable = 3, large = 1 << 7;
        const int directories = 4, entriesPerTable = 512;
        var tables = new byte[(2 + directories) * PageBytes];
        void Entry(int table, int index, ulong value) =>
            BinaryPrimitives.WriteUInt64LittleEndian(tables.AsSpan(table * PageBytes + index * 8), value);
        Entry(0, 0, BootLayout.PageDirectoryPointers | presentWritable);
        for (var i = 0; i < directories; i++)
            Entry(1, i, BootLayout.PageDirectories + (uint)(i * PageBytes) | presentWritable);
        for (var i = 0; i < directories * entriesPerTable; i++)
            Entry(2 + i / entriesPerTable, i % entriesPerTable, (ulong)i << 21 | presentWritable | large);
        return memory.TryWrite(BootLayout.Pml4, tables);
    }

    private static ulong Mebibytes(ulong bytes) => (bytes + (1 << 20) - 1) >> 20;
}
