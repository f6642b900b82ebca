using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.Cpu.Tests.Engine;

/// <summary>The engine end to end on small programs: counts, loops, calls, memory, exceptions.</summary>
public sealed unsafe class RunTests
{
    [Fact]
    public void Straight_line_code_counts_every_instruction()
    {
        using var guest = new GuestHarness();
        guest.Assemble(a =>
        {
            a.mov(eax, 5);
            a.add(eax, 7);
            a.mov(r12, 0x1234);
            a.lea(r13, __[r12 + rax]);
            a.hlt();
        });

        VcpuExitReason exit = guest.Vcpu.Run(1000);

        Assert.Equal(VcpuExitReason.Halted, exit);
        Assert.Equal(5UL, guest.Vcpu.Icount);
        Assert.Equal(12UL, guest.State->Gpr[0]);
        Assert.Equal(0x1240UL, guest.State->Gpr[13]);
    }

    [Fact]
    public void Loop_with_memory_and_calls_gives_the_sum()
    {
        using var guest = new GuestHarness();
        guest.Assemble(a =>
        {
            Label loop = a.CreateLabel(), function = a.CreateLabel();
            a.mov(ecx, 1000);
            a.xor(eax, eax);
            a.mov(rbx, GuestHarness.Data);
            a.Label(ref loop);
            a.call(function);
            a.dec(rcx);
            a.jnz(loop);
            a.hlt();
            a.Label(ref function);
            a.mov(__[rbx + (rcx * 8)], rcx);
            a.add(rax, __[rbx + (rcx * 8)]);
            a.ret();
        });

        VcpuExitReason exit = guest.Vcpu.Run(1_000_000);

        Assert.Equal(VcpuExitReason.Halted, exit);
        Assert.Equal(500500UL, guest.State->Gpr[0]);
        Assert.Equal(3 + (1000UL * 6) + 1, guest.Vcpu.Icount);
        Assert.Equal(1000UL, guest.Read64(GuestHarness.Data + 8000));
    }

    [Fact]
    public void Budget_stops_at_the_exact_instruction()
    {
        using var guest = new GuestHarness();
        guest.Assemble(a =>
        {
            Label loop = a.CreateLabel();
            a.Label(ref loop);
            a.inc(rax);
            a.inc(rbx);
            a.inc(r14);
            a.jmp(loop);
        });

        foreach (ulong budget in (ulong[])[1, 2, 3, 5, 7, 100, 1001])
        {
            ulong before = guest.Vcpu.Icount;
            Assert.Equal(VcpuExitReason.BudgetSpent, guest.Vcpu.Run(budget));
            Assert.Equal(before + budget, guest.Vcpu.Icount);
        }
        ulong n = guest.Vcpu.Icount;
        Assert.Equal((n + 3) / 4, guest.State->Gpr[0]);
        Assert.Equal((n + 2) / 4, guest.State->Gpr[3]);
        Assert.Equal((n + 1) / 4, guest.State->Gpr[14]);
    }

    [Fact]
    public void Page_fault_pushes_the_faulting_instruction()
    {
        using var guest = new GuestHarness();
        guest.HaltOnExceptions();
        guest.Write64(GuestHarness.PageTable + (8 * 0x50), 0);
        guest.Assemble(a =>
        {
            a.mov(ebx, 0x50010);
            a.mov(eax, 1);
            a.mov(__[rbx], rax);
        });

        Assert.Equal(VcpuExitReason.Halted, guest.Vcpu.Run(100));

        Assert.Equal(0x50010UL, guest.State->Cr2);
        Assert.Equal(GuestHarness.Handlers + (14 * 16) + 1, guest.State->Rip);
        Assert.Equal(3UL, guest.Vcpu.Icount); // two MOV and the handler's HLT
        Assert.Equal(2UL, guest.Read64(guest.State->Gpr[4])); // error code: write, not present, supervisor
        Assert.Equal(GuestHarness.Code + 10, guest.Read64(guest.State->Gpr[4] + 8));
    }

    [Fact]
    public void Self_modifying_code_in_the_same_block_is_honoured()
    {
        using var guest = new GuestHarness();
        guest.Assemble(a =>
        {
            Label target = a.CreateLabel();
            a.lea(rbx, __[target]);
            a.mov(__byte_ptr[rbx + 1], 42);
            a.nop();
            a.Label(ref target);
            a.mov(eax, 7);
            a.hlt();
        });

        Assert.Equal(VcpuExitReason.Halted, guest.Vcpu.Run(100));
        Assert.Equal(42UL, guest.State->Gpr[0]);
        Assert.Equal(5UL, guest.Vcpu.Icount);
    }

    [Fact]
    public void Mmio_store_and_load_go_to_the_bus_once()
    {
        using var guest = new GuestHarness();
        guest.Assemble(a =>
        {
            a.mov(ebx, 0x2000_0000);
            a.mov(eax, 0x5566_7788);
            a.mov(__dword_ptr[rbx + 4], eax);
            a.mov(ecx, __dword_ptr[rbx + 8]);
            a.hlt();
        });

        Assert.Equal(VcpuExitReason.Halted, guest.Vcpu.Run(100));
        Assert.Equal([(0x2000_0004UL, 4, 0x5566_7788UL)], guest.Bus.MmioWrites);
        Assert.Equal((0x3333_4444UL ^ 0x2000_0008UL ^ 4) & 0xFFFF_FFFF, guest.State->Gpr[1]);
        Assert.Equal(5UL, guest.Vcpu.Icount);
    }

    [Fact]
    public void Store_across_a_page_end_reaches_both_pages()
    {
        using var guest = new GuestHarness();
        guest.Assemble(a =>
        {
            a.mov(ebx, (uint)GuestHarness.Data + 4093);
            a.mov(rax, 0x1122_3344_5566_7788);
            a.mov(__[rbx], rax);
            a.mov(r12, __[rbx]);
            a.add(__[rbx], r12);
            a.push(rax);
            a.pop(r15);
            a.hlt();
        });

        Assert.Equal(VcpuExitReason.Halted, guest.Vcpu.Run(100));
        Assert.Equal(0x1122_3344_5566_7788UL * 2, guest.Read64(GuestHarness.Data + 4093));
        Assert.Equal(0x1122_3344_5566_7788UL, guest.State->Gpr[12]);
        Assert.Equal(0x1122_3344_5566_7788UL, guest.State->Gpr[15]);
    }
}
