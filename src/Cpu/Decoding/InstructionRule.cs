using System.Runtime.InteropServices;

namespace FtAkka.Cpu.Decoding;

/// <summary>All the translator has to know about one Iced code; 16 bytes, looked up by <see cref="InstructionPolicy.Of"/>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly struct InstructionRule
{
    public InstructionFeatures Features { get; init; }
    /// <summary>RFLAGS bits (architectural positions) that the instruction may leave undefined, whatever its operands.</summary>
    public uint UndefinedFlags { get; init; }
    public InstructionTraits Traits { get; init; }
    /// <summary>Bytes the ModRM memory operand spans; 0 if there is none.</summary>
    public ushort MemoryBytes { get; init; }
    public InstructionClass Class { get; init; }
    public OperandAccess Access { get; init; }
    /// <summary>Alignment in bytes whose absence is #GP(0): 16 for most legacy SSE 128-bit operands and CMPXCHG16B, else 1.</summary>
    public byte Alignment { get; init; }

    /// <summary>True if <paramref name="trait"/> (one or more bits) is wholly present.</summary>
    public bool Has(InstructionTraits trait) => (Traits & trait) == trait;

    /// <summary>#NM, #MF (and for MMX #UD) have to be looked for first.</summary>
    public bool NeedsFpuCheck => (Traits & InstructionTraits.FpuCheck) != 0;

    /// <summary>#UD and #NM by CR0.EM, CR0.TS and CR4.OSFXSR have to be looked for first.</summary>
    public bool NeedsSseCheck => (Traits & InstructionTraits.SseCheck) != 0;
}
