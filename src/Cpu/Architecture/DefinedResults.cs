using System.Buffers.Binary;
using FtAkka.Cpu.Decoding;
using FtAkka.Cpu.State;
using Iced.Intel;

namespace FtAkka.Cpu.Architecture;

/// <summary>
/// Instructions whose result, not only its flags, the architecture leaves to the CPU, and that C# executes therefore (<see cref="CpuSemantics.UndefinedIsZero"/>).
/// The definitions stand in docs/determinism.md and never change under one number.
/// </summary>
internal static unsafe class DefinedResults
{
    private const int WordBits = 16, VectorStride = 32, XmmBytes = 16, SingleBytes = 4;

    /// <summary>Whether the instruction is one of them.</summary>
    public static bool Handles(in Instruction instruction) => instruction.Code switch
    {
        Code.Shld_rm16_r16_CL or Code.Shrd_rm16_r16_CL => true,
        Code.Shld_rm16_r16_imm8 or Code.Shrd_rm16_r16_imm8 => (instruction.Immediate8 & 31) > WordBits,
        Code.Rcpss_xmm_xmmm32 or Code.Rcpps_xmm_xmmm128 or Code.Rsqrtss_xmm_xmmm32 or Code.Rsqrtps_xmm_xmmm128 => true,
        _ => false,
    };

    /// <summary>Executes the instruction at RIP; #UD and #NM have been looked for.</summary>
    public static InstructionOutcome Execute(CpuContext c, in Instruction instruction) =>
        instruction.Mnemonic is Mnemonic.Shld or Mnemonic.Shrd ? ShiftDouble(c, instruction) : Estimate(c, instruction);

    /// <summary>
    /// SHLD and SHRD of 16 bits. The operand is destination, source, destination in a row, as Intel's CPUs have it: for counts up to 16, to which the architecture
    /// gives a meaning, it is the architectural one.
    /// </summary>
    private static InstructionOutcome ShiftDouble(CpuContext c, in Instruction instruction)
    {
        bool memory = instruction.Op0Kind == OpKind.Memory, left = instruction.Mnemonic == Mnemonic.Shld;
        ulong address = memory ? EffectiveAddress.Compute(c.State, in instruction) : 0;
        bool stack = memory && EffectiveAddress.IsStack(in instruction);
        if ((memory && !c.TryProbeWrite(address, WordBits / 8, stack)) || !c.TryReadOperand(in instruction, 0, WordBits / 8, out ulong destination))
        {
            return InstructionOutcome.Fault;
        }
        ulong source = c.ReadRegister(instruction.Op1Register);
        int count = (int)(instruction.Op2Kind == OpKind.Register ? c.State->Gpr[1] : instruction.Immediate8) & 31;
        ulong row = (destination << (2 * WordBits)) | (source << WordBits) | destination;
        ulong result = (ushort)(left ? row << count >> (2 * WordBits) : row >> count);
        if (memory)
        {
            if (!c.TryWrite(address, WordBits / 8, stack, result))
            {
                return InstructionOutcome.Fault;
            }
        }
        else
        {
            c.WriteRegister(instruction.Op0Register, result);
        }
        if (count != 0)
        {
            ulong lastOut = left ? row >> ((3 * WordBits) - count) : row >> (count - 1);
            SetFlags(c.State, destination, result, (lastOut & 1) != 0, hasOverflow: count == 1);
        }
        return c.Retire(in instruction);
    }

    /// <summary>CF, ZF, SF and PF of a result, OF if its sign changed and the count was 1, AF clear.</summary>
    private static void SetFlags(CpuState* s, ulong before, ulong result, bool carry, bool hasOverflow)
    {
        const ulong sign = 1 << (WordBits - 1);
        uint flags = carry ? FlagEffects.Carry : 0;
        flags |= result == 0 ? FlagEffects.Zero : 0;
        flags |= (result & sign) != 0 ? FlagEffects.Sign : 0;
        flags |= (System.Numerics.BitOperations.PopCount((byte)result) & 1) == 0 ? FlagEffects.Parity : 0;
        flags |= hasOverflow && ((before ^ result) & sign) != 0 ? FlagEffects.Overflow : 0;
        s->Rflags = (s->Rflags & ~(ulong)FlagEffects.Status) | flags;
    }

    /// <summary>RCPSS, RCPPS, RSQRTSS and RSQRTPS. They raise no SIMD exception (SDM vol. 2B).</summary>
    private static InstructionOutcome Estimate(CpuContext c, in Instruction instruction)
    {
        bool packed = instruction.Mnemonic is Mnemonic.Rcpps or Mnemonic.Rsqrtps;
        bool root = instruction.Mnemonic is Mnemonic.Rsqrtss or Mnemonic.Rsqrtps;
        int bytes = packed ? XmmBytes : SingleBytes;
        Span<byte> lanes = stackalloc byte[XmmBytes];
        if (instruction.Op1Kind == OpKind.Register)
        {
            Xmm(c, instruction.Op1Register).CopyTo(lanes);
        }
        else
        {
            ulong address = EffectiveAddress.Compute(c.State, in instruction);
            bool stack = EffectiveAddress.IsStack(in instruction);
            if (packed && (address & (XmmBytes - 1)) != 0)
            {
                return c.RaiseGp();
            }
            if (!packed && !c.IsAligned(address, SingleBytes, write: false, stack))
            {
                return InstructionOutcome.Fault;
            }
            if (!c.TryReadBytes(address, lanes[..bytes], stack))
            {
                return InstructionOutcome.Fault;
            }
        }
        for (int at = 0; at < bytes; at += SingleBytes)
        {
            Span<byte> lane = lanes[at..];
            uint operand = BinaryPrimitives.ReadUInt32LittleEndian(lane);
            BinaryPrimitives.WriteUInt32LittleEndian(lane, root ? ReciprocalEstimates.OfSquareRoot(operand) : ReciprocalEstimates.Of(operand));
        }
        lanes[..bytes].CopyTo(Xmm(c, instruction.Op0Register));
        return c.Retire(in instruction);
    }

    private static Span<byte> Xmm(CpuContext c, Register register) =>
        new(c.State->Vector + (VectorStride * (register - Register.XMM0)), XmmBytes);
}
