using FtAkka.Cpu.Decoding;
using Iced.Intel;

namespace FtAkka.Cpu.Translation;

/// <summary>
/// Flags that the architecture leaves undefined and <see cref="CpuSemantics"/> defines. Behind MUL and IMUL the host's flags stay as they came, as long as nothing
/// can see them: most are overwritten soon. Emitted code makes them right before an instruction that looks, and at the end of a block; where a memory access
/// leaves the block, C# does (<see cref="Site.Undefined"/>). At the head of a block they are always right.
/// </summary>
internal sealed unsafe partial class BlockTranslator
{
    /// <summary>RFLAGS bits in which the host's flags say nothing at this place of the block; the guest has them clear.</summary>
    private byte _undefined;

    /// <summary>Called before each instruction is emitted.</summary>
    private void PrepareFlags(in Instruction instruction, InstructionClass kind)
    {
        if (_undefined != 0 && (kind is not (InstructionClass.Reemit or InstructionClass.Emit) || !MultiplyFlags.MayFollow(instruction)))
        {
            DefineFlags();
        }
        if (_semantics == CpuSemantics.MultiplyKeepsFlags && MultiplyFlags.IsMultiply(instruction))
        {
            _asm.MovFromFlags(HostReg.Scratch);
            _asm.StoreAbsolute(_addresses.KeptFlags, HostReg.Scratch);
        }
    }

    /// <summary>Called behind each instruction that was emitted.</summary>
    private void ConcludeFlags(in Instruction instruction)
    {
        if (MultiplyFlags.IsMultiply(instruction))
        {
            if (_noisy)
            {
                EmitFlagNoise();
            }
            if (_semantics == CpuSemantics.MultiplyKeepsFlags)
            {
                EmitKeptFlags();
                return;
            }
            _undefined = (byte)MultiplyFlags.Undefined;
        }
        else if (_undefined != 0 && MultiplyFlags.Overwrites(instruction))
        {
            _undefined = 0;
        }
    }

    /// <summary>Makes the host's flags the guest's: SF, ZF, AF and PF clear, CF and OF as they are. They are equal, as MUL leaves them.</summary>
    private void DefineFlags()
    {
        if (_undefined == 0)
        {
            return;
        }
        // 1 doubled is 2, without a flag; with CF rotated in at the top it is 2 with CF and OF. A single bit in the low byte leaves PF clear.
        _asm.MovImmediate(HostReg.Scratch, 2);
        _asm.RotateThroughCarryRight32(HostReg.Scratch);
        _asm.AddClobberingFlags32(HostReg.Scratch, HostReg.Scratch);
        _undefined = 0;
    }

    /// <summary>SF, ZF, AF and PF as they were before the multiplication.</summary>
    private void EmitKeptFlags()
    {
        _asm.MovFromFlags(HostReg.Address);
        _asm.AndClobberingFlags(HostReg.Address, ~(int)MultiplyFlags.Undefined);
        _asm.LoadAbsolute(HostReg.Scratch, _addresses.KeptFlags);
        _asm.AndClobberingFlags(HostReg.Scratch, (int)MultiplyFlags.Undefined);
        _asm.Lea(HostReg.Address, HostReg.Address, HostReg.Scratch, 0, 0);
        _asm.MovToFlags(HostReg.Address);
    }

    /// <summary>SF, ZF, AF and PF flipped at random. The generator rotates, multiplies by 9 and adds: enough to hit all combinations.</summary>
    private void EmitFlagNoise()
    {
        const int rotation = 23, addend = 0x2545F491, toLowByte = 40;
        _asm.MovFromFlags(HostReg.Address);
        _asm.LoadAbsolute(HostReg.Scratch, _addresses.FlagNoise);
        _asm.Rorx(HostReg.Scratch, HostReg.Scratch, rotation);
        _asm.Lea(HostReg.Scratch, HostReg.Scratch, HostReg.Scratch, 3, addend);
        _asm.StoreAbsolute(_addresses.FlagNoise, HostReg.Scratch);
        _asm.Rorx(HostReg.Scratch, HostReg.Scratch, toLowByte);
        _asm.AndClobberingFlags(HostReg.Scratch, (int)MultiplyFlags.Undefined);
        _asm.XorClobberingFlags64(HostReg.Address, HostReg.Scratch);
        _asm.MovToFlags(HostReg.Address);
    }
}
