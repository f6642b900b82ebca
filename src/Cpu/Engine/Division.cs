using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Decoding;
using FtAkka.Cpu.State;
using Iced.Intel;

namespace FtAkka.Cpu.Engine;

/// <summary>DIV and IDIV of every size, with #DE as a value (Intel SDM vol. 2A).</summary>
internal static unsafe class Division
{
    /// <summary>Executes the division at RIP. The flags, which the architecture leaves undefined, get our values or stay as they are.</summary>
    public static InstructionOutcome Execute(CpuContext context, in Instruction instruction, bool definesFlags)
    {
        CpuState* s = context.State;
        int size = instruction.Code switch
        {
            Code.Div_rm8 or Code.Idiv_rm8 => 1,
            Code.Div_rm16 or Code.Idiv_rm16 => 2,
            Code.Div_rm32 or Code.Idiv_rm32 => 4,
            _ => 8,
        };
        if (!context.TryReadOperand(instruction, 0, size, out ulong divisor))
        {
            return InstructionOutcome.Fault;
        }
        ulong low = s->Gpr[0], high = s->Gpr[2];
        int bits = size * 8;
        UInt128 dividend = size switch
        {
            1 => low & 0xFFFF,
            2 => ((high & 0xFFFF) << 16) | (low & 0xFFFF),
            4 => (high << 32) | (low & 0xFFFF_FFFF),
            _ => new UInt128(high, low),
        };
        bool signed = instruction.Mnemonic == Mnemonic.Idiv;
        if (!TryDivide(dividend, divisor, bits, signed, out ulong quotient, out ulong remainder))
        {
            return context.Raise(GuestFault.Of(Vector.DivideError));
        }
        switch (size)
        {
            case 1:
                s->Gpr[0] = (low & ~0xFFFFUL) | (quotient & 0xFF) | ((remainder & 0xFF) << 8);
                break;
            case 2:
                s->Gpr[0] = (low & ~0xFFFFUL) | (quotient & 0xFFFF);
                s->Gpr[2] = (high & ~0xFFFFUL) | (remainder & 0xFFFF);
                break;
            case 4:
                s->Gpr[0] = (uint)quotient;
                s->Gpr[2] = (uint)remainder;
                break;
            default:
                s->Gpr[0] = quotient;
                s->Gpr[2] = remainder;
                break;
        }
        if (definesFlags)
        {
            s->Rflags = (s->Rflags & ~(ulong)FlagEffects.Status) | FlagEffects.BehindDivision;
        }
        return context.Retire(instruction);
    }

    private static bool TryDivide(UInt128 dividend, ulong divisor, int bits, bool signed, out ulong quotient, out ulong remainder)
    {
        quotient = remainder = 0;
        if (!signed)
        {
            UInt128 d = bits == 64 ? divisor : divisor & ((1UL << bits) - 1);
            if (d == 0 || dividend / d > (bits == 64 ? ulong.MaxValue : (1UL << bits) - 1))
            {
                return false;
            }
            quotient = (ulong)(dividend / d);
            remainder = (ulong)(dividend % d);
            return true;
        }
        // Shift the double-width dividend and the divisor up to the sign bit of Int128 and back to extend their signs.
        Int128 n = (Int128)(dividend << (128 - (2 * bits))) >> (128 - (2 * bits));
        Int128 m = (long)(divisor << (64 - bits)) >> (64 - bits);
        if (m == 0)
        {
            return false;
        }
        if (m == -1)
        {
            // Int128.MinValue / -1 overflows Int128 itself.
            if (n == Int128.MinValue || -n > Int128.CreateChecked((1UL << (bits - 1)) - 1) || -n < -(Int128)(1UL << (bits - 1)))
            {
                return false;
            }
            quotient = (ulong)(long)-n;
            return true;
        }
        Int128 q = n / m;
        Int128 limit = (Int128)1 << (bits - 1);
        if (q >= limit || q < -limit)
        {
            return false;
        }
        quotient = (ulong)(long)q;
        remainder = (ulong)(long)(n % m);
        return true;
    }
}
