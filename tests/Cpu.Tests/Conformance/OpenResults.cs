using System.Buffers.Binary;
using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Decoding;
using FtAkka.Cpu.Verification;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Conformance;

/// <summary>
/// What the architecture leaves open, as docs/determinism.md defines it, put in the place of what the host did. Written from the document and from Iced's table of
/// undefined flags, with nothing of the translator's.
/// </summary>
internal static class OpenResults
{
    private const uint Adjust = 0x10, Overflow = 0x800, Status = 0x8D5;

    /// <summary>Changes the state behind an instruction, and its memory operand, from the host's to the defined.</summary>
    public static void Define(in Instruction instruction, MachineState before, byte[] operandBefore, MachineState state, Span<byte> operand)
    {
        state.Rflags &= ~(ulong)UndefinedFlags(instruction, before.Gpr[1]);
        switch (instruction.Code)
        {
            case Code.Bsf_r32_rm32 or Code.Bsr_r32_rm32:
                int destination = GuestAccess.RegisterNumber(instruction.Op0Register);
                state.Gpr[destination] = (uint)state.Gpr[destination];
                break;
            case Code.Cvtpi2ps_xmm_mmm64 when instruction.Op1Kind == OpKind.Memory:
                EnterMmx(state);
                break;
            default:
                break;
        }
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Div or Mnemonic.Idiv:
                state.Rflags |= 0x44;
                break;
            case Mnemonic.Shld or Mnemonic.Shrd when operand.Length == 2 || (instruction.Op0Kind == OpKind.Register && instruction.Op0Register.GetSize() == 2):
                ShiftDouble(instruction, before, operandBefore, state, operand);
                break;
            case Mnemonic.Rcpss or Mnemonic.Rcpps or Mnemonic.Rsqrtss or Mnemonic.Rsqrtps:
                Estimate(instruction, before, operandBefore, state);
                break;
            default:
                break;
        }
    }

    /// <summary>Flags that the guest has clear because the architecture leaves them undefined.</summary>
    public static uint UndefinedFlags(in Instruction instruction, ulong rcx)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.And or Mnemonic.Or or Mnemonic.Xor or Mnemonic.Test: // AF: all hosts agree
            case Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc: // all but CF: all hosts leave them
                return 0;
            case Mnemonic.Shl or Mnemonic.Sal or Mnemonic.Shr or Mnemonic.Sar or Mnemonic.Shld or Mnemonic.Shrd:
                return Count(instruction, rcx) switch { 0 => 0, 1 => Adjust, _ => Adjust | Overflow };
            case Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Rcl or Mnemonic.Rcr:
                return Count(instruction, rcx) > 1 ? Overflow : 0;
            default:
                return InstructionPolicy.UndefinedFlags(instruction) & Status;
        }
    }

    private static int Count(in Instruction instruction, ulong rcx)
    {
        ulong raw = instruction.GetOpKind(instruction.OpCount - 1) == OpKind.Immediate8 ? instruction.Immediate8 : rcx;
        bool wide = (instruction.Op0Kind == OpKind.Memory ? instruction.MemorySize.GetSize() : instruction.Op0Register.GetSize()) == 8;
        return (int)(raw & (wide ? 63u : 31u));
    }

    /// <summary>Bit by bit: what leaves at one end comes from destination, source, destination.</summary>
    private static void ShiftDouble(in Instruction instruction, MachineState before, byte[] operandBefore, MachineState state, Span<byte> operand)
    {
        bool memory = instruction.Op0Kind == OpKind.Memory, left = instruction.Mnemonic == Mnemonic.Shld;
        int number = memory ? 0 : GuestAccess.RegisterNumber(instruction.Op0Register);
        ushort old = memory ? BinaryPrimitives.ReadUInt16LittleEndian(operandBefore) : (ushort)before.Gpr[number];
        ushort source = (ushort)before.Gpr[GuestAccess.RegisterNumber(instruction.Op1Register)];
        int count = Count(instruction, before.Gpr[1]);
        var bits = new List<int>();
        foreach (ushort part in (ushort[])[old, source, old])
        {
            bits.AddRange(Enumerable.Range(0, 16).Select(bit => (part >> bit) & 1)); // lowest first
        }
        int first = left ? 32 - count : count;
        ushort result = (ushort)Enumerable.Range(0, 16).Sum(bit => bits[first + bit] << bit);
        if (memory)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(operand, result);
        }
        else
        {
            state.Gpr[number] = (before.Gpr[number] & ~0xFFFFUL) | result;
        }
        if (count == 0)
        {
            return;
        }
        int carry = bits[left ? first + 16 : first - 1];
        int parity = Enumerable.Range(0, 8).Sum(bit => (result >> bit) & 1);
        state.Rflags = (before.Rflags & ~(ulong)Status) | (uint)carry | (parity % 2 == 0 ? 4u : 0) | (result == 0 ? 0x40u : 0) | ((result & 0x8000) != 0 ? 0x80u : 0)
            | (count == 1 && ((old ^ result) & 0x8000) != 0 ? Overflow : 0);
    }

    private static void Estimate(in Instruction instruction, MachineState before, byte[] operandBefore, MachineState state)
    {
        bool packed = instruction.Mnemonic is Mnemonic.Rcpps or Mnemonic.Rsqrtps, root = instruction.Mnemonic is Mnemonic.Rsqrtss or Mnemonic.Rsqrtps;
        int destination = instruction.Op0Register - Register.XMM0;
        ReadOnlySpan<byte> source = instruction.Op1Kind == OpKind.Memory ? operandBefore : before.Xmm(instruction.Op1Register - Register.XMM0).ToArray();
        before.Xmm(destination).ToArray().CopyTo(state.Xmm(destination));
        for (int lane = 0; lane < (packed ? 4 : 1); lane++)
        {
            uint bits = BinaryPrimitives.ReadUInt32LittleEndian(source[(4 * lane)..]);
            BinaryPrimitives.WriteUInt32LittleEndian(state.Xmm(destination)[(4 * lane)..], root ? RootEstimate(bits) : ReciprocalEstimate(bits));
        }
    }

    /// <summary>By double precision, which is exact enough: no middle of an interval comes close to a tie.</summary>
    public static uint ReciprocalEstimate(uint bits)
    {
        float value = BitConverter.UInt32BitsToSingle(bits);
        if (float.IsNaN(value))
        {
            return bits | 0x40_0000;
        }
        float sign = float.IsNegative(value) ? -1 : 1;
        if (value == 0 || float.IsSubnormal(value))
        {
            return BitConverter.SingleToUInt32Bits(sign * float.PositiveInfinity);
        }
        if (float.IsInfinity(value))
        {
            return BitConverter.SingleToUInt32Bits(sign * 0f);
        }
        double middle = BitConverter.UInt32BitsToSingle((bits & 0x7FFF_F000) | 0x800);
        double result = RoundTo13Bits(1 / middle);
        return BitConverter.SingleToUInt32Bits(sign * (result < 1.1754943508222875e-38 ? 0f : (float)result));
    }

    /// <summary>As above, for one bit less of the operand.</summary>
    public static uint RootEstimate(uint bits)
    {
        float value = BitConverter.UInt32BitsToSingle(bits);
        if (float.IsNaN(value))
        {
            return bits | 0x40_0000;
        }
        if (value == 0 || float.IsSubnormal(value))
        {
            return BitConverter.SingleToUInt32Bits(float.IsNegative(value) ? float.NegativeInfinity : float.PositiveInfinity);
        }
        if (float.IsNegative(value))
        {
            return 0xFFC0_0000;
        }
        if (float.IsInfinity(value))
        {
            return 0;
        }
        double middle = BitConverter.UInt32BitsToSingle((bits & 0x7FFF_E000) | 0x1000);
        return BitConverter.SingleToUInt32Bits((float)RoundTo13Bits(1 / Math.Sqrt(middle)));
    }

    private static double RoundTo13Bits(double value)
    {
        double unit = Math.ScaleB(1, Math.ILogB(value) - 12);
        return Math.Round(value / unit, MidpointRounding.AwayFromZero) * unit;
    }

    /// <summary>The stack's top becomes 0, and all registers are in use; the image has them in the order of the stack.</summary>
    private static void EnterMmx(MachineState state)
    {
        int top = (state.Fsw >> 11) & 7;
        byte[][] registers = [.. Enumerable.Range(0, 8).Select(i => state.St((i - top) & 7).ToArray())];
        for (int i = 0; i < 8; i++)
        {
            registers[i].CopyTo(state.St(i));
        }
        state.Fsw = (ushort)(state.Fsw & ~0x3800);
        state.Ftw = 0xFF;
    }
}
