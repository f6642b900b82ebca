using System.Runtime.Intrinsics.X86;

namespace FtAkka.Cpu.Architecture;

/// <summary>
/// Features of the host CPU that the translator may need, by name. The only place that asks the host's CPUID; what the guest sees never
/// depends on it, only whether a model can run here.
/// </summary>
public static class HostFeatures
{
    private readonly record struct Position(string Name, uint Leaf, int Register, int Bit);

    private const int Ebx = 1, Ecx = 2, Edx = 3;

    private static readonly Position[] Known =
    [
        new("adx", 7, Ebx, 19),
        new("aes", 1, Ecx, 25),
        new("bmi1", 7, Ebx, 3),
        new("bmi2", 7, Ebx, 8),
        new("cx16", 1, Ecx, 13),
        new("fxsr", 1, Edx, 24),
        new("lahf", 0x80000001, Ecx, 0),
        new("lzcnt", 0x80000001, Ecx, 5),
        new("mmx", 1, Edx, 23),
        new("movbe", 1, Ecx, 22),
        new("pclmul", 1, Ecx, 1),
        new("popcnt", 1, Ecx, 23),
        new("sha", 7, Ebx, 29),
        new("sse2", 1, Edx, 26),
        new("sse3", 1, Ecx, 0),
        new("sse4.1", 1, Ecx, 19),
        new("sse4.2", 1, Ecx, 20),
        new("ssse3", 1, Ecx, 9),
    ];

    internal static IReadOnlyList<string> RequiredByV1 { get; } = [.. Known.Select(position => position.Name)];

    /// <summary>Names of the known features this host has; sorted. Empty on a host that is not x86.</summary>
    public static IReadOnlyList<string> Detect() => Detected.Value;

    /// <summary>Asked once: under a hypervisor each CPUID leaves the virtual machine.</summary>
    private static readonly Lazy<IReadOnlyList<string>> Detected =
        new(() => X86Base.IsSupported ? [.. Known.Where(IsPresent).Select(position => position.Name)] : []);

    private static bool IsPresent(Position position)
    {
        uint range = position.Leaf & 0x80000000;
        if ((uint)X86Base.CpuId((int)range, 0).Eax < position.Leaf)
            return false;
        (int _, int ebx, int ecx, int edx) = X86Base.CpuId((int)position.Leaf, 0);
        int value = position.Register switch { Ebx => ebx, Ecx => ecx, _ => edx };
        return (value >> position.Bit & 1) != 0;
    }
}
