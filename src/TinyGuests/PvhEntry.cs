using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.TinyGuests;

/// <summary>
/// A 32-bit entry for QEMU, which loads an ELF kernel by the PVH protocol (Xen docs/misc/pvh.pandoc): switches to 64-bit mode with
/// an identity map and goes on as if the 64-bit Linux boot protocol had been used. The project's own loader never runs it.
/// </summary>
internal static class PvhEntry
{
    /// <summary>Physical address of the entry.</summary>
    public const uint Base = GuestLayout.ImageBase + GuestLayout.CodeBytesMax - 0x1000;

    private const int StartInfoCommandLine = 24;
    private const uint GdtOffset = 0x800;
    private const uint GdtPointerOffset = 0x820;

    /// <summary>Code and its descriptor table.</summary>
    public static byte[] Assemble()
    {
        var asm = new Assembler(32);
        Label clear = asm.CreateLabel();
        Label page = asm.CreateLabel();
        asm.cli();
        asm.cld();

        // boot_params with nothing but the command line's address.
        asm.mov(edi, GuestLayout.FakeBootParameters);
        asm.xor(eax, eax);
        asm.mov(ecx, 1024);
        asm.rep.stosd();
        asm.mov(eax, __dword_ptr[ebx + StartInfoCommandLine]);
        asm.mov(__dword_ptr[GuestLayout.FakeBootParameters + 0x228], eax);

        // The work pages serve for the first page tables: the kernel makes its own at once.
        const uint Tables = GuestLayout.WorkPages;
        asm.mov(edi, Tables);
        asm.xor(eax, eax);
        asm.mov(ecx, 6 * 1024);
        asm.Label(ref clear);
        asm.rep.stosd();
        asm.mov(__dword_ptr[Tables], Tables + 0x1003);
        for (uint i = 0; i < 4; i++)
        {
            asm.mov(__dword_ptr[Tables + 0x1000 + (i * 8)], Tables + 0x2003 + (i * 0x1000));
        }

        asm.mov(edi, Tables + 0x2000);
        asm.mov(eax, 0x83);
        asm.mov(ecx, 2048);
        asm.Label(ref page);
        asm.mov(__dword_ptr[edi], eax);
        asm.add(edi, 8);
        asm.add(eax, 0x20_0000);
        asm.loop(page);

        asm.mov(eax, cr4);
        asm.or(eax, 0x20); // PAE
        asm.mov(cr4, eax);
        asm.mov(eax, Tables);
        asm.mov(cr3, eax);
        asm.mov(ecx, 0xc000_0080); // EFER.LME
        asm.rdmsr();
        asm.or(eax, 0x100);
        asm.wrmsr();
        asm.mov(eax, cr0);
        asm.or(eax, unchecked((int)0x8000_0001));
        asm.mov(cr0, eax);
        asm.lgdt(__[Base + GdtPointerOffset]);
        asm.mov(esi, GuestLayout.FakeBootParameters);

        using var code = new MemoryStream();
        asm.Assemble(new StreamCodeWriter(code), Base);

        // JMP 0x08:ImageBase, whose operand Iced's assembler does not offer as a call.
        code.Write([0xea, .. BitConverter.GetBytes(GuestLayout.ImageBase), 0x08, 0x00]);
        if (code.Length > GdtOffset)
        {
            throw new InvalidOperationException("the PVH entry runs into its descriptor table");
        }

        code.SetLength(GdtPointerOffset + 6);
        code.Position = GdtOffset;
        code.Write(BitConverter.GetBytes(0ul));
        code.Write(BitConverter.GetBytes(0x00af_9b00_0000_ffff));
        code.Position = GdtPointerOffset;
        code.Write(BitConverter.GetBytes((ushort)0x0f));
        code.Write(BitConverter.GetBytes(Base + GdtOffset));
        return code.ToArray();
    }
}
