using Iced.Intel;

namespace FtAkka.Cpu.Decoding;

/// <summary>
/// The flags that MUL and IMUL leave undefined (Intel SDM vol. 2A, MUL and IMUL), and what other instructions do to them. AMD CPUs leave them as they were,
/// Intel CPUs compute some of them from the product; the guest gets them as <see cref="CpuSemantics"/> says.
/// </summary>
internal static class MultiplyFlags
{
    /// <summary>SF, ZF, AF and PF at their places in RFLAGS.</summary>
    public const uint Undefined = 0xD4;

    private const uint OtherStatusFlags = 0x801; // CF and OF

    /// <summary>MUL or IMUL, in every form. MULX leaves all flags alone and is none.</summary>
    public static bool IsMultiply(in Instruction instruction) => instruction.Mnemonic is Mnemonic.Mul or Mnemonic.Imul;

    /// <summary>
    /// Whether the host may execute the instruction while its flags still hold what it left undefined itself: the instruction goes on to the next one, and either
    /// has nothing to do with these flags, nor changes CF or OF, or writes all of them without a look.
    /// </summary>
    public static bool MayFollow(in Instruction instruction)
    {
        if (instruction.FlowControl != FlowControl.Next || (InstructionPolicy.FlagsRead(instruction) & Undefined) != 0)
        {
            return false;
        }
        // RCL and RCR by a whole turn of operand and carry change no flag by the documentation, and OF on AMD's CPUs.
        if (instruction.Mnemonic is Mnemonic.Rcl or Mnemonic.Rcr)
        {
            return false;
        }
        return (InstructionPolicy.FlagsModified(instruction) & (Undefined | OtherStatusFlags)) == 0 || Overwrites(instruction);
    }

    /// <summary>
    /// Whether every host writes SF, ZF, AF and PF, whatever they were. A list, since the documentation of an instruction counts a flag that it leaves alone among
    /// the undefined ones as well. AF behind AND, OR, XOR and TEST is 0 on every known CPU, behind shifts 0 on Intel's and 1 on AMD's, and never what it was.
    /// </summary>
    public static bool Overwrites(in Instruction instruction)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Add:
            case Mnemonic.Adc:
            case Mnemonic.Sub:
            case Mnemonic.Sbb:
            case Mnemonic.Cmp:
            case Mnemonic.Neg:
            case Mnemonic.Inc:
            case Mnemonic.Dec:
            case Mnemonic.Xadd:
            case Mnemonic.Cmpxchg:
            case Mnemonic.And:
            case Mnemonic.Or:
            case Mnemonic.Xor:
            case Mnemonic.Test:
            case Mnemonic.Mul:
            case Mnemonic.Imul:
                return true;
            case Mnemonic.Shl:
            case Mnemonic.Sal:
            case Mnemonic.Shr:
            case Mnemonic.Sar:
                return ShiftsByConstant(instruction);
            default:
                return false;
        }
    }

    /// <summary>A shift by a count that is not 0; a count of 0 leaves all flags alone, and what CL holds is not known.</summary>
    private static bool ShiftsByConstant(in Instruction instruction)
    {
        if (instruction.Op1Kind != OpKind.Immediate8)
        {
            return false;
        }
        bool wide = instruction.Op0Kind == OpKind.Memory ? instruction.MemorySize.GetSize() == 8 : instruction.Op0Register.GetSize() == 8;
        return (instruction.Immediate8 & (wide ? 63 : 31)) != 0;
    }
}
