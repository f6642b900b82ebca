using FtAkka.Cpu.Decoding;
using Iced.Intel;

namespace FtAkka.Cpu.Translation;

/// <summary>
/// Flags that the architecture leaves undefined and <see cref="CpuSemantics"/> defines. The host's flags stay as they came, as long as nothing can see them: most are
/// overwritten soon. Emitted code makes them right before an instruction that looks, and at the end of a block; where a block is left in the middle, C# does
/// (<see cref="Site.Undefined"/>). At the head of a block they are always right.
/// </summary>
internal sealed unsafe partial class BlockTranslator
{
    /// <summary>How far to look for what overwrites the flags of a shift by CL.</summary>
    private const int InstructionsAhead = 4;

    /// <summary>RFLAGS bits in which the host's flags say nothing at this place of the block; the guest has them clear.</summary>
    private ushort _undefined;

    /// <summary>CF and OF come from a multiplication, which makes them equal.</summary>
    private bool _carryIsOverflow;

    /// <summary>What the instruction at hand does with flags.</summary>
    private FlagEffects _effects;

    private bool DefinesAll => _semantics >= CpuSemantics.UndefinedIsZero;

    /// <summary>Called before each instruction is emitted.</summary>
    private void PrepareFlags(in Instruction instruction, InstructionClass kind)
    {
        bool emitted = kind is InstructionClass.Reemit or InstructionClass.Emit;
        _effects = emitted ? FlagEffects.Of(instruction, _semantics) : FlagEffects.Unknown;
        if (_effects.IsOpen || (_effects.Reads & _undefined) != 0 || instruction.FlowControl != FlowControl.Next)
        {
            DefineFlags();
        }
        if (_semantics == CpuSemantics.MultiplyKeepsFlags && FlagEffects.IsMultiply(instruction))
        {
            _asm.MovFromFlags(HostReg.Scratch);
            _asm.StoreAbsolute(_addresses.KeptFlags, HostReg.Scratch);
        }
    }

    /// <summary>Called behind each instruction that was emitted.</summary>
    private void ConcludeFlags(in Instruction instruction)
    {
        bool multiply = FlagEffects.IsMultiply(instruction);
        if (multiply && _semantics == CpuSemantics.MultiplyKeepsFlags)
        {
            EmitFlagNoise(FlagEffects.UndefinedByMultiply);
            EmitKeptFlags();
            return;
        }
        if (_effects.IsByCount)
        {
            EmitFlagsByCount(instruction);
            _carryIsOverflow = false;
            return;
        }
        EmitFlagNoise(_effects.Undefined);
        _undefined = (ushort)((_undefined & ~_effects.Writes) | _effects.Undefined);
        bool touched = _effects.IsOpen || ((_effects.Writes | _effects.Undefined) & (FlagEffects.Carry | FlagEffects.Overflow)) != 0;
        _carryIsOverflow = multiply || (_carryIsOverflow && !touched);
    }

    /// <summary>Makes the host's flags the guest's.</summary>
    private void DefineFlags()
    {
        if (_undefined == FlagEffects.UndefinedByMultiply && _carryIsOverflow)
        {
            // 1 doubled is 2, without a flag; with CF rotated in at the top it is 2 with CF and OF. A single bit in the low byte leaves PF clear.
            _asm.MovImmediate(HostReg.Scratch, 2);
            _asm.RotateThroughCarryRight32(HostReg.Scratch);
            _asm.AddClobberingFlags32(HostReg.Scratch, HostReg.Scratch);
        }
        else if (_undefined != 0)
        {
            EmitClearFlags(_undefined);
        }
        _undefined = 0;
    }

    /// <summary>Clears these of the status flags, and leaves the others.</summary>
    private void EmitClearFlags(uint flags)
    {
        bool keepsOverflow = (flags & FlagEffects.Overflow) == 0;
        _asm.Mov(HostReg.Scratch, HostReg.Rax);
        _asm.LoadAhFromFlags();
        if (keepsOverflow)
        {
            _asm.SetAlIfOverflow();
        }
        _asm.AndAhClobberingFlags((byte)~flags); // clears OF
        if (keepsOverflow)
        {
            _asm.AddAlClobberingFlags(0x7F); // sets OF if AL is 1
        }
        _asm.StoreAhToFlags();
        _asm.Mov(HostReg.Rax, HostReg.Scratch);
    }

