using Iced.Intel;

namespace FtAkka.Cpu.Decoding;

/// <summary>
/// The whitelist: what may be re-emitted to the host CPU, what is ours, and what is #UD. Built once from explicit lists of
/// mnemonics (<see cref="InstructionLists"/>); whatever no list names is <see cref="InstructionClass.Undefined"/>. The result,
/// code by code, is checked in as <c>tests/Cpu.Tests/Decoding/InstructionPolicy.golden.txt</c>.
/// </summary>
/// <remarks>
/// Nothing re-emitted reads host state, depends on the privilege or segments of the host process, touches RFLAGS beyond
/// CF PF AF ZF SF OF DF, or can fault on the host once its memory operand has been checked and SIMD and x87 errors are masked.
/// </remarks>
internal static partial class InstructionPolicy
{
    /// <summary>How guest code has to be decoded for this policy to hold: Intel rules; F3 0F 09 is WBINVD on models without WBNOINVD.</summary>
    public const DecoderOptions DecoderOptions = Iced.Intel.DecoderOptions.NoWbnoinvd;

    private static readonly InstructionRule[] s_rules = BuildRules();

    /// <summary>The rule for a code.</summary>
    public static ref readonly InstructionRule Of(Code code) => ref s_rules[(int)code];

    /// <summary>The class of a code.</summary>
    public static InstructionClass ClassOf(Code code) => s_rules[(int)code].Class;

    /// <summary>The class of a code on a model with <paramref name="available"/> features.</summary>
    public static InstructionClass ClassOf(Code code, InstructionFeatures available)
    {
        ref readonly InstructionRule rule = ref s_rules[(int)code];
        return (rule.Features & ~available) == 0 ? rule.Class : InstructionClass.Undefined;
    }

    /// <summary>RFLAGS bits (architectural positions) this very instruction leaves undefined: narrower than the rule's if a count is immediate.</summary>
    public static uint UndefinedFlags(in Instruction instruction) => ToRflags(instruction.RflagsUndefined);

    /// <summary>RFLAGS bits (architectural positions) the instruction looks at.</summary>
    public static uint FlagsRead(in Instruction instruction) => ToRflags(instruction.RflagsRead);

    /// <summary>RFLAGS bits (architectural positions) the instruction may change, undefined ones included.</summary>
    public static uint FlagsModified(in Instruction instruction) => ToRflags(instruction.RflagsModified);

    /// <summary>
    /// Removes prefixes that have no meaning on our model but might on the host: F2/F3 that are not part of the opcode (XACQUIRE,
    /// XRELEASE, BND, branch hints) and the ES, CS, SS and DS overrides, whose bases are zero in 64-bit mode. Must be called on
    /// everything that is re-emitted. Not for string instructions.
    /// </summary>
    public static void StripPrefixes(ref Instruction instruction)
    {
        instruction.HasXacquirePrefix = false;
        instruction.HasXreleasePrefix = false;
        instruction.HasRepePrefix = false;
        instruction.HasRepnePrefix = false;
        if (instruction.SegmentPrefix is not (Register.FS or Register.GS))
        {
            instruction.SegmentPrefix = Register.None;
        }
    }

    /// <summary>Whether an operand of the instruction is a ModRM or absolute memory operand.</summary>
    public static bool HasMemoryOperand(in Instruction instruction)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Memory)
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>Iced's own flag bits to architectural RFLAGS positions; x87 condition codes and flags we virtualise are dropped.</summary>
    private static uint ToRflags(RflagsBits bits)
    {
        uint flags = 0;
        if ((bits & RflagsBits.CF) != 0) { flags |= 1u << 0; }
        if ((bits & RflagsBits.PF) != 0) { flags |= 1u << 2; }
        if ((bits & RflagsBits.AF) != 0) { flags |= 1u << 4; }
        if ((bits & RflagsBits.ZF) != 0) { flags |= 1u << 6; }
        if ((bits & RflagsBits.SF) != 0) { flags |= 1u << 7; }
        if ((bits & RflagsBits.DF) != 0) { flags |= 1u << 10; }
        if ((bits & RflagsBits.OF) != 0) { flags |= 1u << 11; }
        return flags;
    }
}
