using FtAkka.Cpu.Decoding;
using FtAkka.Cpu.Engine;
using Iced.Intel;

namespace FtAkka.Cpu.Translation;

/// <summary>
/// Instructions that name AH, BH, CH or DH. They cannot carry a REX prefix, so neither r8 to r15 nor [r14 + r15] may stand in them:
/// guest RCX goes back to host RCX (or another legacy register) for the one instruction, and the address into a legacy register.
/// </summary>
internal sealed partial class BlockTranslator
{
    private static bool IsHighByte(Register register) => register is >= Register.AH and <= Register.BH;

    private static bool NamesHighByte(in Instruction instruction)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Register && IsHighByte(instruction.GetOpRegister(i)))
            {
                return true;
            }
        }
        return false;
    }

    private static int LegacyNumber(Register register) =>
        IsHighByte(register) ? register - Register.AH : GprNumber(register);

    private void EmitWithHighByte(ref Instruction instruction, in InstructionRule rule)
    {
        bool memory = rule.Access != OperandAccess.None && InstructionPolicy.HasMemoryOperand(instruction);
        uint used = 0;
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Register)
            {
                used |= 1u << LegacyNumber(instruction.GetOpRegister(i));
            }
        }
        if (instruction.Mnemonic is Mnemonic.Cmpxchg or Mnemonic.Mul or Mnemonic.Imul)
        {
            used |= 1u << HostReg.Rax;
        }
        bool countInCl = rule.Has(InstructionTraits.ImplicitRcx);
        bool usesRcx = (used & (1u << HostReg.Rcx)) != 0 || countInCl;
        bool usesRsp = (used & (1u << HostReg.Rsp)) != 0;
        if (memory)
        {
            int address = EmitEffectiveAddress(instruction);
            EmitCheck(address, rule.MemoryBytes, rule.Access != OperandAccess.Read, rule.Alignment, IsStackSegment(instruction));
            _asm.Lea(HostReg.R14, address, HostReg.R15, 0, 0);
        }
        // Legacy registers that stand in for guest RCX, guest RSP and the address; each is saved in the frame meanwhile.
        int standInAddress = memory ? TakeLegacy(ref used, allowRcx: !usesRcx) : HostReg.None;
        int standInRcx = usesRcx ? HostReg.Rcx : HostReg.None;
        int standInRsp = usesRsp ? TakeLegacy(ref used, allowRcx: !usesRcx && standInAddress != HostReg.Rcx) : HostReg.None;
        SaveLegacy(standInAddress, FrameLayout.TempA);
        SaveLegacy(standInRsp, FrameLayout.TempB);
        if (usesRcx)
        {
            _asm.Mov(HostReg.Rcx, HostReg.GuestRcx);
        }
        if (usesRsp)
        {
            _asm.Mov(standInRsp, HostReg.GuestRsp);
        }
        if (memory)
        {
            _asm.Mov(standInAddress, HostReg.R14);
            SetMemory(ref instruction, standInAddress, HostReg.None);
        }
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Register && GprNumber(instruction.GetOpRegister(i)) == HostReg.Rsp)
            {
                SetOpRegister(ref instruction, i, WithNumber(instruction.GetOpRegister(i), standInRsp));
            }
        }
        Encode(instruction);
        if (standInRcx != HostReg.None)
        {
            _asm.Mov(HostReg.GuestRcx, HostReg.Rcx);
        }
        if (usesRsp)
        {
            _asm.Mov(HostReg.GuestRsp, standInRsp);
        }
        RestoreLegacy(standInAddress, FrameLayout.TempA);
        RestoreLegacy(standInRsp, FrameLayout.TempB);
    }

    /// <summary>Picks rcx (free scratch) or a legacy register the instruction does not use.</summary>
    private static int TakeLegacy(ref uint used, bool allowRcx)
    {
        ReadOnlySpan<int> candidates = [HostReg.Rcx, HostReg.Rsi, HostReg.Rdi, HostReg.Rbx, HostReg.Rdx, HostReg.Rax];
        foreach (int candidate in candidates)
        {
            if ((used & (1u << candidate)) == 0 && (candidate != HostReg.Rcx || allowRcx))
            {
                used |= 1u << candidate;
                return candidate;
            }
        }
        throw new InvalidOperationException("an instruction names more registers than x86 has operands.");
    }

    private void SaveLegacy(int register, int slot)
    {
        if (register is not HostReg.None and not HostReg.Rcx)
        {
            _asm.StoreFrame(slot, register);
        }
    }

    private void RestoreLegacy(int register, int slot)
    {
        if (register is not HostReg.None and not HostReg.Rcx)
        {
            _asm.LoadFrame(register, slot);
        }
    }
}
