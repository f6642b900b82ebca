using System.Globalization;
using System.Text;
using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Tests.Architecture;

public sealed class CpuModelTests
{
    /// <summary>Everything CPUID says is pinned: a recording made with a model must replay with it for ever.</summary>
    [Fact]
    public void AnswersAreThoseOfTheGoldenFile()
    {
        var text = new StringBuilder();
        uint[] leaves = [.. Enumerable.Range(0, 0x18).Select(leaf => (uint)leaf), 0x40000000, 0x40000001, 0x40000100, .. Enumerable.Range(0, 10).Select(leaf => 0x80000000u + (uint)leaf)];
        foreach (uint leaf in leaves)
        {
            int subleaves = leaf is 4 or 7 or 0xB or 0xD ? 5 : 1;
            for (uint subleaf = 0; subleaf < subleaves; subleaf++)
            {
                CpuidLeaf answer = CpuModel.Default.Cpuid(leaf, subleaf);
                text.Append(CultureInfo.InvariantCulture, $"{leaf:X8}.{subleaf}: {answer.Eax:X8} {answer.Ebx:X8} {answer.Ecx:X8} {answer.Edx:X8}\n");
            }
        }
        string golden = Path.Combine(FindRepository(), "tests", "Cpu.Tests", "Architecture", "CpuModel.golden.txt");
        Assert.Equal(File.ReadAllText(golden), text.ToString());
    }

    private static string FindRepository()
    {
        string? directory = AppContext.BaseDirectory;
        while (directory is not null && !File.Exists(Path.Combine(directory, "FtAkka.sln")))
            directory = Path.GetDirectoryName(directory);
        return directory ?? throw new InvalidOperationException("The tests run outside the repository: no FtAkka.sln above them.");
    }

    [Fact]
    public void FrequencyLeavesAgree()
    {
        Assert.True(CpuModel.TryGet(CpuModel.V1Name, 2_400_000_000, 100, out CpuModel? model));
        CpuidLeaf crystal = model.Cpuid(0x15, 0);
        Assert.Equal(2_400_000_000ul, (ulong)crystal.Ecx * crystal.Ebx / crystal.Eax);
        Assert.Equal(24_000_000u, crystal.Ecx);
        Assert.Equal(2400u, model.Cpuid(0x16, 0).Eax);
    }

    [Theory]
    [InlineData("ftvm64-v2", 1_000_000_000, 1)]
    [InlineData(CpuModel.V1Name, 1_000_000_001, 1)]
    [InlineData(CpuModel.V1Name, 5_000_000_000, 1)]
    [InlineData(CpuModel.V1Name, 1_000_000_000, 0)]
    [InlineData(CpuModel.V1Name, 1_000_000_000, 3)]
    public void UnknownNamesAndUnsayableFrequenciesAreRefused(string name, ulong hertz, uint ratio) =>
        Assert.False(CpuModel.TryGet(name, hertz, ratio, out _));

    [Fact]
    public void MissingHostFeaturesAreNamed()
    {
        IReadOnlyList<string> all = CpuModel.Default.RequiredHostFeatures;
        Assert.Contains("bmi2", all);
        Assert.Equal(all.Order(StringComparer.Ordinal), all);
        Assert.Empty(CpuModel.Default.MissingHostFeatures([.. all]));
        Assert.Equal(["bmi2", "sha"], CpuModel.Default.MissingHostFeatures([.. all.Where(name => name is not ("bmi2" or "sha"))]));
        Assert.Subset(all.ToHashSet(), HostFeatures.Detect().ToHashSet());
    }

    [Fact]
    public unsafe void CpuidInstructionZeroExtends()
    {
        using var rig = new ArchitectureRig();
        rig.State->Gpr[0] = 0xFFFFFFFF_80000008;
        rig.State->Gpr[3] = ulong.MaxValue;
        Assert.Equal(InstructionOutcome.Retired, rig.Run(a => a.cpuid()));
        Assert.Equal((0x3028ul, 0ul, 0ul, 0ul), (rig.State->Gpr[0], rig.State->Gpr[3], rig.State->Gpr[1], rig.State->Gpr[2]));
    }

    [Fact]
    public unsafe void EntryStateIsTheSixtyFourBitBootProtocol()
    {
        using var rig = new ArchitectureRig();
        CpuReset.ForLongMode(rig.State, new LongModeEntry { Rip = 0x1000200, Rsi = 0x7000, Rsp = 0x8000, Cr3 = 0x9000, GdtBase = 0x500, GdtLimit = 31 });
        CpuState* s = rig.State;
        Assert.Equal((0x1000200ul, 0x7000ul, 0x8000ul, 2ul), (s->Rip, s->Gpr[6], s->Gpr[4], s->Rflags));
        Assert.Equal((0x10, 0x18, 0x18, 0x18), (s->Cs.Selector, s->Ds.Selector, s->Es.Selector, s->Ss.Selector));
        Assert.Equal((0x80010031ul, 0x20ul, 0x500ul, 0x9000ul), (s->Cr0, s->Cr4, s->Efer, s->Cr3));
        Assert.Equal((0x37F, 0x1F80u, 0x400ul, 0xFFFF0FF0ul), (s->FcwGuest, s->Mxcsr, s->Dr7, s->Dr6));
    }
}
