using System.Buffers.Binary;
using FtAkka.Cpu.State;
using Iced.Intel;
using unsafe Handler = delegate*<FtAkka.Cpu.Architecture.CpuContext, in Iced.Intel.Instruction, FtAkka.Cpu.Architecture.InstructionOutcome>;

namespace FtAkka.Cpu.Architecture;

/// <content>Segment registers, descriptor tables and their inspection (Intel SDM vol. 3A, 3.4 to 3.5, 5.10).</content>
internal static unsafe partial class SystemInstructions
{
    private const uint AvailableTss = 9, BusyTss = 11, LocalTable = 2, CallGate = 12;

    private static void AddSegments(Handler[] table)
    {
        Add(table, &MovFromSreg, Code.Mov_rm16_Sreg, Code.Mov_r32m16_Sreg, Code.Mov_r64m16_Sreg);
        Add(table, &MovToSreg, Code.Mov_Sreg_rm16, Code.Mov_Sreg_r32m16, Code.Mov_Sreg_r64m16);
        Add(table, &PushSreg, Code.Pushw_FS, Code.Pushq_FS, Code.Pushw_GS, Code.Pushq_GS);
        Add(table, &PopSreg, Code.Popw_FS, Code.Popq_FS, Code.Popw_GS, Code.Popq_GS);
        Add(table, &LoadFarPointer, Code.Lss_r16_m1616, Code.Lss_r32_m1632, Code.Lss_r64_m1664, Code.Lfs_r16_m1616, Code.Lfs_r32_m1632,
            Code.Lfs_r64_m1664, Code.Lgs_r16_m1616, Code.Lgs_r32_m1632, Code.Lgs_r64_m1664);
        Add(table, &LoadTable, Code.Lgdt_m1664, Code.Lidt_m1664);
        Add(table, &StoreTable, Code.Sgdt_m1664, Code.Sidt_m1664);
        Add(table, &Lldt, Code.Lldt_rm16, Code.Lldt_r32m16, Code.Lldt_r64m16);
        Add(table, &Ltr, Code.Ltr_rm16, Code.Ltr_r32m16, Code.Ltr_r64m16);
        Add(table, &Sldt, Code.Sldt_rm16, Code.Sldt_r32m16, Code.Sldt_r64m16);
        Add(table, &Str, Code.Str_rm16, Code.Str_r32m16, Code.Str_r64m16);
        Add(table, &Lar, Code.Lar_r16_rm16, Code.Lar_r32_r32m16, Code.Lar_r64_r64m16);
        Add(table, &Lsl, Code.Lsl_r16_rm16, Code.Lsl_r32_r32m16, Code.Lsl_r64_r64m16);
        Add(table, &Verr, Code.Verr_rm16, Code.Verr_r32m16, Code.Verr_r64m16);
        Add(table, &Verw, Code.Verw_rm16, Code.Verw_r32m16, Code.Verw_r64m16);
        Add(table, &ReadSegmentBase, Code.Rdfsbase_r32, Code.Rdfsbase_r64, Code.Rdgsbase_r32, Code.Rdgsbase_r64);
        Add(table, &WriteSegmentBase, Code.Wrfsbase_r32, Code.Wrfsbase_r64, Code.Wrgsbase_r32, Code.Wrgsbase_r64);
    }

    private static SegmentIndex ToIndex(Register register) => register switch
    {
        Register.ES => SegmentIndex.Es,
        Register.CS => SegmentIndex.Cs,
        Register.SS => SegmentIndex.Ss,
        Register.DS => SegmentIndex.Ds,
        Register.FS => SegmentIndex.Fs,
        _ => SegmentIndex.Gs,
    };

    /// <summary>Loads any segment register but CS. An SS load does not start the interrupt shadow: only MOV SS does.</summary>
    private static bool TryLoadSegment(CpuContext c, SegmentIndex index, ushort selector)
    {
        if (index != SegmentIndex.Ss)
            return Segmentation.TryLoadData(c, index, selector);
        if (!Segmentation.TryPrepareStack(c, selector, c.State->Cpl, out SegmentRegister register))
            return false;
        c.State->Ss = register;
        return true;
    }

    private static InstructionOutcome MovFromSreg(CpuContext c, in Instruction i) =>
        StoreWord(c, in i, CpuState.Segment(c.State, ToIndex(i.Op1Register)).Selector);

    private static InstructionOutcome MovToSreg(CpuContext c, in Instruction i)
    {
        SegmentIndex index = ToIndex(i.Op0Register);
        if (index == SegmentIndex.Cs)
            return c.RaiseUd();
        if (!c.TryReadOperand(in i, 1, 2, out ulong selector) || !TryLoadSegment(c, index, (ushort)selector))
            return InstructionOutcome.Fault;
        if (index == SegmentIndex.Ss)
            c.State->InterruptShadow = Shadow.MovSs;
        return c.Retire(in i);
    }

