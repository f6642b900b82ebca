using System.Collections.Immutable;

namespace FtAkka.Cpu.Debugging;

/// <summary>A segment register as a debugger shows it.</summary>
/// <param name="Selector">Visible part.</param>
/// <param name="Base">Linear address of its first byte.</param>
public readonly record struct SegmentView(ushort Selector, ulong Base);

/// <summary>The guest's registers at one moment, for people and debuggers.</summary>
public sealed record CpuRegisters
{
    /// <summary>rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 to r15: the order of their encoding.</summary>
    public required ImmutableArray<ulong> General { get; init; }

    public required ulong Rip { get; init; }

    public required ulong Rflags { get; init; }

    /// <summary>Current privilege level.</summary>
    public required int Cpl { get; init; }

    /// <summary>es, cs, ss, ds, fs, gs: the order of their encoding.</summary>
    public required ImmutableArray<SegmentView> Segments { get; init; }

    /// <summary>What SWAPGS exchanges with the base of gs.</summary>
    public required ulong KernelGsBase { get; init; }

    public required ulong Cr0 { get; init; }

    public required ulong Cr2 { get; init; }

    public required ulong Cr3 { get; init; }

    public required ulong Cr4 { get; init; }

    public required ulong Cr8 { get; init; }

    public required ulong Efer { get; init; }

    public required uint Mxcsr { get; init; }

    /// <summary>st0 to st7, 10 bytes each, in stack order.</summary>
    public required ImmutableArray<byte> X87Stack { get; init; }

    public required ushort X87Control { get; init; }

    public required ushort X87Status { get; init; }

    /// <summary>One bit for each physical register that is in use (the abridged tag word of FXSAVE).</summary>
    public required byte X87Tags { get; init; }

    /// <summary>xmm0 to xmm15, 16 bytes each.</summary>
    public required ImmutableArray<byte> Xmm { get; init; }

    /// <summary>Halted by HLT.</summary>
    public required bool Halted { get; init; }

    /// <summary>Names of <see cref="General"/>, in its order.</summary>
    public static ImmutableArray<string> GeneralNames { get; } =
        ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

    /// <summary>Names of <see cref="Segments"/>, in its order.</summary>
    public static ImmutableArray<string> SegmentNames { get; } = ["es", "cs", "ss", "ds", "fs", "gs"];

    /// <summary>Every register as name and value, in a fixed order: what two states are compared by.</summary>
    public IEnumerable<(string Name, string Value)> Named()
    {
        for (int i = 0; i < General.Length; i++)
            yield return (GeneralNames[i], Hex(General[i]));
        yield return ("rip", Hex(Rip));
        yield return ("rflags", Hex(Rflags));
        yield return ("cpl", Cpl.ToString(System.Globalization.CultureInfo.InvariantCulture));
        for (int i = 0; i < Segments.Length; i++)
        {
            yield return (SegmentNames[i], $"0x{Segments[i].Selector:x4}");
            yield return (SegmentNames[i] + "_base", Hex(Segments[i].Base));
        }
        yield return ("k_gs_base", Hex(KernelGsBase));
        yield return ("cr0", Hex(Cr0));
        yield return ("cr2", Hex(Cr2));
        yield return ("cr3", Hex(Cr3));
        yield return ("cr4", Hex(Cr4));
        yield return ("cr8", Hex(Cr8));
        yield return ("efer", Hex(Efer));
        yield return ("mxcsr", $"0x{Mxcsr:x8}");
        yield return ("fctrl", $"0x{X87Control:x4}");
        yield return ("fstat", $"0x{X87Status:x4}");
        yield return ("ftag", $"0x{X87Tags:x2}");
        for (int i = 0; i < 8; i++)
            yield return ($"st{i}", Convert.ToHexStringLower(X87Stack.AsSpan(i * 10, 10)));
        for (int i = 0; i < 16; i++)
            yield return ($"xmm{i}", Convert.ToHexStringLower(Xmm.AsSpan(i * 16, 16)));
        yield return ("halted", Halted ? "yes" : "no");
    }

    private static string Hex(ulong value) => $"0x{value:x16}";
}
