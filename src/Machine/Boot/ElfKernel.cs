using System.Buffers.Binary;

namespace FtAkka.Machine.Boot;

/// <summary>Reads an uncompressed kernel (vmlinux): an ELF64 file whose segments are loaded at their physical addresses (System V gABI, chapter 5).</summary>
internal static class ElfKernel
{
    private const int HeaderBytes = 64;
    private const int ProgramHeaderBytes = 56;
    private const ushort TypeExecutable = 2, TypeShared = 3, MachineX8664 = 62;
    private const uint SegmentLoad = 1;
    private const int CommandLineBytesMax = 2047;
    private const uint InitrdAddressMax = 0x7FFF_FFFF;

    /// <summary>Whether the file starts with the ELF magic number.</summary>
    public static bool Looks(ReadOnlySpan<byte> file) => file.StartsWith("\u007fELF"u8);

    /// <summary>Understands the file, or says why not.</summary>
    public static BootError? Parse(ReadOnlySpan<byte> file, out KernelImage? image)
    {
        image = null;
        if (file.Length < HeaderBytes)
            return Truncated(file.Length, HeaderBytes);
        var (is64Bit, isLittleEndian) = (file[4] == 2, file[5] == 1);
        var type = BinaryPrimitives.ReadUInt16LittleEndian(file[16..]);
        var machine = BinaryPrimitives.ReadUInt16LittleEndian(file[18..]);
        if (!is64Bit || !isLittleEndian || machine != MachineX8664 || type is not (TypeExecutable or TypeShared))
            return new BootError(BootErrorKind.NotAKernel, "The kernel is an ELF file, but not a 64-bit x86 executable.");
        var entry = BinaryPrimitives.ReadUInt64LittleEndian(file[24..]);
        var tableOffset = BinaryPrimitives.ReadUInt64LittleEndian(file[32..]);
        var entryBytes = BinaryPrimitives.ReadUInt16LittleEndian(file[54..]);
        var count = BinaryPrimitives.ReadUInt16LittleEndian(file[56..]);
        if (entryBytes != ProgramHeaderBytes)
            return new BootError(BootErrorKind.NotAKernel, $"The ELF file has program headers of {entryBytes} bytes instead of {ProgramHeaderBytes}.");
        if (tableOffset > (ulong)file.Length || (ulong)count * ProgramHeaderBytes > (ulong)file.Length - tableOffset)
            return Truncated(file.Length, tableOffset + (ulong)count * ProgramHeaderBytes);

        var segments = new List<KernelSegment>();
        for (var i = 0; i < count; i++)
        {
            var header = file.Slice((int)tableOffset + i * ProgramHeaderBytes, ProgramHeaderBytes);
            if (BinaryPrimitives.ReadUInt32LittleEndian(header) != SegmentLoad)
                continue;
            var segment = ReadSegment(header);
            if (segment.MemoryBytes == 0)
                continue;
            if (Check(segment, file.Length) is { } error)
                return error;
            segments.Add(segment);
        }
        if (!segments.Any(s => entry >= s.Address && entry - s.Address < s.FileBytes))
        {
            return new BootError(BootErrorKind.NotAKernel,
                $"The ELF file's entry point 0x{entry:x} is in none of its loaded segments: it is not a kernel to be entered at a physical address.");
        }
        image = new KernelImage(segments, entry, segments.Max(s => s.Address + s.MemoryBytes), Header(), InitrdAddressMax, CommandLineBytesMax);
        return null;
    }

    private static KernelSegment ReadSegment(ReadOnlySpan<byte> header) => new(
        BinaryPrimitives.ReadUInt64LittleEndian(header[8..]), BinaryPrimitives.ReadUInt64LittleEndian(header[32..]),
        BinaryPrimitives.ReadUInt64LittleEndian(header[24..]), BinaryPrimitives.ReadUInt64LittleEndian(header[40..]));

    private static BootError? Check(KernelSegment segment, int fileBytes)
    {
        if (segment.FileOffset > (ulong)fileBytes || segment.FileBytes > (ulong)fileBytes - segment.FileOffset)
            return Truncated(fileBytes, unchecked(segment.FileOffset + segment.FileBytes));
        if (segment.FileBytes > segment.MemoryBytes)
            return new BootError(BootErrorKind.BadSegment, $"The ELF segment at 0x{segment.Address:x} has more bytes in the file than in memory.");
        if (segment.Address < BootLayout.KernelMin)
        {
            return new BootError(BootErrorKind.BadSegment,
                $"The ELF segment at physical address 0x{segment.Address:x} lies below 1 MiB, where the boot structures are.");
        }
        if (segment.Address >= MemoryMap.LowRamLimit || segment.MemoryBytes > MemoryMap.LowRamLimit - segment.Address)
            return new BootError(BootErrorKind.TooLittleMemory, $"The ELF segment at 0x{segment.Address:x} does not end below 3 GiB.");
        return null;
    }

    /// <summary>A setup header such as a bzImage would carry; a vmlinux has none.</summary>
    private static byte[] Header()
    {
        var header = new byte[SetupHeader.InitSize + 4 - SetupHeader.Start];
        Span<byte> Field(int offset) => header.AsSpan(offset - SetupHeader.Start);
        BinaryPrimitives.WriteUInt16LittleEndian(Field(SetupHeader.BootFlag), SetupHeader.BootFlagValue);
        BinaryPrimitives.WriteUInt32LittleEndian(Field(SetupHeader.Magic), SetupHeader.MagicValue);
        BinaryPrimitives.WriteUInt16LittleEndian(Field(SetupHeader.Version), SetupHeader.VersionMin);
        BinaryPrimitives.WriteUInt32LittleEndian(Field(SetupHeader.InitrdAddressMax), InitrdAddressMax);
        BinaryPrimitives.WriteUInt32LittleEndian(Field(SetupHeader.KernelAlignment), 0x20_0000);
        BinaryPrimitives.WriteUInt16LittleEndian(Field(SetupHeader.ExtraLoadFlags), SetupHeader.ExtraLoadFlag64Bit);
        BinaryPrimitives.WriteUInt32LittleEndian(Field(SetupHeader.CommandLineSize), CommandLineBytesMax);
        return header;
    }

    private static BootError Truncated(int have, ulong want) => new(BootErrorKind.TruncatedFile,
        $"The kernel file is truncated: it has {have} bytes and should have at least {want}.");
}
