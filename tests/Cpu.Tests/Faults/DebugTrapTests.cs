using FtAkka.Cpu.Tests.Engine;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.Cpu.Tests.Faults;

/// <summary>Single step and the four debug registers (Intel SDM vol. 3B, 17.2 and 17.3), with every small budget.</summary>
public sealed unsafe class DebugTrapTests
{
    private const ulong Trap = 1 << 8, Resume = 1 << 16, SingleStep = 1 << 14, Log = 0x60000, DebugHandler = GuestHarness.Handlers + 0x800;

    /// <summary>
    /// A guest whose #DB handler appends (saved RIP, DR6) to a list at <see cref="Log"/>, clears DR6, and returns; with <paramref name="resume"/>
    /// it sets RF in the frame first.
    /// </summary>
    private static GuestHarness Guest(Action<Assembler> program, bool resume = false)
    {
        var guest = new GuestHarness();
        guest.HaltOnExceptions();
        guest.Assemble(program);
        guest.Gate(1, DebugHandler);
        guest.Assemble(a =>
        {
            a.push(rax);
            a.push(rbx);
            a.mov(rbx, __qword_ptr[Log]);
            a.mov(rax, __qword_ptr[rsp + 16]);
            a.mov(__qword_ptr[rbx + (long)Log + 8], rax);
            a.mov(rax, dr6);
            a.mov(__qword_ptr[rbx + (long)Log + 16], rax);
            a.xor(eax, eax);
            a.mov(dr6, rax);
            a.add(__qword_ptr[Log], 16);
            if (resume)
            {
                a.or(__dword_ptr[rsp + 32], (int)Resume);
            }
            a.pop(rbx);
            a.pop(rax);
            a.iretq();
        }, DebugHandler);
        return guest;
    }

    private static List<(ulong Rip, ulong Dr6)> RunToEnd(GuestHarness guest, ulong budget)
    {
        VcpuExitReason exit;
        int runs = 0;
        while ((exit = guest.Vcpu.Run(budget)) == VcpuExitReason.BudgetSpent)
        {
            Assert.True(++runs < 2000, "no end");
        }
        Assert.Equal(VcpuExitReason.Halted, exit);
        var log = new List<(ulong, ulong)>();
        for (ulong at = 0; at < guest.Read64(Log); at += 16)
        {
            log.Add((guest.Read64(Log + 8 + at) - GuestHarness.Code, guest.Read64(Log + 16 + at) & 0xE00F));
        }
        return log;
    }

    public static TheoryData<ulong> Budgets => [1, 2, 3, 5, 1000];

    [Theory]
    [MemberData(nameof(Budgets))]
    public void Trap_flag_stops_behind_every_instruction(ulong budget)
    {
        using GuestHarness guest = Guest(a =>
        {
            a.inc(rax); // 0
            a.mov(ecx, 2); // 3
            a.nop(); // 8
            a.mov(edx, eax); // 9
            a.ud2(); // 11: not retired, and its handler runs without TF
        });
        guest.State->Rflags |= Trap;

        Assert.Equal([(3, SingleStep), (8, SingleStep), (9, SingleStep), (11, SingleStep)], RunToEnd(guest, budget));
    }

    [Theory]
    [MemberData(nameof(Budgets))]
    public void Popf_that_ends_stepping_still_traps_and_the_one_that_begins_it_does_not(ulong budget)
    {
        using GuestHarness guest = Guest(a =>
        {
            a.push((int)Trap | 2); // 0
            a.popfq(); // 5
            a.push(2); // 6
            a.popfq(); // 8
            a.nop(); // 9
            a.hlt(); // 10
        });

        Assert.Equal([(8, SingleStep), (9, SingleStep)], RunToEnd(guest, budget));
    }

    [Theory]
    [MemberData(nameof(Budgets))]
    public void Repeated_string_traps_behind_every_iteration(ulong budget)
    {
        using GuestHarness guest = Guest(a =>
        {
            a.mov(ecx, 3); // 0
            a.mov(edi, (uint)GuestHarness.Data); // 5
            a.push((int)Trap | 2); // 10
            a.popfq(); // 15
            a.rep.stosb(); // 16
            a.push(2); // 18
            a.popfq(); // 20
            a.hlt(); // 21
        });

        Assert.Equal([(16, SingleStep), (16, SingleStep), (18, SingleStep), (20, SingleStep), (21, SingleStep)], RunToEnd(guest, budget));
    }

    [Theory]
    [MemberData(nameof(Budgets))]
    public void Mov_ss_holds_the_trap_for_one_instruction(ulong budget)
    {
        using GuestHarness guest = Guest(a =>
        {
            a.mov(eax, 0x18); // 0
            a.push((int)Trap | 2); // 5
            a.popfq(); // 10
            a.mov(ss, eax); // 11
            a.push(2); // 13
            a.popfq(); // 15
            a.hlt(); // 16
        });

        Assert.Equal([(15, SingleStep), (16, SingleStep)], RunToEnd(guest, budget));
    }

    [Theory]
    [MemberData(nameof(Budgets))]
    public void Syscall_masks_the_trap_and_sysret_restores_it(ulong budget)
    {
        using GuestHarness guest = Guest(a =>
        {
            a.nop(); // 0
            a.syscall(); // 1
            a.nop(); // 3
            a.ud2(); // 4
        });
        guest.Assemble(a => a.sysretq(), 0x20000);
        guest.State->Lstar = 0x20000;
        guest.State->Fmask = Trap;
        guest.State->Star = (0x0010UL << 32) | (0x0018UL << 48); // kernel 10 and 18, user 2B and 23
        guest.SetPrivilege(3);
        guest.State->Rflags |= Trap;

        Assert.Equal([(1, SingleStep), (3, SingleStep), (4, SingleStep)], RunToEnd(guest, budget));
    }

