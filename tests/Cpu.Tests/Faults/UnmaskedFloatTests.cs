using FtAkka.Cpu.Tests.Engine;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.Cpu.Tests.Faults;

/// <summary>What an unmasked x87 or SIMD exception leaves behind (Intel SDM vol. 1, 8.5 and 11.5).</summary>
public sealed unsafe class UnmaskedFloatTests
{
    private const uint Invalid = 1, Denormal = 2, ZeroDivide = 4, Overflow = 8, Underflow = 16, Precision = 32, All = 63;
    private const ulong Data = GuestHarness.Data, Control = Data + 64;
    private const uint One = 0x3F80_0000, Tiny = 0x0080_0000, Half = 0x3F00_0000, Three = 0x4040_0000, Signalling = 0x7FA0_0000, Subnormal = 1, Huge = 0x7F7F_FFFF;

    [Theory]
    // unmasked, lanes of the two operands, flags raised, whether #XM comes
    [InlineData(ZeroDivide, One, 0, ZeroDivide, true)]
    [InlineData(Invalid, One, 0, ZeroDivide, false)]
    [InlineData(Invalid, Signalling, One, Invalid, true)]
    [InlineData(Denormal, Subnormal, One, Denormal, true)]
    [InlineData(Overflow, Huge, Tiny, Overflow | Precision, true)]
    [InlineData(Precision, One, Three, Precision, true)]
    [InlineData(Underflow, One, Three, Precision, false)]
    [InlineData(All & ~Precision, One, Three, Precision, false)]
    [InlineData(ZeroDivide, Subnormal, 0, ZeroDivide, true)] // the division by zero hides the denormal
    public void Divps_keeps_its_destination_and_reports(uint unmasked, uint dividend, uint divisor, uint flags, bool faults)
    {
        using var guest = new GuestHarness();
        guest.HaltOnExceptions();
        guest.Write64(Data, dividend | ((ulong)One << 32));
        guest.Write64(Data + 8, ((ulong)One << 32) | One);
        guest.Write64(Data + 16, divisor | ((ulong)One << 32));
        guest.Write64(Data + 24, ((ulong)One << 32) | One);
        guest.Write64(Control, (All & ~unmasked) << 7);
        guest.Assemble(a =>
        {
            a.mov(ebx, (uint)Data);
            a.ldmxcsr(__dword_ptr[rbx + 64]);
            a.movaps(xmm1, __[rbx]);
            a.divps(xmm1, __[rbx + 16]);
            a.hlt();
        });

        Assert.Equal(VcpuExitReason.Halted, guest.Vcpu.Run(100));

        Assert.Equal(faults ? GuestHarness.Handlers + (19 * 16) + 1 : GuestHarness.Code + 17, guest.State->Rip);
        Assert.Equal(flags, guest.State->Mxcsr & All);
        Assert.Equal((All & ~unmasked) << 7, guest.State->Mxcsr & 0x1F80);
        Assert.Equal(faults, *(uint*)(guest.State->Vector + 32) == dividend);
        Assert.Equal(faults ? 4UL : 5UL, guest.Vcpu.Icount);
    }

    [Fact]
    public void Exact_tiny_result_is_an_underflow_only_when_unmasked()
    {
        foreach (bool unmask in (bool[])[false, true])
        {
            using var guest = new GuestHarness();
            guest.HaltOnExceptions();
            guest.Write64(Data, Tiny | ((ulong)Half << 32));
            guest.Write64(Control, ((unmask ? All & ~Underflow : All) << 7) | 0x40); // DAZ has no part in it
            guest.Assemble(a =>
            {
                a.mov(ebx, (uint)Data);
                a.ldmxcsr(__dword_ptr[rbx + 64]);
                a.movss(xmm1, __dword_ptr[rbx]);
                a.mulss(xmm1, __dword_ptr[rbx + 4]);
                a.hlt();
            });

            Assert.Equal(VcpuExitReason.Halted, guest.Vcpu.Run(100));

            Assert.Equal(unmask ? GuestHarness.Handlers + (19 * 16) + 1 : guest.State->Rip, guest.State->Rip);
            Assert.Equal(unmask ? Underflow : 0, guest.State->Mxcsr & Underflow);
            Assert.Equal(unmask ? Tiny : 0x0040_0000, *(uint*)(guest.State->Vector + 32));
        }
    }

