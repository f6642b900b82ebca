using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using FtAkka.Recordings;

namespace FtAkka.VmmHost.Doctor;

/// <summary>
/// The host CPU's features that the guest CPU model <c>ftvm64-v1</c> or the translator's own code needs: guest instructions are
/// re-emitted for the host CPU, so whatever the model offers the host must have.
/// </summary>
public static class CpuFeatures
{
    private enum Register
    {
        Ebx,
        Ecx,
    }

    /// <summary>One CPUID bit (Intel SDM vol. 2A, CPUID).</summary>
    private sealed record Bit(string Name, uint Leaf, Register Register, int Index);

    private static readonly Bit[] Needed =
    [
        new("sse3", 1, Register.Ecx, 0),
        new("pclmulqdq", 1, Register.Ecx, 1),
        new("ssse3", 1, Register.Ecx, 9),
        new("cx16", 1, Register.Ecx, 13),
        new("sse4_1", 1, Register.Ecx, 19),
        new("sse4_2", 1, Register.Ecx, 20),
        new("movbe", 1, Register.Ecx, 22),
        new("popcnt", 1, Register.Ecx, 23),
        new("aes", 1, Register.Ecx, 25),
        new("bmi1", 7, Register.Ebx, 3),
        new("bmi2", 7, Register.Ebx, 8),
        new("adx", 7, Register.Ebx, 19),
        new("sha_ni", 7, Register.Ebx, 29),
        new("lzcnt", 0x8000_0001, Register.Ecx, 5),
    ];

    /// <summary>Looks for every feature.</summary>
    public static Finding Look()
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64 || !X86Base.IsSupported)
        {
            return Finding.Missing($"this is a {RuntimeInformation.ProcessArchitecture} CPU");
        }
        string[] missing = [.. Needed.Where(bit => !IsSet(bit)).Select(bit => bit.Name)];
        return missing.Length == 0
            ? Finding.Ok($"{HostCpu.Model()}, all {Needed.Length} features needed for ftvm64-v1")
            : Finding.Missing($"{HostCpu.Model()} lacks {string.Join(", ", missing)}");
    }

    private static bool IsSet(Bit bit)
    {
        uint maximum = (uint)X86Base.CpuId(unchecked((int)(bit.Leaf & 0x8000_0000)), 0).Eax;
        if (bit.Leaf > maximum)
        {
            return false;
        }
        (int _, int ebx, int ecx, int _) = X86Base.CpuId(unchecked((int)bit.Leaf), 0);
        return (((bit.Register == Register.Ebx ? ebx : ecx) >> bit.Index) & 1) == 1;
    }
}
