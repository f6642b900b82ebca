using FtAkka.Cpu.State;
using Iced.Intel;
using unsafe Handler = delegate*<FtAkka.Cpu.Architecture.CpuContext, in Iced.Intel.Instruction, FtAkka.Cpu.Architecture.InstructionOutcome>;

namespace FtAkka.Cpu.Architecture;

/// <content>Control and debug registers, cache and TLB control (Intel SDM vol. 3A, 2.5; vol. 3B, 17.2).</content>
internal static unsafe partial class SystemInstructions
{
    private static void AddControl(Handler[] table)
    {
        Add(table, &MovFromCr, Code.Mov_r64_cr);
        Add(table, &MovToCr, Code.Mov_cr_r64);
        Add(table, &MovFromDr, Code.Mov_r64_dr);
        Add(table, &MovToDr, Code.Mov_dr_r64);
        Add(table, &Clts, Code.Clts);
        Add(table, &Lmsw, Code.Lmsw_rm16, Code.Lmsw_r32m16, Code.Lmsw_r64m16);
        Add(table, &Smsw, Code.Smsw_rm16, Code.Smsw_r32m16, Code.Smsw_r64m16);
        Add(table, &Invlpg, Code.Invlpg_m);
        Add(table, &CacheControl, Code.Invd, Code.Wbinvd);
    }

    private static InstructionOutcome MovFromCr(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        ulong value = 0;
        if (s->Cpl != 0)
            return c.RaiseGp();
        switch (i.Op1Register)
        {
            case Register.CR0: value = s->Cr0; break;
            case Register.CR2: value = s->Cr2; break;
            case Register.CR3: value = s->Cr3; break;
            case Register.CR4: value = s->Cr4; break;
            case Register.CR8: value = c.Bus.ReadCr8(); break;
            default: return c.RaiseUd();
        }
        c.WriteRegister(i.Op0Register, value);
        return c.Retire(in i);
    }

    private static InstructionOutcome MovToCr(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if (s->Cpl != 0)
            return c.RaiseGp();
        ulong value = c.ReadRegister(i.Op1Register);
        bool accepted;
        switch (i.Op0Register)
        {
            case Register.CR0: accepted = TryWriteCr0(c, value); break;
            case Register.CR2: s->Cr2 = value; accepted = true; break;
            case Register.CR3: accepted = TryWriteCr3(c, value); break;
            case Register.CR4: accepted = TryWriteCr4(c, value); break;
            case Register.CR8:
                accepted = value <= 15;
                if (accepted)
                    c.Bus.WriteCr8(value);
                break;
            default: return c.RaiseUd();
        }
        return accepted ? c.Retire(in i) : c.RaiseGp();
    }

    /// <summary>
    /// False = #GP(0). Reserved bits of the low half are ignored. Paging cannot be turned off: that would leave long mode, which the
    /// architecture refuses from a 64-bit code segment, and all code here is 64-bit.
    /// </summary>
    private static bool TryWriteCr0(CpuContext c, ulong value)
    {
        CpuState* s = c.State;
        if (value >> 32 != 0)
            return false;
        value = (value & Cr0.Defined) | Cr0.ExtensionType;
        const ulong LongMode = Cr0.Paging | Cr0.ProtectionEnable;
        if ((value & LongMode) != LongMode || ((value & Cr0.NotWriteThrough) != 0 && (value & Cr0.CacheDisable) == 0))
            return false;
        s->Cr0 = value;
        c.Mmu.ControlRegistersChanged();
        return true;
    }

    private static bool TryWriteCr3(CpuContext c, ulong value)
    {
        if (value >> CpuModel.PhysicalAddressBits != 0)
            return false;
        c.State->Cr3 = value;
        c.Mmu.FlushNonGlobal();
        return true;
    }

    private static bool TryWriteCr4(CpuContext c, ulong value)
    {
        CpuState* s = c.State;
        if ((value & ~Cr4.Defined) != 0 || (value & Cr4.PhysicalAddressExtension) == 0)
            return false;
        s->Cr4 = value;
        c.Mmu.ControlRegistersChanged();
        return true;
    }

