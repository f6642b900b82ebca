using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using FtAkka.Cpu.Verification;

namespace FtAkka.Cpu.Architecture;

/// <summary>The four registers CPUID answers with.</summary>
public readonly record struct CpuidLeaf(uint Eax, uint Ebx, uint Ecx, uint Edx);

/// <summary>
/// A named, fixed CPU model: what CPUID says, the same on every host for ever (Intel SDM vol. 2, CPUID). It shows only what is implemented. Replicas and
/// recordings carry the name; a changed answer needs a new name.
/// </summary>
public sealed class CpuModel
{
    /// <summary>Name of the first model: x86-64-v2 with the integer extensions of v3.</summary>
    public const string V1Name = "ftvm64-v1";

    /// <summary>Time stamp counter frequency used when nothing else is asked for, in Hz.</summary>
    public const ulong DefaultTscFrequencyHz = 1_000_000_000;

    /// <summary>MAXPHYADDR of all models.</summary>
    internal const int PhysicalAddressBits = 40;

    private const int LinearAddressBits = 48;
    private const uint HighestBasic = 0x16, HighestExtended = 0x80000008, HypervisorLeaf = 0x40000000;

    /// <summary>Family 6 with a model number no product has, so that no product's errata or mitigations are applied; stepping 1.</summary>
    private const uint Signature = 0x000F0601;

    private const string Brand = "FtAkka Virtual CPU v1";
    private const string HypervisorVendor = "FtAkkaFtAkka";

    private readonly uint[] brandWords = ToWords(Brand, 12);
    private readonly uint[] hypervisorWords = ToWords(HypervisorVendor, 3);

    private CpuModel(string name, ulong tscFrequencyHz, uint crystalRatio)
    {
        Name = name;
        TscFrequencyHz = tscFrequencyHz;
        CrystalRatio = crystalRatio;
        RequiredHostFeatures = HostFeatures.RequiredByV1;
    }

    /// <summary>The v1 model at <see cref="DefaultTscFrequencyHz"/>.</summary>
    public static CpuModel Default { get; } = new(V1Name, DefaultTscFrequencyHz, 1);

    /// <summary>Name under which replicas and recordings agree on the model.</summary>
    public string Name { get; }

    /// <summary>Frequency of the time stamp counter that leaves 15H and 16H report, in Hz.</summary>
    public ulong TscFrequencyHz { get; }

    /// <summary>TSC ticks per tick of the core crystal clock of leaf 15H, which is also the input clock of the local APIC timer.</summary>
    public uint CrystalRatio { get; }

    /// <summary>Names of the host CPU features the translator re-emits for this model, as <see cref="HostFeatures.Detect"/> gives them; sorted.</summary>
    public IReadOnlyList<string> RequiredHostFeatures { get; }

    /// <summary>Looks a model up by name at the default frequency.</summary>
    public static bool TryGet(string name, [NotNullWhen(true)] out CpuModel? model) => TryGet(name, DefaultTscFrequencyHz, 1, out model);

    /// <summary>
    /// Looks a model up by name. False for an unknown name, and for frequencies the leaves cannot say exactly: the TSC's must be a whole number of MHz from 1 MHz to
    /// 4 GHz and a multiple of <paramref name="crystalRatio"/> (at least 1).
    /// </summary>
    public static bool TryGet(string name, ulong tscFrequencyHz, uint crystalRatio, [NotNullWhen(true)] out CpuModel? model)
    {
        bool valid = name == V1Name && tscFrequencyHz is >= 1_000_000 and <= 4_000_000_000 && tscFrequencyHz % 1_000_000 == 0
            && crystalRatio != 0 && tscFrequencyHz % crystalRatio == 0;
        model = valid ? new CpuModel(name, tscFrequencyHz, crystalRatio) : null;
        return valid;
    }

    /// <summary>Required features that <paramref name="hostFeatures"/> lacks; empty when the host can run the model.</summary>
    public IReadOnlyList<string> MissingHostFeatures(IReadOnlyCollection<string> hostFeatures) =>
        [.. RequiredHostFeatures.Where(feature => !hostFeatures.Contains(feature, StringComparer.Ordinal))];

    /// <summary>Why this host cannot run a model, for people; null if it can.</summary>
    public static string? WhyNotHere(string name) =>
        !TryGet(name, out CpuModel? model) ? $"There is no CPU model '{name}'; there is {V1Name}."
        : model.MissingHostFeatures([.. HostFeatures.Detect()]) is { Count: > 0 } missing
            ? $"This host's CPU cannot run the model {name}: it lacks {string.Join(", ", missing)}."
        : HostSelfTest.FindDeviation() is { } deviation
            ? $"This host's CPU cannot run the model {name}: it differs from all known CPUs in a result that guests would see ({deviation}), so recordings and backups on other hosts would diverge."
            : null;

    /// <summary>CPUID.</summary>
    public CpuidLeaf Cpuid(uint leaf, uint subleaf)
    {
        if (leaf is >= HypervisorLeaf and <= 0x4FFFFFFF)
            return leaf == HypervisorLeaf ? new CpuidLeaf(HypervisorLeaf, hypervisorWords[0], hypervisorWords[1], hypervisorWords[2]) : default;
        if (leaf is >= 0x80000000 and <= HighestExtended)
            return Extended(leaf);
        // A leaf above the maximum gives the data of the highest basic leaf.
        return Basic(Math.Min(leaf, HighestBasic), subleaf);
    }

