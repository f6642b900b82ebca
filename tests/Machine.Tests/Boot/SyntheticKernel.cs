using System.Buffers.Binary;

namespace FtAkka.Machine.Tests.Boot;

/// <summary>Kernel files with just enough in them to be loaded.</summary>
internal static class SyntheticKernel
{
    public const ulong PreferredAddress = 0x20_0000;
    public const uint InitSize = 0x30_0000;
    public const int CodeBytes = 0x800;

    /// <summary>A bzImage of boot protocol 2.15 with one setup sector, whose code bytes count up.</summary>
    public static byte[] BzImage()
    {
        var file = new byte[1024 + CodeBytes];
        file[0x1F1] = 1;
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(0x1F4), CodeBytes / 16);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(0x1FE), 0xAA55);
        file[0x200] = 0xEB;
        file[0x201] = 0x6A;
        "HdrS"u8.CopyTo(file.AsSpan(0x202));
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(0x206), 0x020F);
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(0x22C), 0x7FFF_FFFF);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(0x236), 0x7F);
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(0x238), 2047);
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(0x258), PreferredAddress);
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(0x260), InitSize);
        for (var i = 0; i < CodeBytes; i++)
            file[1024 + i] = (byte)i;
        return file;
    }

    /// <summary>An ELF64 executable with one segment of code at <paramref name="address"/>, followed by as many zero bytes again.</summary>
    public static byte[] Elf(byte[] code, ulong address = 0x100_0000)
    {
        var file = new byte[64 + 56 + code.Length];
        "\u007fELF"u8.CopyTo(file);
        file[4] = 2;
        file[5] = 1;
        file[6] = 1;
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(16), 2);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(18), 62);
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(24), address);
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(32), 64);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(54), 56);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(56), 1);
        var header = file.AsSpan(64);
        BinaryPrimitives.WriteUInt32LittleEndian(header, 1);
        BinaryPrimitives.WriteUInt64LittleEndian(header[8..], 120);
        BinaryPrimitives.WriteUInt64LittleEndian(header[16..], 0xFFFF_FFFF_8100_0000);
        BinaryPrimitives.WriteUInt64LittleEndian(header[24..], address);
        BinaryPrimitives.WriteUInt64LittleEndian(header[32..], (ulong)code.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(header[40..], 2 * (ulong)code.Length);
        code.CopyTo(file, 120);
        return file;
    }
}
