using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Tests.Conformance;
using FtAkka.Cpu.Tests.Engine;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.Cpu.Tests.Architecture;

/// <summary>Results that the architecture leaves open and C# computes: golden values, which never change under one number, and their faults.</summary>
public sealed unsafe class DefinedResultsTests
{
    [Theory]
    [InlineData(0x3F800000u, 0x3F7FF000u)] // 1
    [InlineData(0xBF800000u, 0xBF7FF000u)] // -1
    [InlineData(0x40000000u, 0x3EFFF000u)] // 2
    [InlineData(0x40490FDBu, 0x3EA30000u)] // pi
    [InlineData(0x7EFFFFFFu, 0x00000000u)] // would be denormal
    [InlineData(0xFF7FFFFFu, 0x80000000u)]
    [InlineData(0x7E7FFFFFu, 0x00800800u)] // the least that is not
    [InlineData(0x00000000u, 0x7F800000u)]
    [InlineData(0x807FFFFFu, 0xFF800000u)] // denormal
    [InlineData(0x7F800000u, 0x00000000u)]
    [InlineData(0xFF800000u, 0x80000000u)]
    [InlineData(0x7F800001u, 0x7FC00001u)] // a signalling NaN
    [InlineData(0xFFC12345u, 0xFFC12345u)]
    public void Reciprocal(uint operand, uint expected) => Assert.Equal($"{expected:x8}", $"{ReciprocalEstimates.Of(operand):x8}");

    [Theory]
    [InlineData(0x3F800000u, 0x3F7FF000u)] // 1
    [InlineData(0x40000000u, 0x3F34F800u)] // 2
    [InlineData(0x40800000u, 0x3EFFF000u)] // 4
    [InlineData(0x00800000u, 0x5EFFF000u)] // the least normal number
    [InlineData(0x7F7FFFFFu, 0x1F800800u)]
    [InlineData(0x80000000u, 0xFF800000u)]
    [InlineData(0x00000001u, 0x7F800000u)] // denormal
    [InlineData(0x80000001u, 0xFF800000u)]
    [InlineData(0xBF800000u, 0xFFC00000u)] // -1
    [InlineData(0xFF800000u, 0xFFC00000u)]
    [InlineData(0x7F800000u, 0x00000000u)]
    [InlineData(0xFF800001u, 0xFFC00001u)]
    public void Reciprocal_of_the_square_root(uint operand, uint expected) => Assert.Equal($"{expected:x8}", $"{ReciprocalEstimates.OfSquareRoot(operand):x8}");

    /// <summary>The architecture's promise, and the same values by floating point.</summary>
    [Fact]
    public void Estimates_are_as_close_as_the_architecture_promises()
    {
        const double bound = 1.5 / 4096;
        for (uint step = 0; step < 1 << 22; step++)
        {
            uint bits = 0x0080_0000 + (step * 509); // all exponents up to 255, odd so that all fractions turn up
            Assert.Equal(OpenResults.ReciprocalEstimate(bits), ReciprocalEstimates.Of(bits));
            Assert.Equal(OpenResults.RootEstimate(bits), ReciprocalEstimates.OfSquareRoot(bits));
            double value = BitConverter.UInt32BitsToSingle(bits);
            if (double.IsFinite(value) && bits < 0x7E80_0000)
            {
                double error = Math.Abs((BitConverter.UInt32BitsToSingle(ReciprocalEstimates.Of(bits)) * value) - 1);
                double rootError = Math.Abs((BitConverter.UInt32BitsToSingle(ReciprocalEstimates.OfSquareRoot(bits)) * Math.Sqrt(value)) - 1);
                Assert.True(error <= bound && rootError <= bound, $"{bits:x8}: {error}, {rootError}");
            }
        }
    }