    /// <summary>Checks common to both directions of MOV DR. The register number is 0 to 3, 6 or 7 on success.</summary>
    private static bool TryAccessDr(CpuContext c, Register register, out int number)
    {
        CpuState* s = c.State;
        number = register - Register.DR0;
        if (s->Cpl != 0)
            return c.Refuse(Vector.GeneralProtection, 0);
        if (number is 4 or 5)
        {
            if ((s->Cr4 & Cr4.DebuggingExtensions) != 0)
            {
                c.RaiseUd();
                return false;
            }
            number += 2;
        }
        if ((s->Dr7 & DebugTraps.GeneralDetect) == 0)
            return true;
        s->Dr6 |= DebugTraps.AccessDetected;
        c.Raise(GuestFault.Of(Vector.Debug));
        return false;
    }

    private static InstructionOutcome MovFromDr(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if (!TryAccessDr(c, i.Op1Register, out int number))
            return InstructionOutcome.Fault;
        ulong value = number switch { 0 => s->Dr0, 1 => s->Dr1, 2 => s->Dr2, 3 => s->Dr3, 6 => s->Dr6, _ => s->Dr7 };
        c.WriteRegister(i.Op0Register, value);
        return c.Retire(in i);
    }

    private static InstructionOutcome MovToDr(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if (!TryAccessDr(c, i.Op0Register, out int number))
            return InstructionOutcome.Fault;
        ulong value = c.ReadRegister(i.Op1Register);
        if (number >= 6 && value >> 32 != 0)
            return c.RaiseGp();
        switch (number)
        {
            case 0: s->Dr0 = value; break;
            case 1: s->Dr1 = value; break;
            case 2: s->Dr2 = value; break;
            case 3: s->Dr3 = value; break;
            case 6: s->Dr6 = DebugTraps.Dr6Written(value); break;
            default: s->Dr7 = DebugTraps.Dr7Written(value); break;
        }
        return c.Retire(in i);
    }

    private static InstructionOutcome Clts(CpuContext c, in Instruction i)
    {
        if (c.State->Cpl != 0)
            return c.RaiseGp();
        c.State->Cr0 &= ~Cr0.TaskSwitched;
        return c.Retire(in i);
    }

    /// <summary>Loads PE, MP, EM and TS; PE can be set but not cleared.</summary>
    private static InstructionOutcome Lmsw(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if (s->Cpl != 0)
            return c.RaiseGp();
        if (!c.TryReadOperand(in i, 0, 2, out ulong value))
            return InstructionOutcome.Fault;
        s->Cr0 = (s->Cr0 & ~0xEul) | (value & 0xF);
        return c.Retire(in i);
    }

    /// <summary>Not privileged: the model has no UMIP.</summary>
    private static InstructionOutcome Smsw(CpuContext c, in Instruction i) => StoreWord(c, in i, c.State->Cr0);

    /// <summary>SMSW, SLDT, STR, MOV from Sreg: memory takes 16 bits, a register takes its whole width.</summary>
    private static InstructionOutcome StoreWord(CpuContext c, in Instruction i, ulong value)
    {
        if (i.Op0Kind == OpKind.Register)
            c.WriteRegister(i.Op0Register, value);
        else if (!c.TryWrite(EffectiveAddress.Compute(c.State, in i), 2, EffectiveAddress.IsStack(in i), (ushort)value))
            return InstructionOutcome.Fault;
        return c.Retire(in i);
    }

    private static InstructionOutcome Invlpg(CpuContext c, in Instruction i)
    {
        if (c.State->Cpl != 0)
            return c.RaiseGp();
        ulong address = EffectiveAddress.Compute(c.State, in i);
        if (GuestAccess.IsCanonical(address))
            c.Mmu.InvalidatePage(address);
        return c.Retire(in i);
    }

    /// <summary>INVD and WBINVD: there is no cache to write back or to lose.</summary>
    private static InstructionOutcome CacheControl(CpuContext c, in Instruction i) => c.State->Cpl != 0 ? c.RaiseGp() : c.Retire(in i);
}
