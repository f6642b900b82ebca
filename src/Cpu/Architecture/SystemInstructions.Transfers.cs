using System.Buffers.Binary;
using FtAkka.Cpu.State;
using Iced.Intel;
using unsafe Handler = delegate*<FtAkka.Cpu.Architecture.CpuContext, in Iced.Intel.Instruction, FtAkka.Cpu.Architecture.InstructionOutcome>;

namespace FtAkka.Cpu.Architecture;

/// <content>Control transfers between privilege levels: SYSCALL, interrupts, IRET, far transfers (Intel SDM vol. 2; vol. 3A, 5.8).</content>
internal static unsafe partial class SystemInstructions
{
    private static void AddTransfers(Handler[] table)
    {
        Add(table, &Syscall, Code.Syscall);
        Add(table, &Sysret, Code.Sysretq);
        Add(table, &Sysret32, Code.Sysretd);
        Add(table, &Swapgs, Code.Swapgs);
        Add(table, &Int, Code.Int_imm8);
        Add(table, &Int3, Code.Int3);
        Add(table, &Int1, Code.Int1);
        Add(table, &Iret, Code.Iretw, Code.Iretd, Code.Iretq);
        Add(table, &FarReturn, Code.Retfw, Code.Retfd, Code.Retfq, Code.Retfw_imm16, Code.Retfd_imm16, Code.Retfq_imm16);
        Add(table, &FarJump, Code.Jmp_m1616, Code.Jmp_m1632, Code.Jmp_m1664);
        Add(table, &FarCall, Code.Call_m1616, Code.Call_m1632, Code.Call_m1664);
    }

    private static InstructionOutcome Syscall(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if ((s->Efer & Efer.SyscallEnable) == 0)
            return c.RaiseUd();
        s->Gpr[1] = s->Rip + (uint)i.Length;
        s->Gpr[11] = s->Rflags;
        s->Rip = s->Lstar;
        s->Rflags = (s->Rflags & ~s->Fmask) | Rflags.Fixed1;
        ushort selector = (ushort)((uint)(s->Star >> 32) & 0xFFFC);
        s->Cs = Segmentation.FlatCode64(selector, 0);
        s->Ss = Segmentation.FlatData((ushort)(selector + 8), 0);
        s->Cpl = 0;
        return InstructionOutcome.Retired;
    }

    private static InstructionOutcome Sysret(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if ((s->Efer & Efer.SyscallEnable) == 0)
            return c.RaiseUd();
        if (s->Cpl != 0 || !GuestAccess.IsCanonical(s->Gpr[1]))
            return c.RaiseGp();
        s->Rip = s->Gpr[1];
        s->Rflags = (s->Gpr[11] & (Rflags.Defined & ~(Rflags.Resume | Rflags.Virtual8086))) | Rflags.Fixed1;
        uint selector = (uint)(s->Star >> 48) & 0xFFFC;
        s->Cs = Segmentation.FlatCode64((ushort)(selector + 16 | 3), 3);
        s->Ss = Segmentation.FlatData((ushort)(selector + 8 | 3), 3);
        s->Cpl = 3;
        return InstructionOutcome.Retired;
    }

    /// <summary>SYSRET without REX.W returns to compatibility mode, which this CPU does not have: refused like any other far transfer into such code.</summary>
    private static InstructionOutcome Sysret32(CpuContext c, in Instruction i) =>
        (c.State->Efer & Efer.SyscallEnable) == 0 ? c.RaiseUd() : c.RaiseGp();

    private static InstructionOutcome Swapgs(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if (s->Cpl != 0)
            return c.RaiseGp();
        (s->Gs.Base, s->KernelGsBase) = (s->KernelGsBase, s->Gs.Base);
        return c.Retire(in i);
    }

    private static InstructionOutcome Int(CpuContext c, in Instruction i) => Software(c, in i, i.Immediate8, privileged: false);

    private static InstructionOutcome Int3(CpuContext c, in Instruction i) => Software(c, in i, Vector.Breakpoint, privileged: false);

    private static InstructionOutcome Int1(CpuContext c, in Instruction i) => Software(c, in i, Vector.Debug, privileged: true);

