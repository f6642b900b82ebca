using FtAkka.Cpu.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.Cpu.Tests.Engine;

/// <summary>
/// The system instructions that blocks emit, against the same instructions in C#: a run of one instruction at a time never enters a regular block. Each program
/// is compared at every icount, under every split of the budget into small parts, at several block lengths, and with an interrupt raised at each icount.
/// </summary>
public sealed unsafe class SystemEmissionTests
{
    private const byte InterruptVector = 0x40;
    private const ulong Counter = 0xA0000, ReadOnlyPage = 0xB0000, Kernel = 0x20000, Missing = 0xC0000;
    private const ulong Iopl3 = 0x3000, NestedTask = 0x4000, AlignmentCheck = 1 << 18, Id = 1 << 21, Trap = 1 << 8;
    private const int Steps = 150;

    public static TheoryData<string> Programs => [.. s_programs.Keys];

    private static readonly SortedDictionary<string, Action<GuestHarness>> s_programs = new(StringComparer.Ordinal)
    {
        ["interrupt flag"] = guest => guest.Assemble(a =>
        {
            a.cli();
            a.sti();
            a.inc(rax);
            a.sti();
            a.inc(rbx);
            a.cli();
            a.sti();
            a.sti();
            a.cli();
            a.sti();
            a.add(rax, rbx);
            a.cli();
            a.sti();
            a.rdtsc(); // C#, right behind the shadow's STI
            a.cli();
            a.sti();
            a.hlt();
            a.jmp(GuestHarness.Code);
        }),
        ["shadow over memory and devices"] = guest => guest.Assemble(a =>
        {
            a.mov(rbx, 64UL << 20);
            a.sti();
            a.mov(rax, __[rbx]); // MMIO
            a.cli();
            a.sti();
            a.mov(__[rbx], rcx);
            a.cli();
            a.sti();
            a.mov(__[GuestHarness.Data + 0xFFD], rcx); // across a page
            a.cli();
            a.mov(ecx, 3);
            a.mov(edi, (int)GuestHarness.Data);
            a.sti();
            a.rep.stosq();
            a.cli();
            a.sti();
            a.mov(rax, __[Missing]); // faults in the shadow
            a.cli();
            a.xor(edx, edx);
            a.sti();
            a.div(rdx); // #DE in the shadow
            a.cli();
            a.sti();
            a.int3();
            a.jmp(GuestHarness.Code);
        }),
        ["shadow at the end of a page"] = guest =>
        {
            // STI is the last byte of the page; once what follows crosses into the next page, once it begins there.
            guest.Assemble(a =>
            {
                a.nop();
                a.sti();
                a.inc(rax);
                a.cli();
                a.jmp(GuestHarness.Code + 0x2FF0);
            }, GuestHarness.Code + 0xFFE);
            guest.Assemble(a =>
            {
                a.nop(14 - 2);
                a.sti();
                a.mov(rbx, 0x1122334455667788);
                a.cli();
                a.jmp(GuestHarness.Code + 0xFFE);
            }, GuestHarness.Code + 0x2FF0);
            guest.State->Rip = GuestHarness.Code + 0xFFE;
        },
        ["flag images"] = guest => guest.Assemble(a =>
        {
            foreach (ulong image in (ulong[])[0x2, 0x202, 0x246, 0xED7, 0x0, 0x202 | Iopl3, 0x2, 0x46 | NestedTask, 0x2, 0x202 | AlignmentCheck, 0x2, Id | 0x202, 0x2,
                Trap | 0x202, 0x2, 0xFFFF_FFFF_FFFF_FFFF, 0x2])
            {
                a.mov(rax, image);
                a.push(rax);
                a.popfq();
                a.adc(rcx, rdx);
                a.pushfq();
                a.pop(r12);
                a.lahf();
            }
            a.std();
            a.stc();
            a.pushfq();
            a.cli();
            a.cld();
            a.clc();
            a.popfq();
            a.pushfq();
            a.pop(r15);
            a.push(0x202);
            a.popfq();
            a.jmp(GuestHarness.Code);
        }),
        ["flag images on bad stacks"] = guest => guest.Assemble(a =>
        {
            a.mov(rbp, rsp);
            foreach (ulong stack in (ulong[])[GuestHarness.Data + 0x1004, ReadOnlyPage + 0x100, Missing + 8, 0x8000_0000_0000_0000, 64UL << 20, GuestHarness.Data + 0x2008])
            {
                a.mov(rsp, stack);
                a.pushfq();
                a.mov(rsp, stack - 8);
                a.popfq();
                a.mov(rsp, rbp);
                a.inc(rdx);
            }
            a.push(0x202);
            a.popfq();
            a.jmp(GuestHarness.Code);
        }),
        ["registers"] = guest => guest.Assemble(a =>
        {
            a.swapgs();
            a.mov(rax, __.gs[0x10]);
            a.swapgs();
            a.mov(rbx, __.gs[0x10]);
            a.mov(rcx, cr0);
            a.mov(rdx, cr2);
            a.mov(r12, cr3);
            a.mov(rsp, cr4);
            a.mov(rsp, GuestHarness.Stack);
            a.mov(r13, cr8);
            a.mov(eax, ds);
            a.mov(rbx, (ulong)0xFFFF_FFFF_FFFF_FFFF);
            a.mov(bx, cs);
            a.mov(r14, ss);
            a.mov(r15d, es);
            a.mov(rsi, fs);
            a.mov(edi, gs);
            a.mov(r14w, ds);
            a.jmp(GuestHarness.Code);
        }),
        ["string stores"] = guest => guest.Assemble(a =>
        {
            Strings(a, a => a.rep.stosb(), a => a.rep.stosw(), a => a.rep.stosd(), a => a.rep.stosq());
            a.jmp(GuestHarness.Code);
        }),
        ["string copies"] = guest => guest.Assemble(a =>
        {
            Strings(a, a => a.rep.movsq(), a => a.rep.movsd(), a => a.rep.movsb(), a => a.rep.movsw());
            a.jmp(GuestHarness.Code);
        }),
        ["string copies onto themselves"] = guest => guest.Assemble(a =>
        {
            a.mov(rax, 0x0807060504030201);
            a.mov(__[GuestHarness.Data], rax);
            a.mov(esi, (int)GuestHarness.Data);
            a.mov(edi, (int)GuestHarness.Data + 3);
            a.mov(ecx, 11);
            a.sti();
            a.rep.movsb();
            a.mov(edi, (int)GuestHarness.Code + 0x800); // where code is, if only a part of its page
            a.mov(ecx, 3);
            a.rep.movsb();
            a.mov(eax, unchecked((int)0x90909090));
            a.mov(edi, (int)GuestHarness.Code);
            a.add(edi, 0x100);
            a.mov(ecx, 2);
            a.rep.stosd(); // the instructions at +0x100, which are NOPs already
            a.jmp(GuestHarness.Code + 0x100);
            a.nop(0x100 - 0x60);
            a.nop(9);
            a.nop();
            a.nop();
            a.jmp(GuestHarness.Code);
        }),
        ["system calls"] = guest => BuildSystemCalls(guest, 0x47700, [0x202, 0xA97, 0x2, 0x202 | Iopl3, 0x202 | NestedTask, 0x202 | AlignmentCheck, 0x202 | Trap, 0x202]),
        ["system calls that keep their flags"] = guest => BuildSystemCalls(guest, 0, [0x202, 0x246]),
        ["system calls that clear all"] = guest => BuildSystemCalls(guest, ulong.MaxValue, [0xED7, 0x202]),
        ["system calls with traps left on"] = guest => BuildSystemCalls(guest, 0x200, [0x302, 0x202]),
        ["system calls switched off"] = guest =>
        {
            BuildSystemCalls(guest, 0x47700, [0x202]);
            guest.State->Efer &= ~1UL;
        },
        ["system calls from another mode"] = guest =>
        {
            BuildSystemCalls(guest, 0x47700, [0x202, 0xA97]);
            guest.State->Cr0 |= 8; // TS: the kernel clears and sets it
            guest.Assemble(a =>
            {
                a.swapgs();
                a.clts();
                a.xorps(xmm0, xmm0);
                a.mov(rax, cr0);
                a.or(eax, 8);
                a.test(r9b, 1);
                a.cmove(rax, r10);
                a.mov(cr0, rax);
                a.inc(r9);
                a.swapgs();
                a.sysretq();
            }, Kernel);
            guest.State->Gpr[10] = 0x8005_0033;
        },
        ["returns to nowhere"] = guest =>
        {
            BuildSystemCalls(guest, 0x47700, [0x202]);
            guest.Assemble(a =>
            {
                Label good = a.CreateLabel();
                a.inc(r9);
                a.test(r9b, 3);
                a.jnz(good);
                a.mov(rcx, 0x0000_8000_0000_0000); // #GP at CPL 0
                a.Label(ref good);
                a.sysretq();
            }, Kernel);
        },
    };

