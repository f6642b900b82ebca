using FtAkka.Cpu.Tests.Engine;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.Cpu.Tests.Faults;

/// <summary>
/// Every exception vector raised on purpose (Intel SDM vol. 3A, 6.15): at the head of a block and inside one, with every small budget. The frame,
/// the error code, CR2, RFLAGS and the instruction count must be right each time.
/// </summary>
public sealed unsafe class ExceptionVectorTests
{
    private const ulong Broken = 0x50000, NonCanonical = 0x8000_0000_0000_0000;
    private const ulong AlignmentCheck = 1 << 18;

    private static void Unmap(GuestHarness guest) => guest.Write64(GuestHarness.PageTable + (8 * (Broken >> 12)), 0);

    private static Action<GuestHarness> MapBroken(ulong entry) =>
        guest => guest.Write64(GuestHarness.PageTable + (8 * (Broken >> 12)), Broken | entry);

    private static readonly FaultCase[] s_cases =
    [
        new() { Name = "#DE div32 by zero", Vector = 0, Prepare = a => a.xor(ecx, ecx), Culprit = a => a.div(ecx) },
        new() { Name = "#DE div8 by zero", Vector = 0, Prepare = a => a.xor(ecx, ecx), Culprit = a => a.div(cl) },
        new() { Name = "#DE div64 overflow", Vector = 0, Prepare = a => { a.mov(edx, 5); a.mov(ecx, 5); }, Culprit = a => a.div(rcx) },
        new() { Name = "#DE idiv32 of the least number by -1", Vector = 0, Privilege = 3,
            Prepare = a => { a.mov(eax, 0x8000_0000); a.cdq(); a.mov(ecx, -1); }, Culprit = a => a.idiv(ecx) },
        new() { Name = "#DE div of memory", Vector = 0, Prepare = a => a.mov(ebx, (uint)GuestHarness.Data), Culprit = a => a.div(__dword_ptr[rbx]) },
        new() { Name = "#BP", Vector = 3, Trap = true, Culprit = a => a.int3() },
        new() { Name = "#BP from CPL 3", Vector = 3, Trap = true, Privilege = 3, Culprit = a => a.int3(),
            Arrange = g => g.Gate(3, GuestHarness.Handlers + 48, dpl: 3) },
        new() { Name = "INT n", Vector = 20, Trap = true, Culprit = a => a.@int(20) },
        new() { Name = "INT n refused by the gate's DPL", Vector = 13, ErrorCode = (20 * 8) | 2, Privilege = 3, Culprit = a => a.@int(20) },
        new() { Name = "INT1", Vector = 1, Trap = true, Culprit = a => a.int1() },
        new() { Name = "#UD UD2", Vector = 6, Culprit = a => a.ud2() },
        new() { Name = "#UD LOCK on a register", Vector = 6, Culprit = a => a.db(0xF0, 0x01, 0xC0) },
        new() { Name = "#UD of what the model lacks", Vector = 6, Culprit = a => a.vaddps(ymm0, ymm1, ymm2) },
        new() { Name = "#UD SSE with CR0.EM", Vector = 6, Culprit = a => a.addps(xmm0, xmm1), Arrange = g => g.State->Cr0 |= 4 },
        new() { Name = "#UD SSE without CR4.OSFXSR", Vector = 6, Culprit = a => a.addps(xmm0, xmm1), Arrange = g => g.State->Cr4 &= ~0x200UL },
        new() { Name = "#UD MMX with CR0.EM", Vector = 6, Culprit = a => a.paddb(mm0, mm1), Arrange = g => g.State->Cr0 |= 4 },
        new() { Name = "#NM x87 with CR0.TS", Vector = 7, Culprit = a => a.fld1(), Arrange = g => g.State->Cr0 |= 8 },
        new() { Name = "#NM x87 with CR0.EM", Vector = 7, Culprit = a => a.fld1(), Arrange = g => g.State->Cr0 |= 4 },
        new() { Name = "#NM SSE with CR0.TS", Vector = 7, Privilege = 3, Culprit = a => a.addps(xmm0, xmm1), Arrange = g => g.State->Cr0 |= 8 },
        new() { Name = "#NM MMX with CR0.TS", Vector = 7, Culprit = a => a.paddb(mm0, mm1), Arrange = g => g.State->Cr0 |= 8 },
        new() { Name = "#NM FWAIT with CR0.MP and TS", Vector = 7, Culprit = a => a.wait(), Arrange = g => g.State->Cr0 |= 0xA },
        new() { Name = "#DF", Vector = 8, ErrorCode = 0, Cr2 = Broken, Prepare = a => a.mov(ebx, (uint)Broken), Culprit = a => a.mov(eax, __dword_ptr[rbx]),
            Arrange = g => { Unmap(g); g.Write64(GuestHarness.Idt + (16 * 14), 0); } },
        new() { Name = "#TS a stack beyond the TSS", Vector = 10, ErrorCode = 0x31, Privilege = 3, Culprit = a => a.ud2(),
            Arrange = g => { g.State->Tr.Limit = 0x50; g.Gate(6, GuestHarness.Handlers, ist: 7); } },
        new() { Name = "#NP data segment", Vector = 11, ErrorCode = 8, Prepare = a => a.mov(eax, 8), Culprit = a => a.mov(ds, eax), Arrange = AbsentSegment },
        new() { Name = "#NP gate", Vector = 11, ErrorCode = (20 * 8) | 2, Culprit = a => a.@int(20),
            Arrange = g => g.Write64(GuestHarness.Idt + (16 * 20), g.Read64(GuestHarness.Idt + (16 * 20)) & ~(1UL << 47)) },
        new() { Name = "#SS non-canonical through RBP", Vector = 12, ErrorCode = 0, Prepare = a => a.mov(rbp, NonCanonical), Culprit = a => a.mov(eax, __dword_ptr[rbp]) },
        new() { Name = "#SS absent segment", Vector = 12, ErrorCode = 8, Prepare = a => a.mov(eax, 8), Culprit = a => a.mov(ss, eax), Arrange = AbsentSegment },
        new() { Name = "#GP non-canonical", Vector = 13, ErrorCode = 0, Prepare = a => a.mov(rbx, NonCanonical), Culprit = a => a.mov(eax, __dword_ptr[rbx]) },
        new() { Name = "#GP MOVAPS misaligned", Vector = 13, ErrorCode = 0, Prepare = a => a.mov(ebx, (uint)GuestHarness.Data + 8), Culprit = a => a.movaps(xmm0, __[rbx]) },
        new() { Name = "#GP privilege", Vector = 13, ErrorCode = 0, Privilege = 3, Culprit = a => a.cli() },
        new() { Name = "#GP HLT in CPL 3", Vector = 13, ErrorCode = 0, Privilege = 3, Culprit = a => a.hlt() },
        new() { Name = "#GP selector beyond the GDT", Vector = 13, ErrorCode = 0x70, Prepare = a => a.mov(eax, 0x70), Culprit = a => a.mov(ds, eax) },
        new() { Name = "#GP unknown MSR", Vector = 13, ErrorCode = 0, Prepare = a => a.mov(ecx, 0x7777_7777), Culprit = a => a.wrmsr() },
        new() { Name = "#GP reserved CR4 bit", Vector = 13, ErrorCode = 0, Prepare = a => a.mov(rax, 1UL << 40), Culprit = a => a.mov(cr4, rax) },
        new() { Name = "#GP instruction of 16 bytes", Vector = 13, ErrorCode = 0,
            Culprit = a => { a.db(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66); a.db(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x01, 0xC0); } },
        new() { Name = "#PF read", Vector = 14, ErrorCode = 0, Cr2 = Broken + 4, Arrange = Unmap, Prepare = ToBroken, Culprit = a => a.mov(eax, __dword_ptr[rbx + 4]) },
        new() { Name = "#PF write", Vector = 14, ErrorCode = 2, Cr2 = Broken + 4, Arrange = Unmap, Prepare = ToBroken, Culprit = a => a.mov(__dword_ptr[rbx + 4], eax) },
        new() { Name = "#PF read from CPL 3", Vector = 14, ErrorCode = 5, Cr2 = Broken, Privilege = 3, Arrange = MapBroken(3), Prepare = ToBroken, Culprit = a => a.mov(eax, __dword_ptr[rbx]) },
        new() { Name = "#PF write to read-only from CPL 3", Vector = 14, ErrorCode = 7, Cr2 = Broken, Privilege = 3, Arrange = MapBroken(5), Prepare = ToBroken, Culprit = a => a.inc(__dword_ptr[rbx]) },
        new() { Name = "#PF write to read-only with CR0.WP", Vector = 14, ErrorCode = 3, Cr2 = Broken, Arrange = MapBroken(5), Prepare = ToBroken, Culprit = a => a.inc(__dword_ptr[rbx]) },
        new() { Name = "#PF reserved bit", Vector = 14, ErrorCode = 9, Cr2 = Broken, Arrange = MapBroken(7 | (1UL << 51)), Prepare = ToBroken, Culprit = a => a.mov(eax, __dword_ptr[rbx]) },
        new() { Name = "#PF second page of an access", Vector = 14, ErrorCode = 2, Cr2 = Broken, Arrange = Unmap, Prepare = ToBroken, Culprit = a => a.mov(__qword_ptr[rbx - 3], rax) },
        new() { Name = "#PF PUSH", Vector = 14, ErrorCode = 0, Cr2 = Broken, Arrange = Unmap, Prepare = ToBroken, Culprit = a => a.push(__qword_ptr[rbx]) },
        new() { Name = "#PF string", Vector = 14, ErrorCode = 2, Cr2 = Broken, Arrange = Unmap, Prepare = a => a.mov(edi, (uint)Broken), Culprit = a => a.stosb() },
        new() { Name = "#MF at FWAIT", Vector = 16, Prepare = DivideByZeroX87, Culprit = a => a.wait() },
        new() { Name = "#MF at the next x87 instruction", Vector = 16, Privilege = 3, Prepare = DivideByZeroX87, Culprit = a => a.fld1() },
        new() { Name = "#MF at an MMX instruction", Vector = 16, Prepare = DivideByZeroX87, Culprit = a => a.paddb(mm0, mm1) },
        new() { Name = "#AC", Vector = 17, ErrorCode = 0, Privilege = 3, Flags = AlignmentCheck, Arrange = g => g.State->Cr0 |= 1 << 18,
            Prepare = a => a.mov(ebx, (uint)GuestHarness.Data + 2), Culprit = a => a.mov(eax, __dword_ptr[rbx]) },
        new() { Name = "#AC of a string", Vector = 17, ErrorCode = 0, Privilege = 3, Flags = AlignmentCheck, Arrange = g => g.State->Cr0 |= 1 << 18,
            Prepare = a => a.mov(esi, (uint)GuestHarness.Data + 2), Culprit = a => a.lodsd() },
        new() { Name = "#AC of PUSHF", Vector = 17, ErrorCode = 0, Privilege = 3, Flags = AlignmentCheck,
            Arrange = g => { g.State->Cr0 |= 1 << 18; g.State->Gpr[4] += 4; }, Culprit = a => a.pushfq() },
        new() { Name = "#XM", Vector = 19, Prepare = UnmaskSimd, Culprit = a => a.divss(xmm0, xmm1) },
        new() { Name = "#XM from memory in CPL 3", Vector = 19, Privilege = 3, Prepare = UnmaskSimd, Culprit = a => a.divps(xmm0, __[rbx]) },
        new() { Name = "#UD instead of #XM without CR4.OSXMMEXCPT", Vector = 6, Prepare = UnmaskSimd, Culprit = a => a.divss(xmm0, xmm1),
            Arrange = g => { PutMxcsr(g); g.State->Cr4 &= ~0x400UL; } },
    ];