    private static InstructionOutcome Software(CpuContext c, in Instruction i, byte vector, bool privileged) =>
        ExceptionDelivery.TrySoftware(c, vector, c.State->Rip + (uint)i.Length, privileged) ? InstructionOutcome.Delivered : InstructionOutcome.Fault;

    /// <summary>Reads consecutive stack slots of 2, 4 or 8 bytes upwards from <paramref name="address"/>.</summary>
    private static bool TryReadSlots(CpuContext c, ulong address, int size, Span<ulong> slots)
    {
        Span<byte> bytes = stackalloc byte[40];
        bytes = bytes[..(slots.Length * size)];
        if (!c.TryReadBytes(address, bytes, stack: true))
            return false;
        for (int i = 0; i < slots.Length; i++)
        {
            ReadOnlySpan<byte> slot = bytes[(i * size)..];
            slots[i] = size switch
            {
                2 => BinaryPrimitives.ReadUInt16LittleEndian(slot),
                4 => BinaryPrimitives.ReadUInt32LittleEndian(slot),
                _ => BinaryPrimitives.ReadUInt64LittleEndian(slot),
            };
        }
        return true;
    }

    private static InstructionOutcome Iret(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        int size = i.Code switch { Code.Iretw => 2, Code.Iretd => 4, _ => 8 };
        if ((s->Rflags & Rflags.NestedTask) != 0)
            return c.RaiseGp();
        Span<ulong> frame = stackalloc ulong[5];
        if (!TryReadSlots(c, s->Gpr[4], size, frame))
            return InstructionOutcome.Fault;
        ushort selector = (ushort)frame[1];
        uint privilege = selector & 3u;
        if (!TryPrepareReturn(c, selector, frame[0], out SegmentDescriptor code)
            || !Segmentation.TryPrepareStack(c, (ushort)frame[4], privilege, out SegmentRegister stack)
            || !Segmentation.TryMarkAccessed(c, in code))
            return InstructionOutcome.Fault;

        ulong mask = Rflags.Arithmetic | Rflags.Trap | Rflags.Direction | Rflags.NestedTask;
        if (size != 2)
            mask |= Rflags.AlignmentCheck | Rflags.Id;
        // RF does nothing but suppress instruction breakpoints. Restoring it only while DR7 enables something spares the engine a
        // single step after each return from a page fault, whose frame always has RF set.
        if (size != 2 && DebugTraps.AnyEnabled(s))
            mask |= Rflags.Resume;
        if (s->Cpl <= Rflags.IoPrivilege(s->Rflags))
            mask |= Rflags.InterruptEnable;
        if (s->Cpl == 0)
            mask |= Rflags.Iopl | (size != 2 ? Rflags.VirtualInterrupt | Rflags.VirtualInterruptPending : 0);
        s->Rflags = (s->Rflags & ~mask) | (frame[2] & mask);
        s->NmiBlocked = 0;
        CommitReturn(s, in code, selector, frame[0], frame[3], stack);
        return InstructionOutcome.Retired;
    }

    private static InstructionOutcome FarReturn(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        int size = i.Code switch
        {
            Code.Retfw or Code.Retfw_imm16 => 2,
            Code.Retfd or Code.Retfd_imm16 => 4,
            _ => 8,
        };
        uint released = i.OpCount == 0 ? 0u : i.Immediate16;
        Span<ulong> frame = stackalloc ulong[2];
        if (!TryReadSlots(c, s->Gpr[4], size, frame))
            return InstructionOutcome.Fault;
        ushort selector = (ushort)frame[1];
        if (!TryPrepareReturn(c, selector, frame[0], out SegmentDescriptor code))
            return InstructionOutcome.Fault;
        ulong above = s->Gpr[4] + (uint)(2 * size) + released;
        SegmentRegister stack = s->Ss;
        ulong rsp = above;
        if ((selector & 3u) != s->Cpl)
        {
            Span<ulong> outer = stackalloc ulong[2];
            if (!TryReadSlots(c, above, size, outer)
                || !Segmentation.TryPrepareStack(c, (ushort)outer[1], selector & 3u, out stack))
                return InstructionOutcome.Fault;
            rsp = outer[0] + released;
        }
        if (!Segmentation.TryMarkAccessed(c, in code))
            return InstructionOutcome.Fault;
        CommitReturn(s, in code, selector, frame[0], rsp, stack);
        return InstructionOutcome.Retired;
    }

