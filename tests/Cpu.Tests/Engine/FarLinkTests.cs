using FtAkka.Cpu.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.Cpu.Tests.Engine;

/// <summary>
/// Direct calls from one global page of the upper half into another, which emitted code makes without any look-up: each way in which the callee's page may change has
/// to be seen by the very next call.
/// </summary>
public sealed unsafe class FarLinkTests
{
    private const ulong Upper = 0xFFFF_8000_0000_0000, Pdpt = 0xA000, Pd = 0xB000, Table = 0xC000, OtherPd = 0xD000, OtherTable = 0xE000, OtherPml4 = 0xF000;
    private const ulong Callee = GuestHarness.Code + 0x1000, OtherFrame = GuestHarness.Code + 0x3000, Global = 0x100, NoExecute = 1UL << 63;
    private const ulong Rights = GuestHarness.Present | GuestHarness.Writable | GuestHarness.User;
    private const ulong CalleeEntry = 8 * (Callee >> 12);

    public static TheoryData<string> Changes => [.. s_changes.Keys];

    /// <summary>What the guest does between two of its calls; rbx counts the rounds.</summary>
    private static readonly SortedDictionary<string, Action<Assembler>> s_changes = new(StringComparer.Ordinal)
    {
        ["nothing"] = a => a.nop(),
        ["page table entry"] = a => a.xor(__qword_ptr[(long)(Table + CalleeEntry)], (int)(Callee ^ OtherFrame)),
        ["page directory entry"] = a => a.xor(__qword_ptr[(long)Pd], (int)(Table ^ OtherTable)),
        ["page directory pointer"] = a => a.xor(__qword_ptr[(long)Pdpt], (int)(Pd ^ OtherPd)),
        ["address space with other tables"] = a =>
        {
            a.mov(rdx, cr3);
            a.xor(edx, (int)(GuestHarness.Pml4 ^ OtherPml4));
            a.mov(cr3, rdx);
        },
        ["code bytes"] = a => a.xor(__byte_ptr[(long)Callee + 3], 4),
        ["right to execute"] = a => a.xor(__byte_ptr[(long)(Table + CalleeEntry + 7)], 0x80),
        ["presence"] = a => a.xor(__byte_ptr[(long)(Table + CalleeEntry)], 1),
        ["a neighbour"] = a => a.xor(__byte_ptr[(long)(Table + CalleeEntry + 8)], 1),
        ["paging off and on for execute rights"] = a =>
        {
            a.mov(ecx, unchecked((int)0xC0000080));
            a.rdmsr();
            a.xor(eax, 0x800);
            a.wrmsr();
        },
    };

    [Theory]
    [MemberData(nameof(Changes))]
    public void The_next_call_sees_the_change(string change)
    {
        List<string> expected = Run(change, 64, 1, drop: false);
        Assert.Equal(expected[^1], Run(change, 64, 1000, drop: false)[^1]);
        Assert.Equal(expected[^1], Run(change, 64, 1 << 20, drop: false)[^1]);
        Assert.Equal(expected[^1], Run(change, 2, 1 << 20, drop: false)[^1]);
        Assert.Equal(expected[^1], Run(change, 64, 777, drop: true)[^1]);
        foreach (string line in Run(change, 64, 97, drop: false))
        {
            Assert.Contains(line, expected);
        }
    }

    [Fact]
    public void Calls_do_not_leave_emitted_code_and_keep_their_link_over_a_CR3_load()
    {
        using GuestHarness guest = NewGuest("nothing", 64);
        guest.Vcpu.Run(1000);
        ulong links = guest.Vcpu.Statistics.LinkExits;
        guest.Write64(OtherPml4 + (8 * 256), guest.Read64(GuestHarness.Pml4 + (8 * 256)));
        for (int i = 0; i < 10; i++)
        {
            guest.State->Cr3 ^= GuestHarness.Pml4 ^ OtherPml4;
            guest.Vcpu.Mmu.FlushNonGlobal();
            guest.Vcpu.Run(1000);
        }
        Assert.True(guest.Vcpu.Statistics.LinkExits - links < 25, $"{guest.Vcpu.Statistics.LinkExits - links} link exits");
    }

