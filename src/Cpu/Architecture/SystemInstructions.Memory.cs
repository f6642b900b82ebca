using FtAkka.Cpu.State;
using Iced.Intel;
using unsafe Handler = delegate*<FtAkka.Cpu.Architecture.CpuContext, in Iced.Intel.Instruction, FtAkka.Cpu.Architecture.InstructionOutcome>;

namespace FtAkka.Cpu.Architecture;

/// <content>Instructions whose memory access does not fit the emitted single-access pattern: ENTER, XLAT, masked moves, cache line flushes.</content>
internal static unsafe partial class SystemInstructions
{
    private static void AddMemory(Handler[] table)
    {
        Add(table, &Enter, Code.Enterw_imm16_imm8, Code.Enterq_imm16_imm8);
        Add(table, &Xlat, Code.Xlat_m8);
        Add(table, &Maskmovdqu, Code.Maskmovdqu_rDI_xmm_xmm);
        Add(table, &Maskmovq, Code.Maskmovq_rDI_mm_mm);
        Add(table, &FlushLine, Code.Clflush_m8, Code.Clflushopt_m8);
    }

    /// <summary>
    /// Registers change only at the end, so a fault in the middle leaves at most words below RSP written. The final RSP must be
    /// writable (SDM vol. 2, ENTER).
    /// </summary>
    private static InstructionOutcome Enter(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        int size = i.Code == Code.Enterw_imm16_imm8 ? 2 : 8;
        uint allocation = i.Immediate16;
        int level = i.Immediate8_2nd & 31;
        ulong rsp = s->Gpr[4] - (uint)size;
        ulong rbp = s->Gpr[5];
        if (!c.TryWrite(rsp, size, stack: true, rbp))
            return InstructionOutcome.Fault;
        ulong frame = rsp;
        for (int n = 1; n < level; n++)
        {
            rbp -= (uint)size;
            rsp -= (uint)size;
            if (!c.TryRead(rbp, size, stack: true, out ulong link) || !c.TryWrite(rsp, size, stack: true, link))
                return InstructionOutcome.Fault;
        }
        if (level > 0)
        {
            rsp -= (uint)size;
            if (!c.TryWrite(rsp, size, stack: true, frame))
                return InstructionOutcome.Fault;
        }
        rsp -= allocation;
        if (!c.TryProbeWrite(rsp, size, stack: true))
            return InstructionOutcome.Fault;
        s->Gpr[4] = rsp;
        s->Gpr[5] = size == 2 ? (s->Gpr[5] & ~0xFFFFul) | (ushort)frame : frame;
        return c.Retire(in i);
    }

    private static InstructionOutcome Xlat(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        ulong offset = s->Gpr[3] + (byte)s->Gpr[0];
        if (i.MemoryBase == Register.EBX)
            offset = (uint)offset;
        if (!c.TryRead(offset + EffectiveAddress.SegmentBase(s, i.MemorySegment), 1, stack: false, out ulong value))
            return InstructionOutcome.Fault;
        c.WriteRegister(Register.AL, value);
        return c.Retire(in i);
    }

    private static InstructionOutcome Maskmovdqu(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if (!X87.TryEnterSse(c))
            return InstructionOutcome.Fault;
        var data = new ReadOnlySpan<byte>(s->Vector + ((i.Op1Register - Register.XMM0) * 32), 16);
        var mask = new ReadOnlySpan<byte>(s->Vector + ((i.Op2Register - Register.XMM0) * 32), 16);
        return StoreMasked(c, in i, data, mask) ? c.Retire(in i) : InstructionOutcome.Fault;
    }

    private static InstructionOutcome Maskmovq(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if (!X87.TryEnterMmx(c))
            return InstructionOutcome.Fault;
        var data = new ReadOnlySpan<byte>(X87.MmxRegister(s, i.Op1Register - Register.MM0), 8);
        var mask = new ReadOnlySpan<byte>(X87.MmxRegister(s, i.Op2Register - Register.MM0), 8);
        if (!StoreMasked(c, in i, data, mask))
            return InstructionOutcome.Fault;
        X87.BecomeMmx(s);
        return c.Retire(in i);
    }

    /// <summary>Stores the bytes whose mask byte has its top bit set; the others are neither written nor checked. All checks come before the first byte.</summary>
    private static bool StoreMasked(CpuContext c, in Instruction i, ReadOnlySpan<byte> data, ReadOnlySpan<byte> mask)
    {
        CpuState* s = c.State;
        ulong offset = i.Op0Kind == OpKind.MemorySegEDI ? (uint)s->Gpr[7] : s->Gpr[7];
        ulong address = offset + EffectiveAddress.SegmentBase(s, i.MemorySegment);
        int first = -1, last = -1;
        for (int n = 0; n < mask.Length; n++)
        {
            if (mask[n] < 0x80)
                continue;
            first = first < 0 ? n : first;
            last = n;
        }
        if (first < 0)
            return true;
        // The run lies in at most two pages; its ends cover both.
        if (!c.TryProbeWrite(address + (uint)first, 1, stack: false) || !c.TryProbeWrite(address + (uint)last, 1, stack: false))
            return false;
        for (int n = first; n <= last; n++)
        {
            if (mask[n] >= 0x80 && !c.TryWrite(address + (uint)n, 1, stack: false, data[n]))
                return false;
        }
        return true;
    }

    /// <summary>CLFLUSH and CLFLUSHOPT: access checks of a byte load, nothing to flush.</summary>
    private static InstructionOutcome FlushLine(CpuContext c, in Instruction i)
    {
        ulong address = EffectiveAddress.Compute(c.State, in i);
        if (c.TryGetPointer(address, 1, write: false, out _))
            return c.Retire(in i);
        if (c.Fault.Vector == Vector.GeneralProtection && EffectiveAddress.IsStack(in i))
            c.Fault = GuestFault.WithError(Vector.StackFault, 0);
        return InstructionOutcome.Fault;
    }
}