    /// <summary>Checks of the code segment a RET or IRET goes to: same or outer level only.</summary>
    private static bool TryPrepareReturn(CpuContext c, ushort selector, ulong rip, out SegmentDescriptor code)
    {
        uint rpl = selector & 3u;
        if (!Segmentation.TryLookupCode(c, selector, 0, out code))
            return false;
        bool allowed = rpl >= c.State->Cpl && (code.IsConforming ? code.Privilege <= rpl : code.Privilege == rpl);
        if (!allowed)
            return c.Refuse(Vector.GeneralProtection, Segmentation.ErrorCode(selector));
        if (!Segmentation.TryAcceptCode(c, in code, 0))
            return false;
        return GuestAccess.IsCanonical(rip) || c.Refuse(Vector.GeneralProtection, 0);
    }

    private static void CommitReturn(CpuState* s, in SegmentDescriptor code, ushort selector, ulong rip, ulong rsp, in SegmentRegister stack)
    {
        bool outward = (selector & 3u) != s->Cpl;
        s->Cs = code.ToRegister(selector);
        s->Cpl = selector & 3u;
        s->Ss = stack;
        s->Gpr[4] = rsp;
        s->Rip = rip;
        if (outward)
            Segmentation.DropInnerSegments(s);
    }

    /// <summary>Reads an m16:16, m16:32 or m16:64 operand.</summary>
    private static bool TryReadFarPointer(CpuContext c, in Instruction i, int size, out ulong offset, out ushort selector)
    {
        ulong address = EffectiveAddress.Compute(c.State, in i);
        Span<byte> bytes = stackalloc byte[16];
        bytes.Clear();
        offset = 0;
        selector = 0;
        if (!c.TryReadBytes(address, bytes[..(size + 2)], EffectiveAddress.IsStack(in i)))
            return false;
        selector = BinaryPrimitives.ReadUInt16LittleEndian(bytes[size..]);
        bytes[size..].Clear();
        offset = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        return true;
    }

    /// <summary>Where a far JMP or CALL goes.</summary>
    private struct FarTarget
    {
        public SegmentDescriptor Code;
        public ulong Rip;
        public bool ThroughGate;
        public uint Privilege;
    }

    private static bool TryResolveFar(CpuContext c, ushort selector, ulong offset, bool isCall, out FarTarget target)
    {
        target = new FarTarget { Rip = offset, Privilege = c.State->Cpl };
        if (Segmentation.IsNull(selector))
            return c.Refuse(Vector.GeneralProtection, 0);
        if (!Segmentation.TryLookup(c, selector, 8, Vector.GeneralProtection, 0, out SegmentDescriptor d))
            return false;
        uint cpl = c.State->Cpl;
        if (!d.IsUserSegment)
            return TryResolveGate(c, in d, isCall, ref target);
        bool allowed = d.IsCode && (d.IsConforming ? d.Privilege <= cpl : (selector & 3u) <= cpl && d.Privilege == cpl);
        if (!allowed)
            return c.Refuse(Vector.GeneralProtection, Segmentation.ErrorCode(selector));
        target.Code = d;
        return Segmentation.TryAcceptCode(c, in d, 0) && (GuestAccess.IsCanonical(offset) || c.Refuse(Vector.GeneralProtection, 0));
    }