    /// <summary>Counts of 0, 1 and more, page ends, both directions, pages that may not be written or are not there, and a count that only a fault ends.</summary>
    private static void Strings(Assembler a, params Action<Assembler>[] bySize)
    {
        int size = 0;
        foreach (Action<Assembler> rep in bySize)
        {
            foreach ((ulong destination, ulong count) in (ReadOnlySpan<(ulong, ulong)>)
                [(GuestHarness.Data + 0x10, 5), (GuestHarness.Data + 0xFF8, 1), (GuestHarness.Data + 0x1FF8, 4), (GuestHarness.Data, 0)])
            {
                a.mov(rsi, destination + 0x1804);
                a.mov(rdi, destination);
                a.mov(rcx, count);
                rep(a);
                a.adc(rax, rdi);
            }
            size++;
            a.std();
            a.mov(edi, (int)GuestHarness.Data + 0x108);
            a.mov(esi, (int)GuestHarness.Data + 0x204);
            a.mov(ecx, 2);
            rep(a);
            a.mov(edi, (int)ReadOnlyPage + 0x1004); // downwards into the page before
            a.mov(ecx, 6);
            rep(a);
            a.cld();
            a.mov(rdi, size % 2 == 0 ? ReadOnlyPage : Missing - 8);
            a.mov(rsi, size == 3 ? Missing - 3 : GuestHarness.Data);
            a.mov(rcx, (1UL << 61) + 1);
            rep(a);
        }
    }

