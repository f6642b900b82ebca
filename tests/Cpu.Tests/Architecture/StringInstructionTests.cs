using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.State;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Architecture;

public sealed unsafe class StringInstructionTests : IDisposable
{
    private const byte Rep = 0xF3, Repne = 0xF2;

    private readonly ArchitectureRig _rig = new();
    private CpuState* S => _rig.State;

    public void Dispose() => _rig.Dispose();

    private void Set(ulong source, ulong destination, ulong count)
    {
        S->Gpr[6] = source;
        S->Gpr[7] = destination;
        S->Gpr[1] = count;
    }

    [Fact]
    public void ZeroCountIsOneTickAndTouchesNothing()
    {
        Set(ArchitectureRig.Unmapped, ArchitectureRig.NonCanonical, 0);
        Assert.Equal(InstructionOutcome.Retired, _rig.RunBytes([Rep, 0xA4]));
        Assert.Equal((1ul, ArchitectureRig.Code + 2), (_rig.Ticks, S->Rip));
    }

    [Fact]
    public void BudgetStopsExactlyAndTheLastIterationRetires()
    {
        Set(ArchitectureRig.Data, ArchitectureRig.Data + 0x800, 100);
        Assert.Equal(InstructionOutcome.Partial, _rig.RunBytes([Rep, 0xA4], 60));
        Assert.Equal((60ul, 40ul, ArchitectureRig.Data + 60, ArchitectureRig.Code), (_rig.Ticks, S->Gpr[1], S->Gpr[6], S->Rip));
        Assert.Equal(InstructionOutcome.Retired, _rig.RunBytes([Rep, 0xA4], 40));
        Assert.Equal((40ul, 0ul, ArchitectureRig.Code + 2), (_rig.Ticks, S->Gpr[1], S->Rip));
    }

    [Fact]
    public void FaultComesAfterThePartialCopyAndKeepsRegisters()
    {
        // The second destination page is read-only.
        _rig.SetPage(0x41000, 0x41000 | 5);
        _rig.EnterUser();
        Set(0x44000, 0x40FF0, 10);
        Assert.Equal(InstructionOutcome.Partial, _rig.RunBytes([Rep, 0x48, 0xA5]));
        Assert.Equal((2ul, 8ul, 0x41000ul, 0x44010ul), (_rig.Ticks, S->Gpr[1], S->Gpr[7], S->Gpr[6]));
        _rig.AssertFault(_rig.RunBytes([Rep, 0x48, 0xA5]), Vector.PageFault, 7);
        Assert.Equal(0x41000ul, _rig.Context.Fault.Cr2);
        Assert.Equal((8ul, 0x41000ul, 0x44010ul), (S->Gpr[1], S->Gpr[7], S->Gpr[6]));
    }

    [Fact]
    public void SourceIsCheckedBeforeDestination()
    {
        Set(ArchitectureRig.Unmapped, ArchitectureRig.Unmapped + 0x1000, 1);
        _rig.AssertFault(_rig.RunBytes([0xA4]), Vector.PageFault, 0);
        Assert.Equal(ArchitectureRig.Unmapped, _rig.Context.Fault.Cr2);
    }

    [Fact]
    public void NarrowAddressesWrapAndZeroExtend()
    {
        // edi = FFFFFFFFh steps to 0; the linear address FFFFFFFFh is not mapped, so start at its successor.
        Set(0xABCD_0000_0000 | ArchitectureRig.Data, 0xABCD_0000_0000, 0xABCD_0000_0002);
        _rig.Write(ArchitectureRig.Data, 0x2211, 2);
        while (_rig.RunBytes([0x67, Rep, 0xA4]) == InstructionOutcome.Partial)
        {
        }
        Assert.Equal((2ul, ArchitectureRig.Data + 2, 0ul), (S->Gpr[7], S->Gpr[6], S->Gpr[1]));
        Assert.Equal(0x2211ul, _rig.Read(0, 2));
    }

    [Fact]
    public void SegmentOverrideMovesTheSourceOnly()
    {
        S->Gs.Base = 0x1000;
        _rig.Write(ArchitectureRig.Data + 0x1000, 0x77, 1);
        Set(ArchitectureRig.Data, ArchitectureRig.Data + 8, 0);
        Assert.Equal(InstructionOutcome.Retired, _rig.RunBytes([0x65, 0xA4]));
        Assert.Equal(0x77ul, _rig.Read(ArchitectureRig.Data + 8, 1));
    }

    [Fact]
    public void DeviceMemoryYieldsAfterEachIteration()
    {
        Set(ArchitectureRig.Data, ArchitectureRig.Mmio, 3);
        Assert.Equal(InstructionOutcome.Partial, _rig.RunBytes([Rep, 0xA5]));
        Assert.Equal((1ul, 2ul), (_rig.Ticks, S->Gpr[1]));
        Assert.Equal(["mw FEC00000 4 0"], _rig.Bus.Calls);
    }

