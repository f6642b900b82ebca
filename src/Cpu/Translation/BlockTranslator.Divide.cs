using FtAkka.Cpu.Engine;
using Iced.Intel;

namespace FtAkka.Cpu.Translation;

/// <summary>
/// DIV and IDIV of 32 and 64 bits. The host must never see a #DE, so only divisions that cannot fault run natively: an upper half
/// that is zero (DIV) or the sign of the lower (IDIV), and a divisor that is neither 0 nor (IDIV) -1. The rest runs in C#, with the same flags.
/// Tests use jrcxz, so flags stay those of the guest until the division itself.
/// </summary>
internal sealed partial class BlockTranslator
{
    private bool EmitDivide(in Instruction instruction)
    {
        int size = instruction.Code switch
        {
            Code.Div_rm64 or Code.Idiv_rm64 => 8,
            Code.Div_rm32 or Code.Idiv_rm32 => 4,
            _ => 0,
        };
        if (size == 0)
        {
            // 8 and 16 bits are rare: leave before the instruction; it ends the block.
            throw new InvalidOperationException("8- and 16-bit divisions are special.");
        }
        bool signed = instruction.Mnemonic == Mnemonic.Idiv;
        if (instruction.Op0Kind == OpKind.Memory)
        {
            EmitReadOperand(instruction, size, HostReg.Address);
        }
        else
        {
            EmitReadRegister(GprNumber(instruction.Op0Register), HostReg.Address);
            if (size == 4)
            {
                _asm.Mov32(HostReg.Address, HostReg.Address);
            }
        }
        // Divisor 0?
        _asm.Mov(HostReg.Scratch, HostReg.Address);
        int zero = _asm.Jrcxz();
        int minusOne = 0;
        if (signed)
        {
            _asm.Lea(HostReg.Scratch, HostReg.Address, HostReg.None, 0, 1, wide: size == 8);
            minusOne = _asm.Jrcxz();
        }
        EmitUpperHalfTest(size, signed);
        int plain = _asm.Jrcxz();
        _asm.Bind(zero);
        if (signed)
        {
            _asm.Bind(minusOne);
        }
        EmitRunInCsharp(instruction);
        _asm.Bind(plain);
        _asm.Divide(HostReg.Address, signed, wide: size == 8);
        EmitDivisionFlags();
        return true;
    }

    /// <summary>rcx = 0 when the upper half of the dividend adds nothing.</summary>
    private void EmitUpperHalfTest(int size, bool signed)
    {
        if (!signed)
        {
            if (size == 8)
            {
                _asm.Mov(HostReg.Scratch, HostReg.Rdx);
            }
            else
            {
                _asm.Mov32(HostReg.Scratch, HostReg.Rdx);
            }
            return;
        }
        // rdx - (rax >> 63) = rdx + ~(rax >> 63) + 1.
        _asm.MovImmediate(HostReg.Scratch, 63);
        if (size == 8)
        {
            _asm.Sarx(HostReg.Scratch, HostReg.Rax, HostReg.Scratch);
        }
        else
        {
            _asm.MovsxDword(HostReg.Addend, HostReg.Rax);
            _asm.Sarx(HostReg.Scratch, HostReg.Addend, HostReg.Scratch);
        }
        _asm.Not(HostReg.Scratch);
        _asm.Lea(HostReg.Scratch, HostReg.Scratch, HostReg.Rdx, 0, 1, wide: size == 8);
    }

    /// <summary>Leaves in the middle of a block so that C# executes this one instruction.</summary>
    private void EmitRunInCsharp(in Instruction instruction)
    {
        _asm.Call(_stubs.ExitAddress(ExitKind.MidBlock));
        int id = _tables.AddSite(new Site
        {
            Block = _block.Id,
            Resume = checked((int)_asm.Here + 4),
            Offset = (ushort)_offset,
            Index = (byte)_index,
            SizeBytes = (byte)instruction.Length,
            Undefined = _undefined,
        });
        _asm.Dword(id);
    }
}