    /// <summary>A program at CPL 3 that makes system calls, and a kernel that returns with each of the images in turn.</summary>
    private static void BuildSystemCalls(GuestHarness guest, ulong mask, ulong[] images)
    {
        CpuState* s = guest.State;
        s->Star = (0x18UL << 48) | (0x10UL << 32);
        s->Lstar = Kernel;
        s->Fmask = mask;
        s->Cr0 |= 1 << 18; // AM
        for (int i = 0; i < images.Length; i++)
        {
            guest.Write64(GuestHarness.Data + 0x800 + (8 * (ulong)i), images[i]);
        }
        guest.Assemble(a =>
        {
            a.swapgs();
            a.mov(__.gs[0x20], r11);
            a.inc(r9);
            a.mov(rdx, r9);
            a.and(edx, images.Length - 1);
            a.mov(r11, __[(rdx * 8) + (long)(GuestHarness.Data + 0x800)]);
            a.swapgs();
            a.sysretq();
        }, Kernel);
        guest.Assemble(a =>
        {
            a.stc();
            a.syscall();
            a.adc(rax, r11);
            a.pushfq();
            a.pop(rbx);
            a.mov(r12d, cs);
            a.mov(r13d, ss);
            a.cmp(rax, rbx);
            a.jmp(GuestHarness.Code);
        });
        guest.SetPrivilege(3);
    }

    [Theory]
    [MemberData(nameof(Programs))]
    public void Splitting_the_budget_changes_nothing(string program)
    {
        List<string> expected = Run(program, blockLength: 64, interruptAt: -1, _ => 1);
        Assert.True(expected.Distinct().Count() > Steps / 2, "the program stands still");
        foreach (int length in (int[])[1, 2, 64])
        {
            for (int part = 2; part <= 9; part++)
            {
                Compare(expected, Run(program, length, -1, _ => (ulong)part), part);
            }
            for (int seed = 0; seed < 4; seed++)
            {
                var random = new Random(seed);
                Compare(expected, Run(program, length, -1, _ => (ulong)random.Next(1, 60)), -1);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Programs))]
    public void An_interrupt_at_any_instruction_arrives_at_the_same_place(string program)
    {
        for (int at = 0; at < 72; at++)
        {
            List<string> expected = Run(program, 64, at, _ => 1);
            foreach (int length in at % 4 == 0 ? (int[])[2, 64] : [64])
            {
                Compare(expected, Run(program, length, at, icount => icount < (ulong)at ? (ulong)at - icount : 50), at);
            }
        }
    }