    [Theory]
    [MemberData(nameof(Budgets))]
    public void Instruction_breakpoint_comes_before_and_resume_passes_it_once(ulong budget)
    {
        using GuestHarness guest = Guest(a =>
        {
            Label loop = a.CreateLabel();
            a.mov(ecx, 2); // 0
            a.Label(ref loop);
            a.inc(rax); // 5
            a.inc(rdx); // 8
            a.dec(ecx); // 11
            a.jnz(loop); // 13
            a.hlt();
        }, resume: true);
        guest.State->Dr0 = GuestHarness.Code + 8;
        guest.State->Dr7 = 0x400 | 1;

        Assert.Equal([(8, 1), (8, 1)], RunToEnd(guest, budget));
        Assert.Equal(2UL, guest.State->Gpr[2]);
    }

    [Theory]
    [MemberData(nameof(Budgets))]
    public void Data_breakpoints_trap_behind_the_access(ulong budget)
    {
        using GuestHarness guest = Guest(a =>
        {
            a.mov(ebx, (uint)GuestHarness.Data); // 0
            a.mov(eax, __dword_ptr[rbx]); // 5: read, not watched by DR0, watched by DR1
            a.mov(__byte_ptr[rbx + 3], al); // 7: write to both
            a.mov(__byte_ptr[rbx + 4], al); // 10: beyond
            a.add(__qword_ptr[rbx - 7], rax); // 13: last byte only
            a.mov(edi, ebx); // 17
            a.stosb(); // 19
            a.pushfq(); // 20
            a.mov(rsp, rbx); // 21
            a.add(rsp, 4); // 24
            a.push(rax); // 28
            a.lea(rsp, __[rbx - 64]); // 29
            a.hlt(); // 33
        });
        guest.State->Dr0 = guest.State->Dr1 = GuestHarness.Data;
        // DR0: writes, 4 bytes; DR1: reads and writes, 4 bytes.
        guest.State->Dr7 = 0x400 | 1 | 4 | (0xDUL << 16) | (0xFUL << 20);

        // The handler runs on the guest's stack, whose pushes near the data must not count: it switches by IST.
        guest.Gate(1, DebugHandler, ist: 1);
        guest.Write64(GuestHarness.Tss + 0x24, GuestHarness.Stack + 0x4000);

        Assert.Equal([(7, 2), (10, 3), (17, 3), (20, 3), (29, 3)], RunToEnd(guest, budget));
    }

    [Fact]
    public void Instructions_without_an_access_hit_nothing()
    {
        using GuestHarness guest = Guest(a =>
        {
            a.xor(ebx, ebx); // 0
            a.inc(rax); // 2
            a.lea(rcx, __[rbx]); // 5
            a.nop(__dword_ptr[rbx]); // 8
            a.prefetcht0(__[rbx]); // 11
            a.add(rax, rcx); // 14
            a.fld1(); // 17
            a.test(__byte_ptr[rbx], 1); // 19: the one that reads address 0
            a.hlt(); // 22
        });
        guest.State->Dr7 = 0x400 | 1 | (3UL << 16); // DR0 = 0: reads and writes

        Assert.Equal([(22, 1)], RunToEnd(guest, 1000));
    }

    [Theory]
    [MemberData(nameof(Budgets))]
    public void Data_breakpoint_hit_by_mov_ss_is_reported_one_instruction_later(ulong budget)
    {
        using GuestHarness guest = Guest(a =>
        {
            a.mov(ebx, (uint)GuestHarness.Data); // 0
            a.mov(__word_ptr[rbx], 0x18); // 5: a write, not watched
            a.mov(ss, __word_ptr[rbx]); // 10
            a.nop(); // 12
            a.nop(); // 13
            a.hlt(); // 14
        });
        guest.State->Dr2 = GuestHarness.Data;
        guest.State->Dr7 = 0x400 | 0x10 | (3UL << 24);

        Assert.Equal([(10, 4), (13, 4)], RunToEnd(guest, budget));
    }

    [Theory]
    [MemberData(nameof(Budgets))]
    public void Port_breakpoint_needs_debugging_extensions(ulong budget)
    {
        foreach (bool enabled in (bool[])[false, true])
        {
            using GuestHarness guest = Guest(a =>
            {
                a.mov(edx, 0x80); // 0
                a.@out(dx, al); // 5
                a.@in(al, dx); // 6
                a.hlt(); // 7
            });
            guest.State->Dr3 = 0x80;
            guest.State->Dr7 = 0x400 | 0x40 | (2UL << 28);
            guest.State->Cr4 |= enabled ? 8UL : 0;

            List<(ulong, ulong)> log = RunToEnd(guest, budget);
            Assert.Equal(enabled ? [(6, 8), (7, 8)] : [], log);
        }
    }

    [Fact]
    public void Access_to_debug_registers_faults_under_general_detect()
    {
        using GuestHarness guest = Guest(a =>
        {
            a.nop();
            a.mov(rax, dr0); // 1
            a.hlt();
        });
        guest.State->Dr7 = 0x400 | (1UL << 13);

        // The delivery clears GD, so the handler and the second attempt pass.
        Assert.Equal([(1, 1UL << 13)], RunToEnd(guest, 1000));
    }
}
