using FtAkka.Cpu.Engine;
using Iced.Intel;

namespace FtAkka.Cpu.Translation;

/// <summary>
/// REP STOS and REP MOVS upwards inside one page at each end, which is how kernels clear and copy almost everything: the host's own instruction on the host
/// addresses. All else (another direction, page ends, a miss, a page with translated code or tables, a count of 0, too little budget) leaves before anything changes.
/// </summary>
internal sealed unsafe partial class BlockTranslator
{
    private const int DirectionFlag = 1 << 10;

    /// <summary>Counts from 2^13 + 1 on never fit in a page.</summary>
    private const int CountBits = 13;

    private bool TryEmitString(in Instruction instruction)
    {
        (int size, bool move) = instruction.Code switch
        {
            Code.Stosb_m8_AL => (1, false),
            Code.Stosw_m16_AX => (2, false),
            Code.Stosd_m32_EAX => (4, false),
            Code.Stosq_m64_RAX => (8, false),
            Code.Movsb_m8_m8 => (1, true),
            Code.Movsw_m16_m16 => (2, true),
            Code.Movsd_m32_m32 => (4, true),
            Code.Movsq_m64_m64 => (8, true),
            _ => (0, false),
        };
        bool plain = size != 0 && instruction.HasRepPrefix && !instruction.HasRepnePrefix && instruction.Op0Kind == OpKind.MemoryESRDI
            && (!move || (instruction.Op1Kind == OpKind.MemorySegRSI && instruction.MemorySegment is not (Register.FS or Register.GS)))
            && (_block.Mode & BlockMode.AlignmentCheck) == 0;
        if (!plain)
        {
            return false;
        }
        EmitStringConditions(size, move);
        EmitExitUnlessZero(instruction);
        _asm.LoadFrame(HostReg.Scratch, FrameLayout.TempB);
        _asm.StoreFrame(FrameLayout.Budget, HostReg.Scratch);
        if (move)
        {
            EmitHostAddress(HostReg.Rsi, HostReg.Address);
        }
        EmitHostAddress(HostReg.Rdi, HostReg.Addend);
        _asm.Mov(HostReg.Scratch, HostReg.GuestRcx);
        _asm.RepString(move, size);
        EmitGuestAddress(HostReg.Rdi, HostReg.Addend);
        if (move)
        {
            EmitGuestAddress(HostReg.Rsi, HostReg.Address);
        }
        _asm.MovImmediate(HostReg.GuestRcx, 0);
        return true;
    }

    /// <summary>
    /// rcx = 0 if all may be done at once. It is a sum of terms none of which is negative and which are too small, together, to wrap: each is 0. The frame's
    /// TempB gets the countdown behind the instruction: each iteration counts, and the head of the block has taken off one.
    /// </summary>
    private void EmitStringConditions(int size, bool move)
    {
        // DF.
        _asm.MovFromFlags(HostReg.Address);
        _asm.MovImmediate(HostReg.Addend, DirectionFlag);
        _asm.Pext(HostReg.Address, HostReg.Address, HostReg.Addend);
        // A count of 0 or far too large.
        _asm.Lea(HostReg.Scratch, HostReg.GuestRcx, HostReg.None, 0, -1);
        _asm.MovImmediate(HostReg.Addend, CountBits);
        _asm.Shrx(HostReg.Scratch, HostReg.Scratch, HostReg.Addend);
        _asm.Lea(HostReg.Address, HostReg.Address, HostReg.Scratch, 0, 0);
        // 1 - (countdown - (count - 1)) / 2^32: 0 while the countdown is not below zero.
        _asm.Mov(HostReg.Scratch, HostReg.GuestRcx);
        _asm.Not(HostReg.Scratch);
        _asm.LoadFrame(HostReg.Addend, FrameLayout.Budget);
        _asm.Lea(HostReg.Scratch, HostReg.Scratch, HostReg.Addend, 0, 2);
        _asm.StoreFrame(FrameLayout.TempB, HostReg.Scratch);
        _asm.MovImmediate(HostReg.Addend, 32);
        _asm.Shrx(HostReg.Scratch, HostReg.Scratch, HostReg.Addend);
        _asm.Not(HostReg.Scratch);
        _asm.Lea(HostReg.Scratch, HostReg.Scratch, HostReg.None, 0, 2, wide: false);
        _asm.Lea(HostReg.Address, HostReg.Address, HostReg.Scratch, 0, 0);
        if (move)
        {
            EmitRunCheck(HostReg.Rsi, size, (long)_tlb.ReadTags(TlbSet));
            _asm.Lea(HostReg.Address, HostReg.Address, HostReg.Scratch, 0, 0);
        }
        EmitRunCheck(HostReg.Rdi, size, (long)_tlb.WriteTags(TlbSet));
        _asm.Lea(HostReg.Scratch, HostReg.Address, HostReg.Scratch, 0, 0);
    }

    /// <summary>rcx = 0 if all elements from an address on lie in its page and the soft TLB lets them pass.</summary>
    private void EmitRunCheck(int address, int size, long tags)
    {
        _asm.Shrx(HostReg.Addend, address, HostReg.Rsp);
        _asm.MovzxWord(HostReg.Addend, HostReg.Addend);
        _asm.LoadTable(HostReg.Scratch, HostReg.Addend, tags);
        _asm.Lea(HostReg.Scratch, HostReg.Scratch, address, 0, -1);
        _asm.Lea(HostReg.Scratch, HostReg.Scratch, HostReg.GuestRcx, System.Numerics.BitOperations.Log2((uint)size), 0);
        _asm.Shrx(HostReg.Scratch, HostReg.Scratch, HostReg.Rsp);
    }

    /// <summary>Turns a guest address register into a host address and leaves the addend.</summary>
    private void EmitHostAddress(int register, int addend)
    {
        _asm.Shrx(addend, register, HostReg.Rsp);
        _asm.MovzxWord(addend, addend);
        _asm.LoadTable(addend, addend, (long)_tlb.Addends(TlbSet));
        _asm.Lea(register, register, addend, 0, 0);
    }

    private void EmitGuestAddress(int register, int addend)
    {
        _asm.Not(addend);
        _asm.Lea(register, register, addend, 0, 1);
    }
}