    private static InstructionOutcome PushSreg(CpuContext c, in Instruction i)
    {
        int size = i.Code is Code.Pushw_FS or Code.Pushw_GS ? 2 : 8;
        return c.TryPush(CpuState.Segment(c.State, ToIndex(i.Op0Register)).Selector, size) ? c.Retire(in i) : InstructionOutcome.Fault;
    }

    private static InstructionOutcome PopSreg(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        int size = i.Code is Code.Popw_FS or Code.Popw_GS ? 2 : 8;
        if (!c.TryRead(s->Gpr[4], size, stack: true, out ulong selector) || !TryLoadSegment(c, ToIndex(i.Op0Register), (ushort)selector))
            return InstructionOutcome.Fault;
        s->Gpr[4] += (uint)size;
        return c.Retire(in i);
    }

    private static InstructionOutcome LoadFarPointer(CpuContext c, in Instruction i)
    {
        (SegmentIndex index, int size) = i.Code switch
        {
            Code.Lss_r16_m1616 => (SegmentIndex.Ss, 2),
            Code.Lss_r32_m1632 => (SegmentIndex.Ss, 4),
            Code.Lss_r64_m1664 => (SegmentIndex.Ss, 8),
            Code.Lfs_r16_m1616 => (SegmentIndex.Fs, 2),
            Code.Lfs_r32_m1632 => (SegmentIndex.Fs, 4),
            Code.Lfs_r64_m1664 => (SegmentIndex.Fs, 8),
            Code.Lgs_r16_m1616 => (SegmentIndex.Gs, 2),
            Code.Lgs_r32_m1632 => (SegmentIndex.Gs, 4),
            _ => (SegmentIndex.Gs, 8),
        };
        if (!TryReadFarPointer(c, in i, size, out ulong offset, out ushort selector) || !TryLoadSegment(c, index, selector))
            return InstructionOutcome.Fault;
        c.WriteRegister(i.Op0Register, offset);
        return c.Retire(in i);
    }

    private static InstructionOutcome LoadTable(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if (s->Cpl != 0)
            return c.RaiseGp();
        Span<byte> image = stackalloc byte[10];
        if (!c.TryReadBytes(EffectiveAddress.Compute(s, in i), image, EffectiveAddress.IsStack(in i)))
            return InstructionOutcome.Fault;
        ulong tableBase = BinaryPrimitives.ReadUInt64LittleEndian(image[2..]);
        uint limit = BinaryPrimitives.ReadUInt16LittleEndian(image);
        if (!GuestAccess.IsCanonical(tableBase))
            return c.RaiseGp();
        if (i.Code == Code.Lgdt_m1664)
            (s->GdtrBase, s->GdtrLimit) = (tableBase, limit);
        else
            (s->IdtrBase, s->IdtrLimit) = (tableBase, limit);
        return c.Retire(in i);
    }

    private static InstructionOutcome StoreTable(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        bool global = i.Code == Code.Sgdt_m1664;
        Span<byte> image = stackalloc byte[10];
        BinaryPrimitives.WriteUInt16LittleEndian(image, (ushort)(global ? s->GdtrLimit : s->IdtrLimit));
        BinaryPrimitives.WriteUInt64LittleEndian(image[2..], global ? s->GdtrBase : s->IdtrBase);
        return c.TryWriteBytes(EffectiveAddress.Compute(s, in i), image, EffectiveAddress.IsStack(in i)) ? c.Retire(in i) : InstructionOutcome.Fault;
    }

    /// <summary>The 16-byte LDT or TSS descriptor of a selector: GDT only, of the wanted type, present.</summary>
    private static bool TryReadSystemSegment(CpuContext c, ushort selector, uint type, out SegmentRegister register, out SegmentDescriptor d)
    {
        register = default;
        d = default;
        uint code = Segmentation.ErrorCode(selector);
        if ((selector & 4) != 0)
            return c.Refuse(Vector.GeneralProtection, code);
        if (!Segmentation.TryLookup(c, selector, 16, Vector.GeneralProtection, 0, out d) || !c.TryReadSystem(d.Address + 8, 8, 0, out ulong high))
            return false;
        if (d.IsUserSegment || d.Type != type || (high >> 40 & 0x1F) != 0)
            return c.Refuse(Vector.GeneralProtection, code);
        if (!d.Present)
            return c.Refuse(Vector.SegmentNotPresent, code);
        ulong segmentBase = d.Base | high << 32;
        if (!GuestAccess.IsCanonical(segmentBase))
            return c.Refuse(Vector.GeneralProtection, code);
        register = new SegmentRegister
        {
            Base = segmentBase,
            Limit = d.Limit,
            Selector = selector,
            Attributes = (ushort)((uint)(d.Raw >> 40) & 0xF0FF),
        };
        return true;
    }

    private static InstructionOutcome Lldt(CpuContext c, in Instruction i)
    {
        if (c.State->Cpl != 0)
            return c.RaiseGp();
        if (!c.TryReadOperand(in i, 0, 2, out ulong selector))
            return InstructionOutcome.Fault;
        var register = new SegmentRegister { Selector = (ushort)selector };
        if (!Segmentation.IsNull((ushort)selector) && !TryReadSystemSegment(c, (ushort)selector, LocalTable, out register, out _))
            return InstructionOutcome.Fault;
        c.State->Ldtr = register;
        return c.Retire(in i);
    }