    [Fact]
    public void DeviceIsNotReadWhenTheStoreFaults()
    {
        Set(ArchitectureRig.Mmio, ArchitectureRig.Unmapped, 1);
        _rig.AssertFault(_rig.RunBytes([Rep, 0xA5]), Vector.PageFault, 2);
        Assert.Empty(_rig.Bus.Calls);
        S->Gpr[2] = 0x60;
        _rig.AssertFault(_rig.RunBytes([0x6C]), Vector.PageFault, 2);
        Assert.Empty(_rig.Bus.Calls);
    }

    [Fact]
    public void StoresIntoTheInstructionsOwnPageAndIntoPageTablesYield()
    {
        Set(ArchitectureRig.Data, ArchitectureRig.Code + 0x100, 5);
        Assert.Equal(InstructionOutcome.Partial, _rig.RunBytes([Rep, 0xAA]));
        Assert.Equal(1ul, _rig.Ticks);

        // The page table of the data page itself: the first store unmaps the rest of the run's source.
        Set(ArchitectureRig.Data, 0x4000 + (0x41 * 8), 2);
        S->Gpr[0] = 0;
        Assert.True(_rig.Mmu.Read(0x41000, 1, user: false, out _));
        Assert.Equal(InstructionOutcome.Partial, _rig.RunBytes([Rep, 0x48, 0xAB]));
        Assert.Equal(1ul, _rig.Ticks);
        Assert.False(_rig.Mmu.Read(0x41000, 1, user: false, out _));
    }

    [Fact]
    public void InterruptShadowAllowsOneIterationOnly()
    {
        S->InterruptShadow = Shadow.Sti;
        Set(ArchitectureRig.Data, ArchitectureRig.Data + 0x100, 5);
        Assert.Equal(InstructionOutcome.Partial, _rig.RunBytes([Rep, 0xA4]));
        Assert.Equal((1ul, 0), (_rig.Ticks, S->InterruptShadow));
    }

    [Fact]
    public void ResumeFlagIsKeptBetweenIterationsOnlyForBreakpoints()
    {
        Set(ArchitectureRig.Data, ArchitectureRig.Data + 0x100, 5);
        _rig.RunBytes([Rep, 0xA4], 1);
        Assert.Equal(0ul, S->Rflags & Rflags.Resume);
        S->Dr7 |= 1;
        _rig.RunBytes([Rep, 0xA4], 1);
        Assert.Equal(Rflags.Resume, S->Rflags & Rflags.Resume);
        _rig.RunBytes([Rep, 0xA4], 3);
        Assert.Equal(0ul, S->Rflags & Rflags.Resume);
    }

    [Theory]
    [InlineData(0x80, 0x01, 1)]
    [InlineData(0x00, 0x01, 1)]
    [InlineData(0x7FFF, 0xFFFF, 2)]
    [InlineData(0x10, 0x01, 4)]
    [InlineData(0x8000000000000000, 1, 8)]
    [InlineData(5, 5, 8)]
    public void ComparisonFlagsAreThoseOfASubtraction(ulong left, ulong right, int size)
    {
        // The definition, bit by bit, in wide arithmetic.
        Int128 modulus = (Int128)1 << (size * 8), half = modulus / 2;
        Int128 difference = (Int128)left - right;
        Int128 result = ((difference % modulus) + modulus) % modulus;
        Int128 signed = ((Int128)left >= half ? left - modulus : left) - ((Int128)right >= half ? right - modulus : right);
        ulong expected = (difference < 0 ? Rflags.Carry : 0) | (result == 0 ? Rflags.Zero : 0) | (result >= half ? Rflags.Sign : 0)
            | (signed < -half || signed >= half ? Rflags.Overflow : 0) | ((left & 15) < (right & 15) ? Rflags.Adjust : 0);
        int ones = 0;
        for (int bit = 0; bit < 8; bit++)
            ones += (int)((ulong)result >> bit & 1);
        expected |= ones % 2 == 0 ? Rflags.Parity : 0;
        Assert.Equal(expected, StringInstructions.SubtractFlags(left, right, size));
    }

    /// <summary>Random runs against a byte-wise model, whole and cut into random budgets: equal memory (accessed and dirty bits included), registers, faults and tick counts.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void ChunkedEqualsUnchunkedEqualsModel(int seed)
    {
        for (int n = 0; n < 150; n++)
        {
            var plan = StringPlan.Create(new Random((seed * 1000) + n));
            string whole = plan.Execute(null, out StringModel model);
            string chunked = plan.Execute(new Random(n), out _);
            Assert.True(whole == chunked, $"seed {seed}, case {n}, {plan}: chunked differs\n{whole}\n{chunked}");
            string expected = plan.Predict(model);
            Assert.True(whole == expected, $"seed {seed}, case {n}, {plan}: model differs\n{whole}\n{expected}");
        }
    }
}