    private static void AbsentSegment(GuestHarness guest) => guest.Write64(GuestHarness.Gdt + 8, 0x00CF_1300_0000_FFFF);

    private static void ToBroken(Assembler a) => a.mov(ebx, (uint)Broken);

    private static void DivideByZeroX87(Assembler a)
    {
        a.fninit();
        a.mov(__word_ptr[GuestHarness.Data + 64], 0x37B); // ZM clear
        a.fldcw(__word_ptr[GuestHarness.Data + 64]);
        a.fld1();
        a.fldz();
        a.fdivp(st1, st0);
    }

    private static void UnmaskSimd(Assembler a)
    {
        a.mov(__dword_ptr[GuestHarness.Data + 64], 0x1D80); // ZM clear
        a.ldmxcsr(__dword_ptr[GuestHarness.Data + 64]);
        a.mov(__dword_ptr[GuestHarness.Data + 128], 0x3F80_0000);
        a.movss(xmm0, __dword_ptr[GuestHarness.Data + 128]);
        a.xorps(xmm1, xmm1);
        a.mov(ebx, (uint)GuestHarness.Data + 256);
    }

    private static void PutMxcsr(GuestHarness guest) => guest.Write64(GuestHarness.Data + 64, 0x1D80);

    public static TheoryData<string> Names => [.. s_cases.Select(c => c.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Exception_delivers_exact_state(string name)
    {
        FaultCase @case = s_cases.Single(c => c.Name == name);
        foreach (int lead in (ReadOnlySpan<int>)[0, 1, 5])
        {
            foreach (ulong budget in (ReadOnlySpan<ulong>)[1, 2, 3, 4, 5, 7, 1000])
            {
                @case.Check(lead, budget);
            }
        }
    }

    [Theory]
    [InlineData(1UL)]
    [InlineData(2UL)]
    [InlineData(100UL)]
    public void Fetch_fault_names_the_target(ulong budget)
    {
        foreach ((ulong entry, uint code, uint privilege) in ((ulong, uint, uint)[])
            [(0, 0x10, 0), (0, 0x14, 3), (Broken | 7 | (1UL << 63), 0x11, 0), (Broken | 7 | (1UL << 63), 0x15, 3), (Broken | 3, 0x15, 3)])
        {
            using var guest = new GuestHarness();
            guest.HaltOnExceptions();
            guest.Write64(GuestHarness.PageTable + (8 * (Broken >> 12)), entry);
            guest.Assemble(a =>
            {
                a.mov(ebx, (uint)Broken + 16);
                a.jmp(rbx);
            });
            guest.SetPrivilege(privilege);
            guest.Vcpu.Mmu.FlushAll();

            while (guest.Vcpu.Run(budget) == VcpuExitReason.BudgetSpent)
            {
            }

            ulong frame = guest.State->Gpr[4];
            Assert.Equal(GuestHarness.Handlers + (14 * 16) + 1, guest.State->Rip);
            Assert.Equal(code, guest.Read64(frame));
            Assert.Equal(Broken + 16, guest.Read64(frame + 8));
            Assert.Equal(Broken + 16, guest.State->Cr2);
            Assert.Equal(3UL, guest.Vcpu.Icount); // MOV, JMP, HLT
        }
    }

    [Fact]
    public void Fetch_into_an_unmapped_second_page_names_that_page()
    {
        using var guest = new GuestHarness();
        guest.HaltOnExceptions();
        Unmap(guest);
        guest.Write(Broken - 2, [0x48, 0xB8]); // mov rax, imm64: eight more bytes
        guest.State->Rip = Broken - 2;

        Assert.Equal(VcpuExitReason.Halted, guest.Vcpu.Run(10));

        Assert.Equal(Broken, guest.State->Cr2);
        Assert.Equal(0x10UL, guest.Read64(guest.State->Gpr[4]));
        Assert.Equal(Broken - 2, guest.Read64(guest.State->Gpr[4] + 8));
        Assert.Equal(1UL, guest.Vcpu.Icount);
    }

    [Theory]
    [InlineData(1UL)]
    [InlineData(1000UL)]
    public void Triple_fault_shuts_down_and_stays_so(ulong budget)
    {
        using var guest = new GuestHarness();
        guest.State->IdtrLimit = 0;
        guest.Assemble(a =>
        {
            a.inc(rax);
            a.ud2();
        });

        VcpuExitReason exit;
        while ((exit = guest.Vcpu.Run(budget)) == VcpuExitReason.BudgetSpent)
        {
        }

        Assert.Equal(VcpuExitReason.Shutdown, exit);
        Assert.Equal(1UL, guest.Vcpu.Icount);
        Assert.Equal(VcpuExitReason.Shutdown, guest.Vcpu.Run(5));
    }

    [Fact]
    public void Nmi_comes_once_and_waits_for_iret()
    {
        using var guest = new GuestHarness();
        guest.HaltOnExceptions();
        guest.Assemble(a =>
        {
            for (int i = 0; i < 8; i++)
            {
                a.inc(rax);
            }
            a.hlt();
        });
        guest.Assemble(a =>
        {
            a.inc(rbx);
            a.inc(rbx);
            a.iretq();
        }, GuestHarness.Handlers + 0x800);
        guest.Gate(2, GuestHarness.Handlers + 0x800);

        guest.Vcpu.Run(3);
        guest.Vcpu.RaiseNmi();
        guest.Vcpu.Run(1); // first instruction of the handler
        Assert.Equal(1UL, guest.State->Gpr[3]);
        Assert.Equal(GuestHarness.Code + 9, guest.Read64(guest.State->Gpr[4]));
        Assert.Equal(2UL, guest.Read64(guest.State->Gpr[4] + 16) & ~0x8D5UL); // no RF: nothing faulted
        guest.Vcpu.RaiseNmi();
        guest.Vcpu.Run(1);
        Assert.Equal(2UL, guest.State->Gpr[3]); // held
        guest.Vcpu.Run(1); // IRET
        Assert.Equal(3UL, guest.State->Gpr[0]);
        guest.Vcpu.Run(3); // the second one, whole
        Assert.Equal(4UL, guest.State->Gpr[3]);
        Assert.Equal(VcpuExitReason.Halted, guest.Vcpu.Run(100));
        Assert.Equal(8UL, guest.State->Gpr[0]);
        Assert.Equal(8 + 1 + 6UL, guest.Vcpu.Icount);
    }
}
