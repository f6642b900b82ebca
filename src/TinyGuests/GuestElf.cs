using System.Buffers.Binary;

namespace FtAkka.TinyGuests;

/// <summary>Wraps code into an ELF64 executable of one loaded segment and one note (gABI 4.1).</summary>
internal static class GuestElf
{
    private const int HeaderBytes = 64;
    private const int ProgramHeaderBytes = 56;
    private const int NoteOffset = HeaderBytes + (2 * ProgramHeaderBytes);
    private const int CodeOffset = 0x1000;
    private const uint PvhEntryNote = 18; // XEN_ELFNOTE_PHYS32_ENTRY

    /// <summary>Builds the file: the kernel at the image's base, the PVH entry after it.</summary>
    public static byte[] Wrap(byte[] kernel, byte[] pvhEntry)
    {
        int entryOffset = (int)(PvhEntry.Base - GuestLayout.ImageBase);
        byte[] file = new byte[CodeOffset + entryOffset + pvhEntry.Length];
        Span<byte> f = file;
        ((ReadOnlySpan<byte>)[0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1]).CopyTo(f);
        U16(f, 0x10, 2); // ET_EXEC
        U16(f, 0x12, 62); // EM_X86_64
        U32(f, 0x14, 1);
        U64(f, 0x18, GuestLayout.ImageBase);
        U64(f, 0x20, HeaderBytes);
        U16(f, 0x34, HeaderBytes);
        U16(f, 0x36, ProgramHeaderBytes);
        U16(f, 0x38, 2);

        Span<byte> load = f[HeaderBytes..];
        U32(load, 0, 1); // PT_LOAD
        U32(load, 4, 7);
        U64(load, 8, CodeOffset);
        U64(load, 16, GuestLayout.ImageBase);
        U64(load, 24, GuestLayout.ImageBase);
        U64(load, 32, (ulong)(file.Length - CodeOffset));
        U64(load, 40, GuestLayout.ImageEnd - GuestLayout.ImageBase);
        U64(load, 48, CodeOffset);

        Span<byte> note = f[(HeaderBytes + ProgramHeaderBytes)..];
        U32(note, 0, 4); // PT_NOTE
        U32(note, 4, 4);
        U64(note, 8, NoteOffset);
        U64(note, 32, 20);
        U64(note, 40, 20);
        U64(note, 48, 4);
        Span<byte> content = f[NoteOffset..];
        U32(content, 0, 4);
        U32(content, 4, 4);
        U32(content, 8, PvhEntryNote);
        "Xen\0"u8.CopyTo(content[12..]);
        U32(content, 16, PvhEntry.Base);

        kernel.CopyTo(f[CodeOffset..]);
        pvhEntry.CopyTo(f[(CodeOffset + entryOffset)..]);
        return file;
    }

    private static void U16(Span<byte> at, int offset, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(at[offset..], value);

    private static void U32(Span<byte> at, int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(at[offset..], value);

    private static void U64(Span<byte> at, int offset, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(at[offset..], value);
}