    private static List<string> Run(string change, int blockLength, ulong part, bool drop)
    {
        const ulong length = 4000;
        using GuestHarness guest = NewGuest(change, blockLength);
        var lines = new List<string>();
        while (guest.Vcpu.Icount < length)
        {
            VcpuExitReason exit = guest.Vcpu.Run(Math.Min(part, length - guest.Vcpu.Icount));
            Assert.Equal(VcpuExitReason.BudgetSpent, exit);
            CpuState* s = guest.State;
            lines.Add($"{guest.Vcpu.Icount}: rip {s->Rip:x} sum {s->Gpr[15]:x} rounds {s->Gpr[3]:x} faults {s->Gpr[14]:x} rsp {s->Gpr[4]:x} cr2 {s->Cr2:x}");
            if (drop) guest.Vcpu.DropCaches();
        }
        return lines;
    }

    private static GuestHarness NewGuest(string change, int blockLength)
    {
        var guest = new GuestHarness(2 << 20, new VcpuOptions { CodeCacheBytes = 1 << 20, MaxBlockInstructions = blockLength });
        guest.Write64(GuestHarness.Pml4 + (8 * 256), Pdpt | Rights);
        guest.Write64(Pdpt, Pd | Rights);
        guest.Write64(Pd, Table | Rights);
        guest.Write64(OtherPd, OtherTable | Rights);
        for (ulong page = GuestHarness.Code >> 12; page < (GuestHarness.Code >> 12) + 3; page++)
        {
            guest.Write64(Table + (8 * page), (page << 12) | Rights | Global);
            guest.Write64(OtherTable + (8 * page), (page << 12) | Rights | Global);
        }
        guest.Write64(OtherTable + CalleeEntry, OtherFrame | Rights | Global);
        // Another PDPT for the second address space, in the rest of the page of PML4s: only its first entry counts.
        guest.Write64(OtherPml4, guest.Read64(GuestHarness.Pml4));
        guest.Write64(OtherPml4 + (8 * 256), 0x9000 | Rights);
        guest.Write64(0x9000, OtherPd | Rights);
        guest.Assemble(a =>
        {
            Label round = a.CreateLabel(), call = a.CreateLabel();
            a.Label(ref round);
            a.mov(esi, 5);
            a.Label(ref call);
            a.call(Upper + Callee);
            a.dec(esi);
            a.jnz(call);
            a.inc(rbx);
            s_changes[change](a);
            a.jmp(round);
        }, Upper + GuestHarness.Code, GuestHarness.Code);
        foreach ((ulong frame, int value) in (ReadOnlySpan<(ulong, int)>)[(Callee, 1), (OtherFrame, 0x1000)])
        {
            guest.Assemble(a =>
            {
                a.add(r15, value);
                a.ret();
            }, Upper + Callee, frame);
        }
        // A callee that cannot be fetched: the handler returns to the caller.
        guest.Gate(14, GuestHarness.Handlers, ist: 1);
        guest.Write64(GuestHarness.Tss + 0x24, GuestHarness.Stack + 0x6000);
        guest.Assemble(a =>
        {
            a.add(rsp, 8);
            a.inc(r14);
            a.mov(rax, __[rsp + 24]);
            a.mov(rax, __[rax]);
            a.mov(__[rsp], rax);
            a.add(__qword_ptr[rsp + 24], 8);
            a.iretq();
        }, GuestHarness.Handlers);
        CpuState* s = guest.State;
        s->Cr4 |= 0x80; // PGE
        s->Rip = Upper + GuestHarness.Code;
        guest.Vcpu.Mmu.FlushAll();
        return guest;
    }
}