    private CpuidLeaf Basic(uint leaf, uint subleaf) => leaf switch
    {
        0 => new CpuidLeaf(HighestBasic, 0x756E6547, 0x6C65746E, 0x49656E69), // GenuineIntel
        1 => new CpuidLeaf(Signature, LeafOneEbx, LeafOneEcx, LeafOneEdx),
        2 => new CpuidLeaf(0x0000FF01, 0, 0, 0), // "see leaf 4"
        4 => Cache(subleaf),
        6 => new CpuidLeaf(1u << 2, 0, 0, 0), // ARAT: the APIC timer never stops
        7 => subleaf == 0 ? new CpuidLeaf(0, LeafSevenEbx, 0, LeafSevenEdx) : default,
        0xB => Topology(subleaf),
        0x15 => new CpuidLeaf(1, CrystalRatio, (uint)(TscFrequencyHz / CrystalRatio), 0),
        0x16 => new CpuidLeaf((uint)(TscFrequencyHz / 1_000_000), (uint)(TscFrequencyHz / 1_000_000), 100, 0),
        _ => default,
    };

    private CpuidLeaf Extended(uint leaf) => leaf switch
    {
        0x80000000 => new CpuidLeaf(HighestExtended, 0, 0, 0),
        // LAHF in 64-bit mode, LZCNT; SYSCALL, NX, 1 GiB pages, RDTSCP, long mode.
        0x80000001 => new CpuidLeaf(0, 0, Bits(0, 5), Bits(11, 20, 26, 27, 29)),
        0x80000002 or 0x80000003 or 0x80000004 => BrandPart((int)(leaf - 0x80000002) * 4),
        0x80000006 => new CpuidLeaf(0, 0, 1024u << 16 | 8u << 12 | 64u, 0), // L2: 1 MiB, 16 ways, 64-byte lines
        0x80000007 => new CpuidLeaf(0, 0, 0, 1u << 8), // invariant TSC
        0x80000008 => new CpuidLeaf(PhysicalAddressBits | LinearAddressBits << 8, 0, 0, 0),
        _ => default,
    };

    /// <summary>CLFLUSH line of 8 quadwords, one logical processor, APIC ID 0.</summary>
    private const uint LeafOneEbx = 8u << 8 | 1u << 16;

    /// <summary>SSE3, PCLMULQDQ, SSSE3, CX16, SSE4.1, SSE4.2, MOVBE, POPCNT, TSC-deadline, AES, hypervisor present.</summary>
    private static readonly uint LeafOneEcx = Bits(0, 1, 9, 13, 19, 20, 22, 23, 24, 25, 31);

    /// <summary>FPU, DE, PSE, TSC, MSR, PAE, CX8, APIC, PGE, CMOV, PAT, PSE36, CLFSH, MMX, FXSR, SSE, SSE2.</summary>
    private static readonly uint LeafOneEdx = Bits(0, 2, 3, 4, 5, 6, 8, 9, 13, 15, 16, 17, 19, 23, 24, 25, 26);

    /// <summary>
    /// FSGSBASE, TSC_ADJUST, BMI1, FDP updated on exceptions only, SMEP, BMI2, ERMS, FCS and FDS deprecated (both true: they read as zero), ADX, CLFLUSHOPT, SHA.
    /// </summary>
    private static readonly uint LeafSevenEbx = Bits(0, 1, 3, 6, 7, 8, 9, 13, 19, 23, 29);

    /// <summary>FSRM, SPEC_CTRL and PRED_CMD MSRs, ARCH_CAPABILITIES MSR.</summary>
    private static readonly uint LeafSevenEdx = Bits(4, 26, 29);

    private static CpuidLeaf Cache(uint subleaf) => subleaf switch
    {
        0 => CacheLevel(type: 1, level: 1, ways: 8, sets: 64),
        1 => CacheLevel(type: 2, level: 1, ways: 8, sets: 64),
        2 => CacheLevel(type: 3, level: 2, ways: 16, sets: 1024),
        3 => CacheLevel(type: 3, level: 3, ways: 16, sets: 16384),
        _ => default,
    };

    /// <summary>Self-initialising, 64-byte lines, not shared.</summary>
    private static CpuidLeaf CacheLevel(uint type, uint level, uint ways, uint sets) =>
        new(type | level << 5 | 1u << 8, (ways - 1) << 22 | 63, sets - 1, 0);

    /// <summary>One thread in one core; APIC ID 0.</summary>
    private static CpuidLeaf Topology(uint subleaf) => subleaf switch
    {
        0 => new CpuidLeaf(0, 1, 1u << 8, 0),
        1 => new CpuidLeaf(0, 1, 2u << 8 | 1, 0),
        _ => new CpuidLeaf(0, 0, subleaf & 0xFF, 0),
    };

    private CpuidLeaf BrandPart(int first) => new(brandWords[first], brandWords[first + 1], brandWords[first + 2], brandWords[first + 3]);

    private static uint Bits(params ReadOnlySpan<int> positions)
    {
        uint value = 0;
        foreach (int position in positions)
            value |= 1u << position;
        return value;
    }

    private static uint[] ToWords(string text, int count)
    {
        Span<byte> bytes = stackalloc byte[48];
        bytes.Clear();
        Encoding.ASCII.GetBytes(text, bytes);
        var words = new uint[count];
        for (int i = 0; i < count; i++)
            words[i] = BinaryPrimitives.ReadUInt32LittleEndian(bytes[(i * 4)..]);
        return words;
    }
}