    /// <summary>A device that raises the line from inside a bus call, at the access that an STI shadows among others.</summary>
    [Theory]
    [MemberData(nameof(Programs))]
    public void An_interrupt_raised_by_an_access_arrives_at_the_same_place(string program)
    {
        List<string> expected = Run(program, 64, -2, _ => 1);
        for (int part = 2; part <= 40; part += 3)
        {
            Compare(expected, Run(program, 64, -2, _ => (ulong)part), part);
        }
    }

    [Fact]
    public void Interrupts_do_arrive_and_shadows_do_hold()
    {
        using var guest = NewGuest("interrupt flag", 64);
        guest.Vcpu.InterruptLine = true;
        Assert.Equal(VcpuExitReason.BudgetSpent, guest.Vcpu.Run(2)); // cli, sti
        Assert.Equal(1, guest.State->InterruptShadow);
        Assert.Equal(VcpuExitReason.BudgetSpent, guest.Vcpu.Run(2)); // inc rax, then the handler's first
        Assert.Equal(1UL, guest.Read64(Counter));
        Assert.Equal(1UL, guest.State->Gpr[0]);
    }

    [Fact]
    public void A_run_that_ends_behind_STI_shows_its_shadow()
    {
        using var guest = NewGuest("interrupt flag", 64);
        Assert.Equal(VcpuExitReason.BudgetSpent, guest.Vcpu.Run(2));
        Assert.Equal(1, guest.State->InterruptShadow);
        Assert.Equal(VcpuExitReason.BudgetSpent, guest.Vcpu.Run(1));
        Assert.Equal(0, guest.State->InterruptShadow);
    }

    [Theory]
    [InlineData("interrupt flag")]
    [InlineData("flag images")]
    [InlineData("registers")]
    [InlineData("system calls")]
    public void Hardly_anything_leaves_emitted_code(string program)
    {
        using var guest = NewGuest(program, 64);
        if (program == "system calls")
        {
            guest.Write(GuestHarness.Data + 0x800, new byte[64]);
            for (ulong i = 0; i < 8; i++) guest.Write64(GuestHarness.Data + 0x800 + (8 * i), 0x202);
        }
        guest.Vcpu.Run(1000);
        ulong before = guest.Vcpu.Statistics.SpecialExits;
        ulong instructions = guest.Vcpu.Icount;
        guest.Vcpu.Run(100_000);
        instructions = guest.Vcpu.Icount - instructions;
        ulong exits = guest.Vcpu.Statistics.SpecialExits - before;
        Assert.True(exits * 8 < instructions || guest.Vcpu.Halted, $"{exits} exits in {instructions} instructions");
        if (program == "system calls") Assert.Equal(0UL, exits);
    }

    private static void Compare(List<string> expected, List<string> actual, int hint)
    {
        // Only the icounts at which both stopped can be compared; the reference stopped at all.
        var byIcount = expected.ToDictionary(line => line.Split(':')[0]);
        foreach (string line in actual)
        {
            if (byIcount.TryGetValue(line.Split(':')[0], out string? reference))
            {
                Assert.True(reference == line, $"part or position {hint}:\nexpected {reference}\nactual   {line}");
            }
        }
        Assert.NotEmpty(actual);
    }

