using FtAkka.Cpu.Decoding;
using FtAkka.Cpu.Engine;
using Iced.Intel;

namespace FtAkka.Cpu.Translation;

/// <summary>Instructions with emission of their own: branches, stack, division.</summary>
internal sealed partial class BlockTranslator
{
    /// <summary>Answers whether the block goes on behind the instruction.</summary>
    private bool EmitOwn(in Instruction instruction)
    {
        switch (instruction.FlowControl)
        {
            case FlowControl.UnconditionalBranch:
                EmitJumpTo(instruction.NearBranchTarget);
                return false;
            case FlowControl.ConditionalBranch:
                EmitConditionalBranch(instruction);
                return false;
            case FlowControl.Call:
                EmitPushImmediate(instruction.NextIP, 8);
                EmitJumpTo(instruction.NearBranchTarget);
                return false;
            case FlowControl.IndirectBranch:
                EmitReadOperand(instruction, 8, HostReg.Address);
                EmitIndirectJump();
                return false;
            case FlowControl.IndirectCall:
                EmitReadOperand(instruction, 8, HostReg.Address);
                _asm.StoreFrame(FrameLayout.TempB, HostReg.Address);
                EmitPushImmediate(instruction.NextIP, 8);
                _asm.LoadFrame(HostReg.Address, FrameLayout.TempB);
                EmitIndirectJump();
                return false;
            case FlowControl.Return:
                EmitReturn(instruction);
                return false;
            default:
                break;
        }
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Push:
                EmitPush(instruction);
                break;
            case Mnemonic.Pop:
                EmitPop(instruction);
                break;
            case Mnemonic.Leave:
                EmitLeave(instruction);
                break;
            case Mnemonic.Div:
            case Mnemonic.Idiv:
                return EmitDivide(instruction);
            case Mnemonic.Bt:
            case Mnemonic.Bts:
            case Mnemonic.Btr:
            case Mnemonic.Btc:
                return EmitBitString(instruction);
            default:
                throw new InvalidOperationException($"no emission for {instruction.Code}: the instruction policy and the translator disagree.");
        }
        return true;
    }

    private void EmitConditionalBranch(in Instruction instruction)
    {
        ulong target = instruction.NearBranchTarget;
        ulong next = instruction.NextIP;
        ConditionCode condition = instruction.ConditionCode;
        Mnemonic mnemonic = instruction.Mnemonic;
        if (mnemonic is Mnemonic.Jrcxz or Mnemonic.Jecxz)
        {
            MoveCount(mnemonic == Mnemonic.Jecxz);
            int zero = _asm.Jrcxz();
            EmitJumpTo(next);
            _asm.Bind(zero);
            EmitJumpTo(target);
            return;
        }
        if (mnemonic is Mnemonic.Loop or Mnemonic.Loope or Mnemonic.Loopne)
        {
            EmitLoop(instruction, mnemonic, target, next);
            return;
        }
        // ConditionCode.o is 1 in Iced; x86 encodes it as 0.
        EmitConditionalJumpTo((int)condition - 1, target);
        EmitJumpTo(next);
    }

    private void MoveCount(bool narrow)
    {
        if (narrow)
        {
            _asm.Mov32(HostReg.Scratch, HostReg.GuestRcx);
        }
        else
        {
            _asm.Mov(HostReg.Scratch, HostReg.GuestRcx);
        }
    }

    private void EmitLoop(in Instruction instruction, Mnemonic mnemonic, ulong target, ulong next)
    {
        bool narrow = instruction.Code is Code.Loop_rel8_64_ECX or Code.Loope_rel8_64_ECX or Code.Loopne_rel8_64_ECX;
        _asm.Lea(HostReg.GuestRcx, HostReg.GuestRcx, HostReg.None, 0, -1, wide: !narrow);
        MoveCount(narrow);
        int exhausted = _asm.Jrcxz();
        int condition = mnemonic == Mnemonic.Loope ? 4 : 5;
        if (mnemonic == Mnemonic.Loop)
        {
            EmitJumpTo(target);
        }
        else
        {
            EmitConditionalJumpTo(condition, target);
            EmitJumpTo(next);
        }
        _asm.Bind(exhausted);
        EmitJumpTo(next);
    }

    private void EmitReturn(in Instruction instruction)
    {
        int extra = instruction.OpCount == 1 ? instruction.Immediate16 : 0;
        EmitCheck(HostReg.GuestRsp, 8, write: false, stack: true);
        _asm.Load(HostReg.Address, HostReg.GuestRsp, HostReg.Addend, 8);
        _asm.Lea(HostReg.GuestRsp, HostReg.GuestRsp, HostReg.None, 0, 8 + extra);
        EmitIndirectJump();
    }

    /// <summary>Reads operand 0 (register or memory) into a host register, zero-extended.</summary>
    private void EmitReadOperand(in Instruction instruction, int size, int destination)
    {
        if (instruction.Op0Kind == OpKind.Register)
        {
            EmitReadRegister(GprNumber(instruction.Op0Register), destination);
            return;
        }
        int address = EmitEffectiveAddress(instruction);
        EmitCheck(address, size, write: false, stack: IsStackSegment(instruction));
        _asm.Load(destination, address, HostReg.Addend, size);
    }

    private void EmitReadRegister(int guest, int destination)
    {
        int host = HostOf(guest);
        if (host == HostReg.None)
        {
            _asm.LoadFrame(destination, SlotOf(guest));
        }
        else
        {
            _asm.Mov(destination, host);
        }
    }

    /// <summary>Checks the stack slot below RSP for writing and leaves its address in r14, addend in r15.</summary>
    private void EmitPushCheck(int size)
    {
        _asm.Lea(HostReg.Address, HostReg.GuestRsp, HostReg.None, 0, -size);
        EmitCheck(HostReg.Address, size, write: true, stack: true);
    }

    private void EmitPushImmediate(ulong value, int size)
    {
        EmitPushCheck(size);
        if (size == 2 || (long)value is >= int.MinValue and <= int.MaxValue)
        {
            _asm.StoreImmediate(HostReg.Address, HostReg.Addend, (int)(long)value, size);
        }
        else
        {
            _asm.MovImmediate(HostReg.Scratch, value);
            _asm.Store(HostReg.Address, HostReg.Addend, HostReg.Scratch, size);
        }
        _asm.Mov(HostReg.GuestRsp, HostReg.Address);
    }

    private static int StackSize(in Instruction instruction) => instruction.StackPointerIncrement is 2 or -2 ? 2 : 8;

    private void EmitPush(in Instruction instruction)
    {
        int size = StackSize(instruction);
        if (instruction.Op0Kind == OpKind.Register)
        {
            int guest = GprNumber(instruction.Op0Register);
            EmitPushCheck(size);
            int host = HostOf(guest);
            if (host == HostReg.None)
            {
                host = HostReg.Scratch;
                _asm.LoadFrame(host, SlotOf(guest));
            }
            _asm.Store(HostReg.Address, HostReg.Addend, host, size);
            _asm.Mov(HostReg.GuestRsp, HostReg.Address);
        }
        else if (instruction.Op0Kind == OpKind.Memory)
        {
            EmitReadOperand(instruction, size, HostReg.Scratch);
            _asm.StoreFrame(FrameLayout.TempA, HostReg.Scratch);
            EmitPushCheck(size);
            _asm.LoadFrame(HostReg.Scratch, FrameLayout.TempA);
            _asm.Store(HostReg.Address, HostReg.Addend, HostReg.Scratch, size);
            _asm.Mov(HostReg.GuestRsp, HostReg.Address);
        }
        else
        {
            EmitPushImmediate(instruction.GetImmediate(0), size);
        }
    }

    private void EmitPop(in Instruction instruction)
    {
        int size = StackSize(instruction);
        EmitCheck(HostReg.GuestRsp, size, write: false, stack: true);
        if (instruction.Op0Kind == OpKind.Memory)
        {
            _asm.Load(HostReg.Scratch, HostReg.GuestRsp, HostReg.Addend, size);
            _asm.StoreFrame(FrameLayout.TempA, HostReg.Scratch);
            // The address of POP m is computed from the incremented RSP (Intel SDM vol. 2, POP).
            bool relative = instruction.MemoryBase is Register.RSP or Register.ESP;
            int address = EmitEffectiveAddress(instruction, relative ? size : 0);
            EmitCheck(address, size, write: true, stack: IsStackSegment(instruction));
            _asm.LoadFrame(HostReg.Scratch, FrameLayout.TempA);
            _asm.Store(address, HostReg.Addend, HostReg.Scratch, size);
            _asm.Lea(HostReg.GuestRsp, HostReg.GuestRsp, HostReg.None, 0, size);
            return;
        }
        int guest = GprNumber(instruction.Op0Register);
        if (size == 8)
        {
            int host = HostOf(guest);
            int destination = host is HostReg.None or HostReg.GuestRsp ? HostReg.Scratch : host;
            _asm.Load(destination, HostReg.GuestRsp, HostReg.Addend, 8);
            if (host == HostReg.GuestRsp)
            {
                _asm.Mov(HostReg.GuestRsp, HostReg.Scratch);
                return;
            }
            _asm.Lea(HostReg.GuestRsp, HostReg.GuestRsp, HostReg.None, 0, 8);
            if (host == HostReg.None)
            {
                _asm.StoreFrame(SlotOf(guest), HostReg.Scratch);
            }
            return;
        }
        _asm.Load(HostReg.Addend, HostReg.GuestRsp, HostReg.Addend, 2);
        _asm.Lea(HostReg.GuestRsp, HostReg.GuestRsp, HostReg.None, 0, 2);
        EmitMergeWord(guest, HostReg.Addend);
    }

    /// <summary>Writes the low 16 bits of <paramref name="source"/> into a guest register, keeping its upper 48.</summary>
    private void EmitMergeWord(int guest, int source) => EmitWriteRegister(guest, source, 2);

    /// <summary>
    /// BT, BTS, BTR, BTC. With a register offset the memory form is a bit string: the operand accessed lies (offset >> log2 bits)
    /// operands away (Intel SDM vol. 2, BT), so the address is computed first and the offset reduced to one operand.
    /// </summary>
    private bool EmitBitString(in Instruction source)
    {
        ref readonly InstructionRule rule = ref InstructionPolicy.Of(source.Code);
        if (!rule.Has(InstructionTraits.BitString) || source.Op0Kind != OpKind.Memory)
        {
            return EmitReencoded(source);
        }
        Instruction instruction = source;
        InstructionPolicy.StripPrefixes(ref instruction);
        int size = rule.MemoryBytes;
        int offset = GprNumber(source.Op1Register);
        int address = EmitEffectiveAddress(instruction);
        EmitReadRegister(offset, HostReg.Scratch);
        if (size == 2)
        {
            _asm.MovsxWord(HostReg.Scratch, HostReg.Scratch);
        }
        else if (size == 4)
        {
            _asm.MovsxDword(HostReg.Scratch, HostReg.Scratch);
        }
        _asm.MovImmediate(HostReg.Addend, (ulong)System.Numerics.BitOperations.Log2((uint)size * 8));
        _asm.Sarx(HostReg.Scratch, HostReg.Scratch, HostReg.Addend);
        _asm.Lea(HostReg.Address, address, HostReg.Scratch, System.Numerics.BitOperations.Log2((uint)size), 0, wide: !IsNarrowAddress(instruction));
        EmitCheck(HostReg.Address, size, rule.Access != OperandAccess.Read, stack: IsStackSegment(source));
        _asm.Lea(HostReg.Address, HostReg.Address, HostReg.Addend, 0, 0);
        EmitReadRegister(offset, HostReg.Scratch);
        _asm.MovImmediate(HostReg.Addend, (ulong)((size * 8) - 1));
        _asm.Pext(HostReg.Scratch, HostReg.Scratch, HostReg.Addend);
        SetMemory(ref instruction, HostReg.Address, HostReg.None);
        instruction.Op1Register = WithNumber(source.Op1Register, HostReg.Scratch);
        Encode(instruction);
        return true;
    }

    private void EmitLeave(in Instruction instruction)
    {
        int size = StackSize(instruction);
        if (instruction.Code == Code.Leavew)
        {
            size = 2;
        }
        EmitCheck(HostReg.Rbp, size, write: false, stack: true);
        _asm.Load(HostReg.Scratch, HostReg.Rbp, HostReg.Addend, size);
        _asm.Lea(HostReg.GuestRsp, HostReg.Rbp, HostReg.None, 0, size);
        if (size == 8)
        {
            _asm.Mov(HostReg.Rbp, HostReg.Scratch);
        }
        else
        {
            EmitMergeWord(HostReg.Rbp, HostReg.Scratch);
        }
    }
}
