using System.Buffers.Binary;

namespace FtAkka.Machine.Boot;

/// <summary>Reads the bzImage format: setup sectors with a header, then the compressed kernel, which unpacks itself.</summary>
internal static class BzImage
{
    private const int SectorBytes = 512;
    private const int Entry64Offset = 0x200;

    /// <summary>Whether the file carries the setup header's magic numbers.</summary>
    public static bool Looks(ReadOnlySpan<byte> file) => file.Length >= SetupHeader.Magic + 4
        && BinaryPrimitives.ReadUInt16LittleEndian(file[SetupHeader.BootFlag..]) == SetupHeader.BootFlagValue
        && BinaryPrimitives.ReadUInt32LittleEndian(file[SetupHeader.Magic..]) == SetupHeader.MagicValue;

    /// <summary>Understands the file, or says why not.</summary>
    public static BootError? Parse(ReadOnlySpan<byte> file, out KernelImage? image)
    {
        image = null;
        if (file.Length < SetupHeader.EndMax)
            return Truncated(file.Length, SetupHeader.EndMax);
        var version = BinaryPrimitives.ReadUInt16LittleEndian(file[SetupHeader.Version..]);
        if (version < SetupHeader.VersionMin)
        {
            return new BootError(BootErrorKind.UnsupportedVersion,
                $"The kernel speaks boot protocol {version >> 8}.{version & 0xFF:00}; at least 2.12 (Linux 3.8) is needed.");
        }
        if ((BinaryPrimitives.ReadUInt16LittleEndian(file[SetupHeader.ExtraLoadFlags..]) & SetupHeader.ExtraLoadFlag64Bit) == 0)
            return new BootError(BootErrorKind.No64BitEntry, "The kernel has no 64-bit entry point (XLF_KERNEL_64 is clear): it is a 32-bit kernel.");

        var setupSectors = file[SetupHeader.SetupSectors];
        var codeOffset = ((setupSectors == 0 ? 4UL : setupSectors) + 1) * SectorBytes;
        // The size stands in 16-byte units and may be rounded up past the end of the file.
        var codeBytes = 16UL * BinaryPrimitives.ReadUInt32LittleEndian(file[SetupHeader.SystemSize..]);
        if ((ulong)file.Length + 15 < codeOffset + codeBytes || (ulong)file.Length <= codeOffset + Entry64Offset)
            return Truncated(file.Length, (long)(codeOffset + Math.Max(codeBytes, Entry64Offset + 1)));
        var loadBytes = (ulong)file.Length - codeOffset;

        var loadAddress = BinaryPrimitives.ReadUInt64LittleEndian(file[SetupHeader.PreferredAddress..]);
        var initBytes = BinaryPrimitives.ReadUInt32LittleEndian(file[SetupHeader.InitSize..]);
        if (loadAddress < BootLayout.KernelMin || loadAddress >= MemoryMap.LowRamLimit)
            return new BootError(BootErrorKind.BadSegment, $"The kernel wants to be loaded at 0x{loadAddress:x}, which is not possible here.");

        var headerEnd = Math.Min(SetupHeader.Magic + file[SetupHeader.JumpLength], SetupHeader.EndMax);
        image = new KernelImage(
            [new KernelSegment(codeOffset, loadBytes, loadAddress, loadBytes)],
            loadAddress + Entry64Offset,
            loadAddress + Math.Max(initBytes, loadBytes),
            file[SetupHeader.Start..Math.Max(headerEnd, SetupHeader.InitSize + 4)].ToArray(),
            BinaryPrimitives.ReadUInt32LittleEndian(file[SetupHeader.InitrdAddressMax..]),
            (int)Math.Min(BinaryPrimitives.ReadUInt32LittleEndian(file[SetupHeader.CommandLineSize..]), BootLayout.CommandLineBytesMax - 1));
        return null;
    }

    private static BootError Truncated(int have, long want) => new(BootErrorKind.TruncatedFile,
        $"The kernel file is truncated: it has {have} bytes and should have at least {want}.");
}