    /// <summary>By more than 16: the row of destination, source, destination. CF is the last bit out, AF and OF are clear.</summary>
    [Theory]
    [InlineData(16, 0xABCDu, 0xABCDu)]
    [InlineData(17, 0x579Au, 0x55E6u)]
    [InlineData(20, 0xBCD1u, 0x4ABCu)]
    [InlineData(31, 0x891Au, 0x2469u)]
    public void Double_shifts_of_16_bits(int count, uint left, uint right)
    {
        foreach (bool byConstant in (bool[])[false, true])
        {
            using var guest = new GuestHarness();
            guest.Assemble(a =>
            {
                a.mov(eax, 0x1234);
                a.mov(r12d, 0x1234);
                a.mov(ebx, 0xABCD);
                a.mov(ecx, count);
                if (byConstant)
                {
                    a.shld(ax, bx, (byte)count);
                    a.shrd(r12w, bx, (byte)count);
                }
                else
                {
                    a.shld(ax, bx, cl);
                    a.shrd(r12w, bx, cl);
                }
                a.hlt();
            });
            guest.Vcpu.Run(100);
            Assert.Equal((left, right), ((uint)guest.State->Gpr[0], (uint)guest.State->Gpr[12]));
            Assert.Equal(0UL, guest.State->Rflags & 0x810);
        }
    }

    [Fact]
    public void Bsf_and_bsr_of_32_bits_clear_the_upper_half_and_bswap_of_16_bits_its_word()
    {
        using var guest = new GuestHarness();
        guest.Assemble(a =>
        {
            a.xor(ebx, ebx);
            a.bsf(eax, ebx);
            a.bsr(r13d, ebx);
            a.db(0x66, 0x0F, 0xCA); // bswap dx
            a.db(0x66, 0x41, 0x0F, 0xCE); // bswap r14w
            a.hlt();
        });
        guest.State->Gpr[0] = guest.State->Gpr[13] = guest.State->Gpr[2] = guest.State->Gpr[14] = 0x1122_3344_5566_7788;
        guest.Vcpu.Run(100);
        Assert.Equal((0x5566_7788UL, 0x5566_7788UL), (guest.State->Gpr[0], guest.State->Gpr[13]));
        Assert.Equal((0x1122_3344_5566_0000UL, 0x1122_3344_5566_0000UL), (guest.State->Gpr[2], guest.State->Gpr[14]));
    }

    /// <summary>
    /// 66 63 with two bytes of RAM left: AMD's CPUs read four, and behind guest RAM is memory of the process, or none. The process must not end, and nothing but the
    /// two bytes may count.
    /// </summary>
    [Fact]
    public void Movsxd_of_16_bits_reads_two_bytes_at_the_end_of_ram()
    {
        using var guest = new GuestHarness(2 << 20);
        ulong end = 2UL << 20;
        guest.Write64(end - 8, 0xBEEF_0000_0000_0000);
        guest.Assemble(a =>
        {
            a.db(0x66, 0x63, 0x03); // movsxd ax, [rbx]
            a.db(0x66, 0x44, 0x63, 0x23); // movsxd r12w, [rbx]
            a.hlt();
        });
        guest.State->Gpr[0] = guest.State->Gpr[12] = 0x1122_3344_5566_7788;
        guest.State->Gpr[3] = end - 2;
        Assert.Equal(VcpuExitReason.Halted, guest.Vcpu.Run(100));
        Assert.Equal((0x1122_3344_5566_BEEFUL, 0x1122_3344_5566_BEEFUL), (guest.State->Gpr[0], guest.State->Gpr[12]));
        Assert.Equal(3UL, guest.Vcpu.Icount);
    }

    /// <summary>Behind a division, whoever makes it: ZF and PF set, the rest clear.</summary>
    [Fact]
    public void Flags_behind_a_division_do_not_tell_who_divided()
    {
        foreach ((ulong high, ulong noise) in new (ulong, ulong)[] { (0, 0), (0, 5), (1, 0) })
        {
            using var guest = new GuestHarness(options: new VcpuOptions { FlagNoiseSeed = noise });
            guest.Assemble(a =>
            {
                a.div(rbx);
                a.hlt();
            });
            guest.State->Gpr[0] = 100;
            guest.State->Gpr[2] = high; // not 0: C# divides
            guest.State->Gpr[3] = 7;
            guest.State->Rflags = 2 | 0x891;
            guest.Vcpu.Run(1);
            Assert.Equal(2UL | 0x44, guest.State->Rflags);
        }
    }
}