    private static List<string> Run(string program, int blockLength, int interruptAt, Func<ulong, ulong> budget)
    {
        using var guest = NewGuest(program, blockLength);
        var lines = new List<string>();
        if (interruptAt == -2)
        {
            guest.Bus.OnMmioWrite = (_, _, _) => guest.Vcpu.InterruptLine = true;
            guest.Bus.OnMmioRead = (_, _) =>
            {
                guest.Vcpu.InterruptLine = true;
                return 5;
            };
        }
        for (int step = 0; step < 4 * Steps && guest.Vcpu.Icount < Steps; step++)
        {
            if (guest.Vcpu.Icount == (ulong)interruptAt)
            {
                guest.Vcpu.InterruptLine = true;
            }
            VcpuExitReason exit = guest.Vcpu.Run(budget(guest.Vcpu.Icount));
            lines.Add($"{guest.Vcpu.Icount}: {exit is VcpuExitReason.Halted} {Describe(guest)}");
            if (exit == VcpuExitReason.Shutdown)
            {
                break;
            }
            if (exit == VcpuExitReason.Halted)
            {
                guest.Vcpu.InterruptLine = true;
            }
        }
        // Where the reference stood longer without an instruction retiring, its last state counts.
        return [.. lines.GroupBy(line => line.Split(':')[0]).Select(group => group.Last())];
    }

    private static string Describe(GuestHarness guest)
    {
        CpuState* s = guest.State;
        var state = new byte[Vcpu.StateBytes];
        guest.Vcpu.SaveState(state);
        ulong hash = 14695981039346656037;
        foreach (byte b in state) hash = (hash ^ b) * 1099511628211;
        foreach (ulong page in (ulong[])[GuestHarness.Data, GuestHarness.Data + 0x1000, GuestHarness.Data + 0x2000, GuestHarness.Stack - 0x1000, GuestHarness.Stack + 0x7000, Counter])
        {
            foreach (byte b in guest.Memory.Page((int)(page >> 12))) hash = (hash ^ b) * 1099511628211;
        }
        return $"rip {s->Rip:x} flags {s->Rflags:x} cpl {s->Cpl} shadow {s->InterruptShadow} rsp {s->Gpr[4]:x} count {guest.Read64(Counter)} mmio {guest.Bus.MmioWrites.Count} {hash:x16}";
    }

    private static GuestHarness NewGuest(string program, int blockLength)
    {
        var guest = new GuestHarness(2 << 20, new VcpuOptions { CodeCacheBytes = 1 << 20, MaxBlockInstructions = blockLength });
        guest.Write64(GuestHarness.PageTable + (8 * (ReadOnlyPage >> 12)), ReadOnlyPage | GuestHarness.Present | GuestHarness.User);
        guest.Write64(GuestHarness.PageTable + (8 * (Missing >> 12)), 0);
        CpuState* s = guest.State;
        s->Gs.Base = GuestHarness.Data;
        s->KernelGsBase = GuestHarness.Data + 0x400;
        guest.Write64(GuestHarness.Data + 0x10, 0x1111);
        guest.Write64(GuestHarness.Data + 0x410, 0x2222);
        s->Gpr[2] = 3;
        // Faults: the handler skips the instruction, whose length is in r8 (2 for most, but any will do: both sides skip alike).
        for (int vector = 0; vector < 32; vector++)
        {
            ulong handler = GuestHarness.Handlers + (64UL * (ulong)vector);
            bool hasErrorCode = vector is 8 or 10 or 11 or 12 or 13 or 14 or 17;
            guest.Gate((byte)vector, handler, dpl: 3, ist: 1);
            guest.Assemble(a =>
            {
                if (hasErrorCode) a.add(rsp, 8);
                if (vector is not (1 or 3)) a.inc(__qword_ptr[rsp]);
                a.and(__qword_ptr[rsp + 16], unchecked((int)~(Trap | NestedTask)));
                a.iretq();
            }, handler);
        }
        guest.Write64(GuestHarness.Tss + 0x24, GuestHarness.Stack + 0x6000);
        guest.Gate(InterruptVector, GuestHarness.Handlers + 0x1000);
        guest.Assemble(a =>
        {
            a.inc(__qword_ptr[Counter]);
            a.iretq();
        }, GuestHarness.Handlers + 0x1000);
        guest.Bus.OnAcknowledge = () =>
        {
            guest.Vcpu.InterruptLine = false;
            return InterruptVector;
        };
        guest.Bus.Tsc = () => guest.Vcpu.Icount;
        s_programs[program](guest);
        guest.Vcpu.Mmu.FlushAll();
        return guest;
    }
}
