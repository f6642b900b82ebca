using FtAkka.Cpu.Decoding;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.Cpu.Tests.Engine;

/// <summary>
/// Flags that the architecture leaves undefined are clear on every host (<see cref="CpuSemantics"/>), and nobody can tell how: every form of instruction that leaves
/// some, followed by every way to look at the flags, by what overwrites a part of them, and by what leaves a block, with the host's flags at random behind each.
/// </summary>
public sealed unsafe class UndefinedFlagsTests
{
    private const ulong Missing = 0xC0000, Device = 64UL << 20, Target = GuestHarness.Code + 0x1800, Entry = GuestHarness.Handlers + 0x1800;
    private const uint StatusFlags = 0x8D5, CarryAndOverflow = 0x801;
    private const uint AdjustAndOverflow = FlagEffects.Adjust | FlagEffects.Overflow, AllButCarryAndZero = FlagEffects.Status & ~(FlagEffects.Carry | FlagEffects.Zero);
    private const int Steps = 60;

    private static readonly (string Name, Action<Assembler> Emit)[] s_forms =
    [
        ("mul bl", a => a.mul(bl)),
        ("mul ah", a => a.mul(ah)),
        ("mul bx", a => a.mul(bx)),
        ("mul ebx", a => a.mul(ebx)),
        ("mul rbx", a => a.mul(rbx)),
        ("mul r13", a => a.mul(r13)),
        ("mul byte [rsi]", a => a.mul(__byte_ptr[rsi])),
        ("mul word [rsi]", a => a.mul(__word_ptr[rsi])),
        ("mul dword [rsi]", a => a.mul(__dword_ptr[rsi])),
        ("mul qword [rsi]", a => a.mul(__qword_ptr[rsi])),
        ("mul qword [page crossing]", a => a.mul(__qword_ptr[rsi + 0xFFC])),
        ("mul qword [device]", a => a.mul(__qword_ptr[rdi])),
        ("imul bl", a => a.imul(bl)),
        ("imul bh", a => a.imul(bh)),
        ("imul bx", a => a.imul(bx)),
        ("imul ebx", a => a.imul(ebx)),
        ("imul rbx", a => a.imul(rbx)),
        ("imul qword [rsi]", a => a.imul(__qword_ptr[rsi])),
        ("imul ax, bx", a => a.imul(ax, bx)),
        ("imul eax, ebx", a => a.imul(eax, ebx)),
        ("imul rax, rbx", a => a.imul(rax, rbx)),
        ("imul r12, r13", a => a.imul(r12, r13)),
        ("imul rax, [rsi]", a => a.imul(rax, __qword_ptr[rsi])),
        ("imul ax, bx, 7", a => a.imul(ax, bx, 7)),
        ("imul ax, bx, 700", a => a.imul(ax, bx, 700)),
        ("imul eax, ebx, 7", a => a.imul(eax, ebx, 7)),
        ("imul eax, ebx, 70000", a => a.imul(eax, ebx, 70000)),
        ("imul rax, rbx, 7", a => a.imul(rax, rbx, 7)),
        ("imul rax, [rsi], 70000", a => a.imul(rax, __qword_ptr[rsi], 70000)),
    ];