    /// <summary>64-bit call gate; TSS descriptors and task gates raise #GP(selector) in long mode.</summary>
    private static bool TryResolveGate(CpuContext c, in SegmentDescriptor gate, bool isCall, ref FarTarget target)
    {
        uint cpl = c.State->Cpl;
        uint code = Segmentation.ErrorCode(gate.Selector);
        if (gate.Type != 12 || gate.Privilege < Math.Max(cpl, gate.Selector & 3u))
            return c.Refuse(Vector.GeneralProtection, code);
        if (!gate.Present)
            return c.Refuse(Vector.SegmentNotPresent, code);
        if (!Segmentation.TryLookup(c, gate.Selector, 16, Vector.GeneralProtection, 0, out _)
            || !c.TryReadSystem(gate.Address + 8, 8, 0, out ulong high))
            return false;
        if ((high >> 40 & 0x1F) != 0)
            return c.Refuse(Vector.GeneralProtection, code);
        ushort selector = (ushort)(gate.Raw >> 16);
        if (!Segmentation.TryLookupCode(c, selector, 0, out target.Code))
            return false;
        bool inward = isCall && !target.Code.IsConforming;
        bool allowed = inward || target.Code.IsConforming ? target.Code.Privilege <= cpl : target.Code.Privilege == cpl;
        if (!allowed)
            return c.Refuse(Vector.GeneralProtection, Segmentation.ErrorCode(selector));
        target.ThroughGate = true;
        target.Privilege = inward ? target.Code.Privilege : cpl;
        target.Rip = (gate.Raw & 0xFFFF) | (gate.Raw >> 32 & 0xFFFF0000) | high << 32;
        return Segmentation.TryAcceptCode(c, in target.Code, 0)
            && (GuestAccess.IsCanonical(target.Rip) || c.Refuse(Vector.GeneralProtection, 0));
    }

    private static InstructionOutcome FarJump(CpuContext c, in Instruction i)
    {
        int size = i.Code switch { Code.Jmp_m1616 => 2, Code.Jmp_m1632 => 4, _ => 8 };
        if (!TryReadFarPointer(c, in i, size, out ulong offset, out ushort selector)
            || !TryResolveFar(c, selector, offset, isCall: false, out FarTarget target)
            || !Segmentation.TryMarkAccessed(c, in target.Code))
            return InstructionOutcome.Fault;
        EnterFar(c.State, in target);
        return InstructionOutcome.Retired;
    }

    private static InstructionOutcome FarCall(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        int size = i.Code switch { Code.Call_m1616 => 2, Code.Call_m1632 => 4, _ => 8 };
        if (!TryReadFarPointer(c, in i, size, out ulong offset, out ushort selector)
            || !TryResolveFar(c, selector, offset, isCall: true, out FarTarget target))
            return InstructionOutcome.Fault;
        ulong returnRip = s->Rip + (uint)i.Length;
        if (target.Privilege != s->Cpl)
            return CallInward(c, in target, returnRip);
        int slot = target.ThroughGate ? 8 : size;
        ulong rsp = s->Gpr[4];
        if (!c.TryPush(s->Cs.Selector, slot) || !c.TryPush(returnRip, slot) || !Segmentation.TryMarkAccessed(c, in target.Code))
        {
            s->Gpr[4] = rsp;
            return InstructionOutcome.Fault;
        }
        EnterFar(s, in target);
        return InstructionOutcome.Retired;
    }

    /// <summary>Call through a gate to an inner level: stack from the TSS, SS null.</summary>
    private static InstructionOutcome CallInward(CpuContext c, in FarTarget target, ulong returnRip)
    {
        CpuState* s = c.State;
        if (!TaskState.TryReadStack(c, TaskState.PrivilegeStackOffset(target.Privilege), 0, out ulong rsp))
            return InstructionOutcome.Fault;
        ReadOnlySpan<ulong> frame = [returnRip, s->Cs.Selector, s->Gpr[4], s->Ss.Selector];
        rsp -= 32;
        if (!c.TryWriteStack(rsp, frame, target.Privilege, 0) || !Segmentation.TryMarkAccessed(c, in target.Code))
            return InstructionOutcome.Fault;
        s->Ss = new SegmentRegister { Selector = (ushort)target.Privilege };
        s->Gpr[4] = rsp;
        EnterFar(s, in target);
        return InstructionOutcome.Retired;
    }

    private static void EnterFar(CpuState* s, in FarTarget target)
    {
        s->Cs = target.Code.ToRegister((ushort)((target.Code.Selector & ~3u) | target.Privilege));
        s->Cpl = target.Privilege;
        s->Rip = target.Rip;
    }
}
