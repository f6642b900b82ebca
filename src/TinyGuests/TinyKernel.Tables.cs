using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.TinyGuests;

/// <summary>Descriptor tables, page tables and control registers.</summary>
internal sealed partial class TinyKernel
{
    private const ushort CodeSelector = 0x08;
    private const ushort DataSelector = 0x10;
    private const ushort TssSelector = 0x18;
    private const int PageBytes = 4096;

    private void AssembleTables()
    {
        asm.Label(ref _setUpTables);
        AssemblePageTables();
        AssembleSegments();

        // SSE: CR0.EM off, MP and NE on, WP on; CR4.OSFXSR and OSXMMEXCPT (Intel SDM vol. 3A, 14.1).
        asm.mov(rax, cr0);
        asm.and(eax, ~0x0c);
        asm.or(eax, 0x0001_0022);
        asm.mov(cr0, rax);
        asm.mov(rax, cr4);
        asm.or(eax, 0x600);
        asm.mov(cr4, rax);
        asm.ret();
    }

    /// <summary>4 GiB by pages of 2 MiB, uncached above 3 GiB, and one empty page table for the paging workload.</summary>
    private void AssemblePageTables()
    {
        Label entry = asm.CreateLabel();
        Label cached = asm.CreateLabel();
        Label directory = asm.CreateLabel();
        asm.mov(edi, GuestLayout.Pml4);
        asm.xor(eax, eax);
        asm.mov(ecx, (GuestLayout.WorkPageTable + PageBytes - GuestLayout.Pml4) / 8);
        asm.rep.stosq();

        asm.mov(edi, GuestLayout.PageDirectories);
        asm.xor(esi, esi);
        asm.Label(ref entry);
        asm.mov(rax, rsi);
        asm.or(eax, 0x83); // present, writable, 2 MiB
        asm.mov(edx, 0xc000_0000);
        asm.cmp(rsi, rdx);
        asm.jb(cached);
        asm.or(eax, 0x10); // PCD: device registers
        asm.Label(ref cached);
        asm.stosq();
        asm.add(rsi, 0x20_0000);
        asm.cmp(edi, GuestLayout.PageDirectories + (4 * PageBytes));
        asm.jb(entry);

        asm.mov(edi, GuestLayout.Pdpt);
        asm.mov(eax, GuestLayout.PageDirectories | 3);
        asm.mov(ecx, 4);
        asm.Label(ref directory);
        asm.stosq();
        asm.add(eax, PageBytes);
        asm.loop(directory);

        asm.mov(__qword_ptr[GuestLayout.Pml4], (int)(GuestLayout.Pdpt | 3));
        asm.mov(__qword_ptr[GuestLayout.Pml4 + 8], (int)(GuestLayout.WorkPdpt | 3)); // entry 1 starts at WorkVirtualBase
        asm.mov(__qword_ptr[GuestLayout.WorkPdpt], (int)(GuestLayout.WorkPageDirectory | 3));
        asm.mov(__qword_ptr[GuestLayout.WorkPageDirectory], (int)(GuestLayout.WorkPageTable | 3));
        asm.mov(eax, GuestLayout.Pml4);
        asm.mov(cr3, rax);
    }

    private void AssembleSegments()
    {
        Label reloaded = asm.CreateLabel();
        Label gdtPointer = Constant([.. BitConverter.GetBytes((ushort)0x27), .. BitConverter.GetBytes((ulong)GuestLayout.Gdt)]);
        Store(GuestLayout.Gdt, 0);
        Store(GuestLayout.Gdt + CodeSelector, 0x00af_9b00_0000_ffff);
        Store(GuestLayout.Gdt + DataSelector, 0x00cf_9300_0000_ffff);
        Store(GuestLayout.Gdt + TssSelector, TssDescriptorLow);
        Store(GuestLayout.Gdt + TssSelector + 8, 0);
        asm.mov(edi, GuestLayout.Tss);
        asm.xor(eax, eax);
        asm.mov(ecx, 13);
        asm.rep.stosq();
        Store(GuestLayout.Tss + 0x24, GuestLayout.FaultStackTop); // IST1
        asm.lgdt(__[gdtPointer]);
        asm.mov(eax, DataSelector);
        asm.mov(ds, eax);
        asm.mov(es, eax);
        asm.mov(ss, eax);
        asm.xor(eax, eax);
        asm.mov(fs, eax);
        asm.mov(gs, eax);
        asm.mov(rax, rsp);
        asm.push(DataSelector);
        asm.push(rax);
        asm.pushfq();
        asm.push(CodeSelector);
        asm.lea(rax, __[reloaded]);
        asm.push(rax);
        asm.iretq(); // the shortest way to a new CS
        asm.Label(ref reloaded);
        asm.mov(eax, TssSelector);
        asm.ltr(ax);
    }

    /// <summary>Available 64-bit TSS of 104 bytes (Intel SDM vol. 3A, 8.2.3).</summary>
    private static ulong TssDescriptorLow =>
        103 | ((ulong)(GuestLayout.Tss & 0xff_ffff) << 16) | (0x89ul << 40) | ((ulong)(GuestLayout.Tss >> 24) << 56);

    private void Store(uint address, ulong value)
    {
        asm.mov(rax, value);
        asm.mov(__qword_ptr[address], rax);
    }
}
