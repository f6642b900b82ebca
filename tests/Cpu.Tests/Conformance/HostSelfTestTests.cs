using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Verification;
using Xunit.Abstractions;

namespace FtAkka.Cpu.Tests.Conformance;

/// <summary>The look at what is left to the host: it passes here, and each of its facts can fail.</summary>
public sealed class HostSelfTestTests(ITestOutputHelper output)
{
    [Fact]
    public void This_host_is_as_all_known_ones()
    {
        long start = System.Diagnostics.Stopwatch.GetTimestamp();
        Assert.Null(HostSelfTest.FindDeviation());
        output.WriteLine($"{HostSelfTest.Count} facts in {System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalMilliseconds:f1} ms, JIT included");
        Assert.Null(CpuModel.WhyNotHere(CpuModel.V1Name));
    }

    /// <summary>A host that does the opposite of each fact's outcome: all flags, general registers, vectors, MXCSR, conditions and stack values are others.</summary>
    [Fact]
    public void Every_fact_finds_a_host_that_does_otherwise()
    {
        IReadOnlyList<string> found = HostSelfTest.DeviationsWith(state =>
        {
            state.Rflags ^= MachineState.FlagMask;
            state.Mxcsr ^= 0x3F;
            state.Fsw ^= 0x4700;
            for (int i = 0; i < 16; i++)
            {
                state.Gpr[i] ^= 1UL << 40;
                state.Xmm(i)[0] ^= 1;
            }
        });
        Assert.Equal(HostSelfTest.Count, found.Count);
        Assert.Contains(found, name => name.StartsWith("BSF of zero", StringComparison.Ordinal));
    }

    /// <summary>One thing at a time: what is named is the instruction that deviates.</summary>
    [Fact]
    public void A_deviation_is_named_by_its_instruction()
    {
        IReadOnlyList<string> adjust = HostSelfTest.DeviationsWith(state => state.Rflags |= 0x10);
        Assert.Contains("AND: AF is clear", adjust);
        Assert.DoesNotContain(adjust, name => name.StartsWith("ADDPS", StringComparison.Ordinal));
        IReadOnlyList<string> nans = HostSelfTest.DeviationsWith(state => state.Xmm(0)[0] = 9);
        Assert.Contains("HADDPS: of two NaNs the lower", nans);
        Assert.DoesNotContain("AND: AF is clear", nans);
    }
}