    /// <summary>The instructions that have undefined flags since number 2: which flags, and what is in RCX.</summary>
    private static readonly (string Name, Action<Assembler> Emit, uint Undefined, ulong Rcx)[] s_otherForms =
    [
        ("shl rax, 1", a => a.shl(rax, 1), FlagEffects.Adjust, 0),
        ("shl r13d, 5", a => a.shl(r13d, 5), AdjustAndOverflow, 0),
        ("shl bh, 9", a => a.shl(bh, 9), AdjustAndOverflow, 0),
        ("shr qword [rsi], 3", a => a.shr(__qword_ptr[rsi], 3), AdjustAndOverflow, 0),
        ("shr word [page crossing], 1", a => a.shr(__word_ptr[rsi + 0xFFF], 1), FlagEffects.Adjust, 0),
        ("sar dword [device], 3", a => a.sar(__dword_ptr[rdi], 3), AdjustAndOverflow, 0),
        ("sar bl, 1", a => a.sar(bl, 1), FlagEffects.Adjust, 0),
        ("shl rax, cl by 0", a => a.shl(rax, cl), 0, 64),
        ("shl rax, cl by 1", a => a.shl(rax, cl), FlagEffects.Adjust, 65),
        ("shl ecx, cl by 5", a => a.shl(ecx, cl), AdjustAndOverflow, 0x25),
        ("shr cl, cl by 3", a => a.shr(cl, cl), AdjustAndOverflow, 3),
        ("sar r12, cl by 33", a => a.sar(r12, cl), AdjustAndOverflow, 33),
        ("shr qword [rsi], cl by 1", a => a.shr(__qword_ptr[rsi], cl), FlagEffects.Adjust, 1),
        ("shr dword [device], cl by 7", a => a.shr(__dword_ptr[rdi], cl), AdjustAndOverflow, 7),
        ("rol rax, 3", a => a.rol(rax, 3), FlagEffects.Overflow, 0),
        ("ror bx, 1", a => a.ror(bx, 1), 0, 0),
        ("rcl al, 9", a => a.rcl(al, 9), FlagEffects.Overflow, 0),
        ("rcr qword [rsi], 2", a => a.rcr(__qword_ptr[rsi], 2), FlagEffects.Overflow, 0),
        ("rol ch, cl by 0", a => a.rol(ch, cl), 0, 32),
        ("ror rbx, cl by 1", a => a.ror(rbx, cl), 0, 1),
        ("rcl r13, cl by 2", a => a.rcl(r13, cl), FlagEffects.Overflow, 2),
        ("rcr cx, cl by 17", a => a.rcr(cx, cl), FlagEffects.Overflow, 17),
        ("shld rax, rbx, 1", a => a.shld(rax, rbx, 1), FlagEffects.Adjust, 0),
        ("shrd eax, ebx, 9", a => a.shrd(eax, ebx, 9), AdjustAndOverflow, 0),
        ("shld ax, bx, 16", a => a.shld(ax, bx, 16), AdjustAndOverflow, 0),
        ("shrd ax, bx, 20", a => a.shrd(ax, bx, 20), AdjustAndOverflow, 0),
        ("shld rax, rbx, cl by 1", a => a.shld(rax, rbx, cl), FlagEffects.Adjust, 1),
        ("shrd [rsi], rbx, cl by 6", a => a.shrd(__qword_ptr[rsi], rbx, cl), AdjustAndOverflow, 6),
        ("bsf rax, rbx", a => a.bsf(rax, rbx), FlagEffects.Status & ~FlagEffects.Zero, 0),
        ("bsr eax, [device]", a => a.bsr(eax, __dword_ptr[rdi]), FlagEffects.Status & ~FlagEffects.Zero, 0),
        ("lzcnt rax, r13", a => a.lzcnt(rax, r13), AllButCarryAndZero, 0),
        ("tzcnt r12d, [rsi]", a => a.tzcnt(r12d, __dword_ptr[rsi]), AllButCarryAndZero, 0),
        ("andn rax, rbx, r13", a => a.andn(rax, rbx, r13), FlagEffects.Adjust | FlagEffects.Parity, 0),
        ("blsr rax, [rsi]", a => a.blsr(rax, __qword_ptr[rsi]), FlagEffects.Adjust | FlagEffects.Parity, 0),
        ("bextr rax, rbx, r13", a => a.bextr(rax, rbx, r13), FlagEffects.Adjust | FlagEffects.Parity | FlagEffects.Sign, 0),
        ("div r9", a => a.div(r9), FlagEffects.Status & ~FlagEffects.BehindDivision, 0),
        ("idiv dword [rsi]", a => a.idiv(__dword_ptr[rsi]), FlagEffects.Status & ~FlagEffects.BehindDivision, 0),
        ("div r9b", a => a.div(r9b), FlagEffects.Status & ~FlagEffects.BehindDivision, 0),
        ("shl and mul", a => { a.shl(rax, 3); a.imul(rbx, rax); }, 0, 0),
        ("mul and ror", a => { a.imul(rbx, rax); a.ror(rbx, 3); }, 0, 0),
        ("bsf and bt", a => { a.bsf(rax, rbx); a.bt(rbx, 3); }, 0, 0),
        ("shr by cl and shl", a => { a.shr(rbx, cl); a.mov(r8, rbx); a.shl(r8, 4); }, 0, 3),
        ("ror by cl and add", a => { a.ror(rbx, cl); a.lea(r8, __[rbx + 5]); a.add(r8, 4); }, 0, 1),
    ];