    /// <summary>Behind a shift or rotate by CL, whose count is still in the host's RCX.</summary>
    private void EmitFlagsByCount(in Instruction instruction)
    {
        bool rotates = instruction.Mnemonic is Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Rcl or Mnemonic.Rcr;
        uint byOne = rotates ? 0 : FlagEffects.Adjust;
        bool seen = !IsOverwrittenNext(byOne | FlagEffects.Overflow);
        if (!seen && !_noisy)
        {
            return;
        }
        _asm.MovImmediate(HostReg.Addend, (ulong)FlagEffects.CountMask(instruction));
        _asm.Pext(HostReg.Addend, HostReg.Scratch, HostReg.Addend);
        if (_noisy)
        {
            EmitByCount(byOne, EmitFlagNoise);
        }
        if (seen)
        {
            EmitByCount(byOne, EmitClearFlags);
        }
    }

    /// <summary>Does something to the flags that are undefined for the count in R15.</summary>
    private void EmitByCount(uint undefinedByOne, Action<uint> emit)
    {
        _asm.Mov(HostReg.Scratch, HostReg.Addend);
        int nothing = _asm.Jrcxz();
        _asm.Lea(HostReg.Scratch, HostReg.Scratch, HostReg.None, 0, -1);
        int one = _asm.Jrcxz();
        emit(undefinedByOne | FlagEffects.Overflow);
        if (undefinedByOne == 0)
        {
            _asm.Bind(one);
        }
        else
        {
            int done = _asm.JmpShort();
            _asm.Bind(one);
            emit(undefinedByOne);
            _asm.Bind(done);
        }
        _asm.Bind(nothing);
    }

    /// <summary>
    /// Whether the next instructions overwrite these flags before anyone can look: none of them looks or accesses memory, the block does not end before, and no
    /// debugger stops there.
    /// </summary>
    private bool IsOverwrittenNext(uint flags)
    {
        if (!_regular || _asm.Position > BlockCodeBytesMax - ((InstructionsAhead + 2) * InstructionCodeBytesMax))
        {
            return false;
        }
        ulong ip = _decoder.IP;
        byte* position = _reader.Position;
        for (int i = 1; i <= InstructionsAhead && _index + i < _limit && flags != 0; i++)
        {
            _decoder.Decode(out Instruction next);
            bool plain = !next.IsInvalid && HostBreakpoints?.Contains(next.IP) != true && next.FlowControl == FlowControl.Next
                && ClassOf(next) == InstructionClass.Reemit
                && (InstructionPolicy.Of(next.Code).Access == OperandAccess.None || !InstructionPolicy.HasMemoryOperand(next));
            FlagEffects effects = plain ? FlagEffects.Of(next, _semantics) : FlagEffects.Unknown;
            if (effects.IsOpen || (effects.Reads & flags) != 0)
            {
                break;
            }
            flags &= ~(effects.Writes | effects.Undefined);
        }
        _decoder.IP = ip;
        _reader.Position = position;
        return flags == 0;
    }

    /// <summary>Behind the host's own division: ZF and PF set, the rest clear, as behind a result of zero.</summary>
    private void EmitDivisionFlags()
    {
        if (DefinesAll)
        {
            EmitFlagNoise(FlagEffects.Status);
            _asm.SubClobberingFlags32(HostReg.Scratch, HostReg.Scratch);
        }
    }

    /// <summary>SF, ZF, AF and PF as they were before the multiplication.</summary>
    private void EmitKeptFlags()
    {
        _asm.MovFromFlags(HostReg.Address);
        _asm.AndClobberingFlags(HostReg.Address, ~(int)FlagEffects.UndefinedByMultiply);
        _asm.LoadAbsolute(HostReg.Scratch, _addresses.KeptFlags);
        _asm.AndClobberingFlags(HostReg.Scratch, (int)FlagEffects.UndefinedByMultiply);
        _asm.Lea(HostReg.Address, HostReg.Address, HostReg.Scratch, 0, 0);
        _asm.MovToFlags(HostReg.Address);
    }

    /// <summary>For tests: these flags flipped at random. The generator rotates, multiplies by 9 and adds: enough to hit all combinations.</summary>
    private void EmitFlagNoise(uint flags)
    {
        const int rotation = 23, addend = 0x2545F491, toLowBits = 40;
        if (!_noisy || flags == 0)
        {
            return;
        }
        _asm.MovFromFlags(HostReg.Address);
        _asm.LoadAbsolute(HostReg.Scratch, _addresses.FlagNoise);
        _asm.Rorx(HostReg.Scratch, HostReg.Scratch, rotation);
        _asm.Lea(HostReg.Scratch, HostReg.Scratch, HostReg.Scratch, 3, addend);
        _asm.StoreAbsolute(_addresses.FlagNoise, HostReg.Scratch);
        _asm.Rorx(HostReg.Scratch, HostReg.Scratch, toLowBits);
        _asm.AndClobberingFlags(HostReg.Scratch, (int)flags);
        _asm.XorClobberingFlags64(HostReg.Address, HostReg.Scratch);
        _asm.MovToFlags(HostReg.Address);
    }
}