    private static InstructionOutcome Ltr(CpuContext c, in Instruction i)
    {
        if (c.State->Cpl != 0)
            return c.RaiseGp();
        if (!c.TryReadOperand(in i, 0, 2, out ulong selector))
            return InstructionOutcome.Fault;
        if (Segmentation.IsNull((ushort)selector))
            return c.RaiseGp();
        if (!TryReadSystemSegment(c, (ushort)selector, AvailableTss, out SegmentRegister register, out SegmentDescriptor d)
            || !c.TryWriteSystem(d.Address + 5, 1, 0, (byte)(d.Raw >> 40) | 2u))
            return InstructionOutcome.Fault;
        register.Attributes |= 2;
        c.State->Tr = register;
        return c.Retire(in i);
    }

    private static InstructionOutcome Sldt(CpuContext c, in Instruction i) => StoreWord(c, in i, c.State->Ldtr.Selector);

    private static InstructionOutcome Str(CpuContext c, in Instruction i) => StoreWord(c, in i, c.State->Tr.Selector);

    /// <summary>What LAR, LSL, VERR and VERW look a selector up for.</summary>
    private enum Inspection : byte { Access, Limit, Read, Write }

    /// <summary>Looks a selector up for inspection: <paramref name="visible"/> tells whether the program may see the descriptor. False only for a page fault.</summary>
    private static bool TryInspect(CpuContext c, in Instruction i, int operand, Inspection purpose, out SegmentDescriptor d, out bool visible)
    {
        visible = false;
        d = default;
        if (!c.TryReadOperand(in i, operand, 2, out ulong value))
            return false;
        ushort selector = (ushort)value;
        if (Segmentation.IsNull(selector))
            return true;
        switch (Segmentation.Lookup(c, selector, 8, 0, out d))
        {
            case DescriptorLookup.Faulted: return false;
            case DescriptorLookup.OutsideTable: return true;
        }
        bool typeFits = purpose switch
        {
            Inspection.Access => d.IsUserSegment || d.Type is LocalTable or AvailableTss or BusyTss or CallGate,
            Inspection.Limit => d.IsUserSegment || d.Type is LocalTable or AvailableTss or BusyTss,
            Inspection.Read => d.IsReadable,
            _ => d.IsWritableData,
        };
        bool privilegeFits = (d.IsCode && d.IsConforming) || d.Privilege >= Math.Max(c.State->Cpl, selector & 3u);
        visible = typeFits && privilegeFits;
        return true;
    }

    private static InstructionOutcome FinishInspection(CpuContext c, in Instruction i, bool visible, ulong? result)
    {
        CpuState* s = c.State;
        if (visible && result is ulong value)
            c.WriteRegister(i.Op0Register, value);
        s->Rflags = visible ? s->Rflags | Rflags.Zero : s->Rflags & ~Rflags.Zero;
        return c.Retire(in i);
    }

    private static InstructionOutcome Lar(CpuContext c, in Instruction i) =>
        TryInspect(c, in i, 1, Inspection.Access, out SegmentDescriptor d, out bool visible)
            ? FinishInspection(c, in i, visible, (d.Raw >> 32) & (i.Code == Code.Lar_r16_rm16 ? 0xFF00u : 0xF0FF00u))
            : InstructionOutcome.Fault;

    private static InstructionOutcome Lsl(CpuContext c, in Instruction i) =>
        TryInspect(c, in i, 1, Inspection.Limit, out SegmentDescriptor d, out bool visible)
            ? FinishInspection(c, in i, visible, d.Limit)
            : InstructionOutcome.Fault;

    private static InstructionOutcome Verr(CpuContext c, in Instruction i) =>
        TryInspect(c, in i, 0, Inspection.Read, out _, out bool visible) ? FinishInspection(c, in i, visible, null) : InstructionOutcome.Fault;

    private static InstructionOutcome Verw(CpuContext c, in Instruction i) =>
        TryInspect(c, in i, 0, Inspection.Write, out _, out bool visible) ? FinishInspection(c, in i, visible, null) : InstructionOutcome.Fault;

    private static InstructionOutcome ReadSegmentBase(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if ((s->Cr4 & Cr4.FsGsBase) == 0)
            return c.RaiseUd();
        c.WriteRegister(i.Op0Register, i.Code is Code.Rdfsbase_r32 or Code.Rdfsbase_r64 ? s->Fs.Base : s->Gs.Base);
        return c.Retire(in i);
    }

    private static InstructionOutcome WriteSegmentBase(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if ((s->Cr4 & Cr4.FsGsBase) == 0)
            return c.RaiseUd();
        ulong value = c.ReadRegister(i.Op0Register);
        if (!GuestAccess.IsCanonical(value))
            return c.RaiseGp();
        if (i.Code is Code.Wrfsbase_r32 or Code.Wrfsbase_r64)
            s->Fs.Base = value;
        else
            s->Gs.Base = value;
        return c.Retire(in i);
    }
}