    private static readonly SortedDictionary<string, Action<Assembler>> s_followers = new(StringComparer.Ordinal)
    {
        ["pushfq"] = a => a.pushfq(),
        ["lahf"] = a => a.lahf(),
        ["setz"] = a => a.sete(r8b),
        ["sets"] = a => a.sets(r8b),
        ["setp"] = a => a.setp(r8b),
        ["seto, then pushfq"] = a => { a.seto(r8b); a.pushfq(); },
        ["cmovo, then lahf"] = a => { a.cmovo(r8, r9); a.lahf(); },
        ["cmovbe"] = a => a.cmovbe(r8, r9),
        ["jz"] = a => { a.je(Target); a.jmp(Target); },
        ["jo"] = a => { a.jo(Target); a.jmp(Target); },
        ["jmp"] = a => a.jmp(Target),
        ["jmp r10"] = a => a.jmp(r10),
        ["call"] = a => a.call(Target),
        ["call r10"] = a => a.call(r10),
        ["ret"] = a => a.ret(),
        ["jrcxz"] = a => { a.jrcxz(Target); a.jmp(Target); },
        ["loope"] = a => { a.loope(Target); a.jmp(Target); },
        ["adc"] = a => a.adc(r8, r9),
        ["inc"] = a => a.inc(r8),
        ["and"] = a => a.and(r8, r9),
        ["add to memory"] = a => a.add(__qword_ptr[rsi], r9),
        ["add to a missing page"] = a => a.add(__qword_ptr[Missing], r9),
        ["imul again"] = a => a.imul(r8, r9),
        ["mulx"] = a => a.mulx(r8, r9, rax),
        ["rol"] = a => a.rol(r8, 3),
        ["rcl"] = a => a.rcl(r8, 1),
        // A whole turn of carry and operand: documentation says that no flag changes, and some hosts change OF.
        ["rcl by a whole turn"] = a => a.rcl(r8b, 9),
        ["rcr by a whole turn"] = a => a.rcr(r8w, 17),
        ["rcr by three whole turns"] = a => a.rcr(r8b, 27),
        ["rcl of memory by a whole turn"] = a => a.rcl(__byte_ptr[rsi], 9),
        ["rol by a whole turn"] = a => a.rol(r8b, 8),
        ["shld by 0"] = a => a.shld(r8, r9, 64),
        ["shld by 3"] = a => a.shld(r8, r9, 3),
        ["shrd by cl"] = a => a.shrd(r8, r9, cl),
        ["cmpxchg16b"] = a => a.cmpxchg16b(__xmmword_ptr[rsi]),
        ["fcmovb"] = a => { a.fldz(); a.fld1(); a.fcmovb(st0, st1); },
        ["fcmovu"] = a => { a.fldz(); a.fld1(); a.fcmovu(st0, st1); },
        ["ptest"] = a => a.ptest(xmm0, xmm1),
        ["pcmpistri"] = a => a.pcmpistri(xmm0, xmm1, 0),
        ["tzcnt"] = a => a.tzcnt(r8, r9),
        ["blsr"] = a => a.blsr(r8, r9),
        ["bt"] = a => a.bt(r8, r9),
        ["bsf of zero"] = a => a.bsf(r8, r11),
        ["popcnt"] = a => a.popcnt(r8, r9),
        ["shl by cl"] = a => a.shl(r8, cl),
        ["shl by 0"] = a => a.shl(r8, 0),
        ["shl by 32 of 32 bits"] = a => a.shl(r8d, 32),
        ["shr by 1"] = a => a.shr(r8, 1),
        ["sar by 3"] = a => a.sar(r8, 3),
        ["clc"] = a => a.clc(),
        ["stc, then pushfq"] = a => { a.stc(); a.pushfq(); },
        ["cmc"] = a => a.cmc(),
        ["std"] = a => { a.std(); a.cld(); },
        ["sahf"] = a => a.sahf(),
        ["cmpxchg8b"] = a => a.cmpxchg8b(__qword_ptr[rsi]),
        ["cmpxchg"] = a => a.cmpxchg(__qword_ptr[rsi], r9),
        ["adcx"] = a => a.adcx(r8, r9),
        ["ucomisd"] = a => a.ucomisd(xmm0, xmm1),
        ["fcomi"] = a => { a.fldz(); a.fldz(); a.fcomip(st0, st1); },
        ["load"] = a => a.mov(r8, __[rsi]),
        ["load across pages"] = a => a.mov(r8, __[rsi + 0xFFD]),
        ["load from a device"] = a => a.mov(r8, __[rdi]),
        ["load from a missing page"] = a => a.mov(r8, __[Missing]),
        ["store to a missing page"] = a => a.mov(__[Missing], r8),
        ["store into the own block"] = StoreIntoOwnBlock,
        ["push"] = a => a.push(r8),
        ["push of a missing page"] = a => a.push(__qword_ptr[Missing]),
        ["misaligned vector load"] = a => a.movaps(xmm0, __[rsi + 1]),
        ["div by zero"] = a => a.div(r11),
        ["div"] = a => { a.xor(edx, edx); a.imul(r8, r9); a.div(r9); a.pushfq(); },
        ["cpuid"] = a => a.cpuid(),
        ["ud2"] = a => a.ud2(),
        ["int3"] = a => a.int3(),
        ["cli, sti"] = a => { a.cli(); a.sti(); a.nop(); a.cli(); },
        ["popfq"] = a => a.popfq(),
        ["rep stosb"] = a => { a.mov(rdi, rsi); a.rep.stosb(); },
        ["repe cmpsb of nothing"] = a => { a.xor(ecx, ecx); a.imul(r8, r9); a.repe.cmpsb(); },
        ["syscall"] = a => a.syscall(),
        ["many moves"] = a => { for (int i = 0; i < 70; i++) { a.mov(r8, r9); } },
    };