    /// <summary>Runs an x87 sequence with the given exceptions unmasked up to its HLT; the status word ends up in AX.</summary>
    private static GuestHarness RunX87(uint unmasked, Action<Assembler> program)
    {
        var guest = new GuestHarness();
        guest.HaltOnExceptions();
        guest.Write64(Control, 0x300 | (All & ~unmasked));
        guest.Assemble(a =>
        {
            a.mov(ebx, (uint)Data);
            a.fninit();
            a.fldcw(__word_ptr[rbx + 64]);
            program(a);
            a.fnstsw(ax);
            a.hlt();
        });
        Assert.Equal(VcpuExitReason.Halted, guest.Vcpu.Run(100));
        return guest;
    }

    private const ulong SummaryAndBusy = 0x8080;

    [Fact]
    public void Zero_divide_keeps_operands_and_stack()
    {
        using GuestHarness guest = RunX87(ZeroDivide, a =>
        {
            a.fld1();
            a.fldz();
            a.fdivp(st1, st0);
        });
        ulong status = guest.State->Gpr[0] & 0xFFFF;
        Assert.Equal(SummaryAndBusy | ZeroDivide, status & 0x80FF);
        Assert.Equal(6UL, status >> 11 & 7); // nothing popped
        Assert.Equal(0x3FFF, *(ushort*)(guest.State->Fx + 32 + 16 + 8)); // ST(1) is still 1
    }

    [Fact]
    public void Stack_overflow_does_not_push_and_sets_c1()
    {
        using GuestHarness guest = RunX87(Invalid, a =>
        {
            for (int i = 0; i < 9; i++)
            {
                a.fld1();
            }
        });
        ulong status = guest.State->Gpr[0] & 0xFFFF;
        Assert.Equal(SummaryAndBusy | Invalid | 0x40, status & 0x80FF);
        Assert.Equal(0x200UL, status & 0x200);
        Assert.Equal(0UL, status >> 11 & 7);
    }

    [Fact]
    public void Invalid_comparison_leaves_rflags_alone()
    {
        using GuestHarness guest = RunX87(Invalid, a =>
        {
            a.fld1();
            a.stc();
            a.fcomi(st0, st1); // ST(1) is empty
        });
        Assert.Equal(1UL, guest.State->Rflags & 0x45); // unordered would be ZF PF CF
        Assert.Equal(SummaryAndBusy | Invalid | 0x40, guest.State->Gpr[0] & 0x80FF);
    }

    [Fact]
    public void Store_of_what_does_not_fit_leaves_memory_and_stack()
    {
        using GuestHarness guest = RunX87(Invalid | Overflow, a =>
        {
            a.mov(__dword_ptr[rbx], 0x1234_5678);
            a.mov(__dword_ptr[rbx + 8], 0x7F00_0000);
            a.fld(__dword_ptr[rbx + 8]);
            a.fistp(__dword_ptr[rbx]);
        });
        Assert.Equal(0x1234_5678UL, guest.Read64(Data) & 0xFFFF_FFFF);
        Assert.Equal(7UL, guest.State->Gpr[0] >> 11 & 7);
        Assert.Equal(SummaryAndBusy | Invalid, guest.State->Gpr[0] & 0x80FF);
    }

    [Fact]
    public void Unmasked_precision_stores_the_result_and_masked_flags_stay_sticky()
    {
        using GuestHarness guest = RunX87(Precision, a =>
        {
            a.mov(__dword_ptr[rbx + 8], Three);
            a.fldz();
            a.fld1();
            a.fdiv(st0, st1); // masked: infinity and ZE
            a.fstp(st0);
            a.fld1();
            a.fdiv(__dword_ptr[rbx + 8]);
        });
        ulong status = guest.State->Gpr[0] & 0xFFFF;
        Assert.Equal(SummaryAndBusy | Precision | ZeroDivide, status & 0x80FF);
        Assert.Equal(0xAAAA_AAAA_AAAA_AAABUL, *(ulong*)(guest.State->Fx + 32));
    }

    [Fact]
    public void Fnclex_ends_the_pending_exception()
    {
        using GuestHarness guest = RunX87(ZeroDivide, a =>
        {
            a.fldz();
            a.fld1();
            a.fdiv(st0, st1);
            a.fnclex();
            a.fld1();
        });
        Assert.Equal(0UL, guest.State->Gpr[0] & 0x80FF);
        Assert.Equal(5UL, guest.State->Gpr[0] >> 11 & 7);
    }
}