    /// <summary>The byte stored is the immediate operand of the next instruction: the block is dropped while the flags of its multiplication are not made.</summary>
    private static void StoreIntoOwnBlock(Assembler a)
    {
        const byte movBlImmediate = 0xB3;
        Label immediate = a.CreateLabel();
        a.mov(__byte_ptr[immediate], al);
        a.db(movBlImmediate);
        a.Label(ref immediate);
        a.db(0);
    }

    public static TheoryData<string> Followers => [.. s_followers.Keys];

    [Theory]
    [MemberData(nameof(Followers))]
    public void Nobody_can_tell_when_the_flags_are_made(string follower)
    {
        foreach ((string name, Action<Assembler> form) in s_forms)
        {
            foreach (ulong factor in (ulong[])[3, 0xFFFF_FFFF_FFFF_FFFD])
            {
                foreach (int semantics in (int[])[CpuSemantics.Current, CpuSemantics.MultiplyClearsFlags, CpuSemantics.MultiplyKeepsFlags])
                {
                    if (semantics != CpuSemantics.Current && factor != 3)
                    {
                        continue;
                    }
                    Dictionary<ulong, byte[]> expected = States(form, s_followers[follower], factor, semantics);
                    for (int seed = 1; seed <= 3; seed++)
                    {
                        AssertEqual(expected, form, s_followers[follower], factor, semantics, seed,
                            $"semantics {semantics}, {name}, {follower}, factor {factor:x}, seed {seed}");
                    }
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Followers))]
    public void Nobody_can_tell_when_the_flags_of_other_instructions_are_made(string follower)
    {
        const ulong factor = 0xB;
        foreach ((string name, Action<Assembler> form, uint undefined, ulong rcx) in s_otherForms)
        {
            Dictionary<ulong, byte[]> expected = States(form, s_followers[follower], factor, CpuSemantics.Current, rcx, undefined);
            for (int seed = 1; seed <= 3; seed++)
            {
                AssertEqual(expected, form, s_followers[follower], factor, CpuSemantics.Current, seed, $"{name}, {follower}, seed {seed}", rcx);
            }
        }
    }

    /// <summary>The state at each icount when instructions run one at a time; where a multiplication has just run, its flags are as they are defined.</summary>
    private static Dictionary<ulong, byte[]> States(
        Action<Assembler> form, Action<Assembler> follower, ulong factor, int semantics, ulong rcx = 0, uint undefined = FlagEffects.UndefinedByMultiply)
    {
        using GuestHarness guest = Start(form, follower, factor, new VcpuOptions { CodeCacheBytes = 1 << 20, Semantics = semantics }, rcx);
        var states = new Dictionary<ulong, byte[]>();
        while (guest.Vcpu.Icount < Steps && guest.Vcpu.Run(1) == VcpuExitReason.BudgetSpent)
        {
            states[guest.Vcpu.Icount] = StateOf(guest);
            if (guest.Vcpu.Icount == 3 && semantics != CpuSemantics.MultiplyKeepsFlags)
            {
                Assert.True((guest.State->Rflags & undefined) == 0, $"flags {guest.State->Rflags:x}, undefined {undefined:x}");
            }
        }
        Assert.True(states.Count >= 4);
        return states;
    }

    private static void AssertEqual(
        Dictionary<ulong, byte[]> expected, Action<Assembler> form, Action<Assembler> follower, ulong factor, int semantics, int seed, string what, ulong rcx = 0)
    {
        var random = new Random(seed);
        var options = new VcpuOptions
        {
            CodeCacheBytes = 1 << 20,
            MaxBlockInstructions = seed == 1 ? 64 : random.Next(1, 65),
            Semantics = semantics,
            // The first run is as users have it; another's host is random.
            FlagNoiseSeed = seed == 1 ? 0 : (ulong)random.NextInt64(1, long.MaxValue),
        };
        using GuestHarness guest = Start(form, follower, factor, options, rcx);
        VcpuExitReason exit;
        do
        {
            // The first run has room for whole blocks from the start.
            exit = guest.Vcpu.Run(seed == 1 && guest.Vcpu.Icount == 0 ? 5UL : (ulong)random.Next(2, 12));
            // Behind the last run too, which ends in a handler's HLT: its frame has the flags.
            if (expected.TryGetValue(guest.Vcpu.Icount, out byte[]? state))
            {
                Assert.True(state.AsSpan().SequenceEqual(StateOf(guest)), $"{what}: another state at {guest.Vcpu.Icount}, flags {guest.State->Rflags:x}");
            }
        }
        while (exit == VcpuExitReason.BudgetSpent && guest.Vcpu.Icount < Steps);
    }

    private static byte[] StateOf(GuestHarness guest)
    {
        const int stackBytes = 128;
        byte[] state = new byte[Vcpu.StateBytes + stackBytes];
        guest.Vcpu.SaveState(state.AsSpan(0, Vcpu.StateBytes));
        Assert.True(guest.Memory.TryRead(GuestHarness.Stack - stackBytes, state.AsSpan(Vcpu.StateBytes)));
        return state;
    }

    /// <summary>All flags set, the multiplication third, then the follower; every exception stores its frame and goes on behind.</summary>
    private static GuestHarness Start(Action<Assembler> form, Action<Assembler> follower, ulong factor, VcpuOptions options, ulong rcx = 0)
    {
        var guest = new GuestHarness(2 << 20, options);
        guest.HaltOnExceptions();
        guest.Write64(GuestHarness.PageTable + (8 * (Missing >> 12)), 0);
        guest.Write64(GuestHarness.Data, factor);
        guest.Write64(GuestHarness.Data + 0xFFC, factor);
        guest.Write64(GuestHarness.Stack, Target);
        guest.Assemble(a =>
        {
            a.mov(r8d, 5);
            a.add(r8b, 0x7F); // some flags; the multiplication's own are set by the initial state
            form(a);
            follower(a);
            a.jmp(Target);
        });
        guest.Assemble(a =>
        {
            a.pushfq();
            a.hlt();
        }, Target);
        guest.Assemble(a =>
        {
            a.push(r11);
            a.hlt();
        }, Entry);
        var s = guest.State;
        s->Lstar = Entry;
        s->Star = (0x18UL << 48) | (0x10UL << 32);
        s->Gpr[0] = factor;
        s->Gpr[1] = rcx; // if 0, a shift by CL does nothing, and JRCXZ jumps
        s->Gpr[3] = factor;
        s->Gpr[6] = GuestHarness.Data;
        s->Gpr[7] = Device;
        s->Gpr[9] = 7;
        s->Gpr[10] = Target;
        s->Gpr[12] = s->Gpr[13] = factor;
        s->Rflags = 2 | StatusFlags;
        guest.Vcpu.Mmu.FlushAll();
        return guest;
    }

    /// <summary>A debugger that stops between the multiplication and what overwrites its flags.</summary>
    [Fact]
    public void A_breakpoint_behind_a_multiplication_shows_the_flags_as_they_are()
    {
        using GuestHarness guest = Start(a => a.mul(rbx), a => a.nop(), 3, new VcpuOptions { FlagNoiseSeed = 1 });
        guest.Assemble(a =>
        {
            a.mul(rbx);
            a.mov(r8, r9);
            a.add(r8, r9);
            a.hlt();
        });
        guest.Vcpu.SetHostStops(new HashSet<ulong> { GuestHarness.Code + 6 }, []);
        Assert.Equal(VcpuExitReason.Debug, guest.Vcpu.Run(100));
        Assert.Equal((GuestHarness.Code + 6, 2UL), (guest.Vcpu.Rip, guest.Vcpu.ReadRegisters().Rflags));
    }

    /// <summary>The old rule, under which recordings without a number were made: the flags are what they were, whatever the host does.</summary>
    [Fact]
    public void Under_semantics_0_a_multiplication_leaves_the_flags_as_they_were()
    {
        foreach ((string name, Action<Assembler> form) in s_forms)
        {
            for (uint flags = 0; flags <= FlagEffects.UndefinedByMultiply; flags++)
            {
                if ((flags & ~FlagEffects.UndefinedByMultiply) != 0)
                {
                    continue;
                }
                var options = new VcpuOptions { CodeCacheBytes = 1 << 20, Semantics = CpuSemantics.MultiplyKeepsFlags, FlagNoiseSeed = flags + 1 };
                using GuestHarness guest = Start(form, a => a.nop(), 3, options);
                guest.Assemble(a =>
                {
                    a.nop();
                    form(a);
                    a.hlt();
                });
                guest.State->Rflags = 2 | flags;
                Assert.Equal(VcpuExitReason.BudgetSpent, guest.Vcpu.Run(2));
                Assert.True((guest.State->Rflags & FlagEffects.UndefinedByMultiply) == flags, $"{name}: {flags:x} became {guest.State->Rflags:x}");
            }
        }
    }

    /// <summary>A product of 6 or 9, without overflow, and one that needs more than the low half.</summary>
    [Theory]
    [InlineData(3UL, 0u)]
    [InlineData(0x1_0000_0001UL, CarryAndOverflow)]
    public void Carry_and_overflow_say_whether_the_product_needs_its_upper_half(ulong factor, uint flags)
    {
        using GuestHarness guest = Start(a => a.mul(rbx), a => a.pushfq(), factor, new VcpuOptions { FlagNoiseSeed = 1 });
        guest.Assemble(a =>
        {
            a.mul(rbx);
            a.mul(rbx);
            a.pushfq();
            a.hlt();
        });
        guest.Vcpu.Run(4);
        Assert.Equal(flags | 2, guest.Read64(GuestHarness.Stack - 8));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(CpuSemantics.Current + 1)]
    public void A_number_that_does_not_exist_is_refused(int semantics) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new GuestHarness(options: new VcpuOptions { Semantics = semantics }));
}
