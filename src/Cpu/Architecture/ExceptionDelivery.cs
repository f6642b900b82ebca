using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Architecture;

/// <summary>
/// Interrupt and exception delivery through a 64-bit IDT (Intel SDM vol. 3A, 6.12 to 6.15). A fault met while delivering is
/// delivered instead, or becomes a double fault, or shuts the CPU down; the state between attempts is the one before the event.
/// </summary>
internal static unsafe class ExceptionDelivery
{
    /// <summary>What a delivery needs to know about the event.</summary>
    private readonly record struct Event(byte Vector, EventOrigin Origin, bool HasErrorCode, uint ErrorCode, ulong ReturnRip, ulong Rflags)
    {
        /// <summary>EXT bit of error codes raised by the delivery itself: the event was not asked for by the program.</summary>
        public uint ExternalBit => Origin == EventOrigin.Software ? 0u : 1u;
    }

    private enum EventOrigin : byte { Exception, Software, Interrupt }

    /// <summary>Where an event goes, once all checks have passed.</summary>
    private struct Target
    {
        public ulong Rip, Rsp;
        public uint Privilege;
        public SegmentDescriptor Code;
        public bool InterruptGate, SwitchStackSegment;
    }

    /// <summary>
    /// Delivers a fault raised by the instruction at <see cref="CpuState.Rip"/> (return address: that instruction, RF set in the pushed flags). For #DB raised by
    /// MOV DR use this too; other debug events go through <see cref="DeliverDebug"/>.
    /// </summary>
    public static void DeliverFault(CpuContext c, in GuestFault fault) =>
        DeliverWithNesting(c, FaultEvent(c.State, in fault));

    /// <summary>
    /// Delivers a #DB found by the engine: a trap (single step, data or I/O breakpoint, RIP already behind the instruction) or an
    /// instruction breakpoint (RIP at the instruction). RF is pushed as it is in both cases (SDM vol. 3B, 17.3.1.1). <paramref name="dr6Bits"/> goes to DR6.
    /// </summary>
    public static void DeliverDebug(CpuContext c, ulong dr6Bits)
    {
        DebugTraps.Report(c.State, dr6Bits);
        DeliverWithNesting(c, new Event(Vector.Debug, EventOrigin.Exception, false, 0, c.State->Rip, c.State->Rflags));
    }

    /// <summary>Delivers an external interrupt whose vector the interrupt controller gave. The caller has checked IF and the shadow.</summary>
    public static void DeliverInterrupt(CpuContext c, byte vector) =>
        DeliverWithNesting(c, new Event(vector, EventOrigin.Interrupt, false, 0, c.State->Rip, c.State->Rflags));

    /// <summary>Delivers the pending NMI and blocks further ones until IRET.</summary>
    public static void DeliverNmi(CpuContext c)
    {
        c.State->NmiPending = 0;
        c.State->NmiBlocked = 1;
        DeliverWithNesting(c, new Event(Vector.Nmi, EventOrigin.Interrupt, false, 0, c.State->Rip, c.State->Rflags));
    }

    /// <summary>
    /// INT n, INT3 or INT1: on success the state is the handler's. On false nothing is committed and <see cref="CpuContext.Fault"/> is the
    /// instruction's fault. <paramref name="privileged"/>: INT1 skips the gate's DPL check and counts as an external event.
    /// </summary>
    public static bool TrySoftware(CpuContext c, byte vector, ulong returnRip, bool privileged) =>
        TryDeliver(c, new Event(vector, privileged ? EventOrigin.Exception : EventOrigin.Software, false, 0, returnRip, c.State->Rflags));

    private static Event FaultEvent(CpuState* s, in GuestFault fault)
    {
        if (fault.Vector == Vector.PageFault)
            s->Cr2 = fault.Cr2;
        return new Event(fault.Vector, EventOrigin.Exception, fault.HasErrorCode, fault.ErrorCode, s->Rip, s->Rflags | Rflags.Resume);
    }

    private static void DeliverWithNesting(CpuContext c, Event current)
    {
        CpuState* s = c.State;
        s->InterruptShadow = 0;
        s->Halted = 0;
        // Each round delivers a later event; the double fault table ends the chain after at most a few rounds.
        while (!TryDeliver(c, in current))
        {
            GuestFault nested = c.Fault;
            if (current.Origin == EventOrigin.Exception && current.Vector == Vector.DoubleFault)
            {
                s->Shutdown = 1;
                return;
            }
            Event next = FaultEvent(s, in nested);
            current = current.Origin == EventOrigin.Exception && IsDoubleFault(current.Vector, nested.Vector)
                ? FaultEvent(s, GuestFault.WithError(Vector.DoubleFault, 0))
                : next;
        }
    }

    /// <summary>SDM vol. 3A, table 6-5.</summary>
    private static bool IsDoubleFault(byte first, byte second) =>
        (IsContributory(first) && IsContributory(second))
        || (first == Vector.PageFault && (second == Vector.PageFault || IsContributory(second)));

    private static bool IsContributory(byte vector) => vector is Vector.DivideError or (>= Vector.InvalidTss and <= Vector.GeneralProtection);

    /// <summary>One attempt. False: <see cref="CpuContext.Fault"/> holds the nested fault and no register has changed.</summary>
    private static bool TryDeliver(CpuContext c, in Event e)
    {
        CpuState* s = c.State;
        if (!TryReadGate(c, in e, out ulong gate, out Target target) || !TrySelectCode(c, in e, gate, ref target)
            || !TrySelectStack(c, in e, gate, ref target))
            return false;
        if (!GuestAccess.IsCanonical(target.Rip))
            return c.Refuse(Vector.GeneralProtection, e.ExternalBit);

        Span<ulong> frame = stackalloc ulong[6];
        int first = e.HasErrorCode ? 0 : 1;
        frame[0] = e.ErrorCode;
        frame[1] = e.ReturnRip;
        frame[2] = s->Cs.Selector;
        frame[3] = e.Rflags;
        frame[4] = s->Gpr[4];
        frame[5] = s->Ss.Selector;
        ReadOnlySpan<ulong> pushed = frame[first..];
        ulong rsp = (target.Rsp & ~15ul) - (uint)(pushed.Length * 8);
        if (!c.TryWriteStack(rsp, pushed, target.Privilege, e.ExternalBit) || !Segmentation.TryMarkAccessed(c, in target.Code, e.ExternalBit))
            return false;
        Commit(s, in e, in target, rsp);
        return true;
    }

    private static void Commit(CpuState* s, in Event e, in Target target, ulong rsp)
    {
        if (target.SwitchStackSegment)
            s->Ss = new SegmentRegister { Selector = (ushort)target.Privilege };
        s->Gpr[4] = rsp;
        s->Cs = target.Code.ToRegister((ushort)((target.Code.Selector & ~3u) | target.Privilege));
        s->Cpl = target.Privilege;
        s->Rip = target.Rip;
        s->Rflags &= ~(Rflags.Trap | Rflags.NestedTask | Rflags.Resume | Rflags.Virtual8086);
        if (target.InterruptGate)
            s->Rflags &= ~Rflags.InterruptEnable;
        if (e.Vector == Vector.Debug && e.Origin == EventOrigin.Exception)
            s->Dr7 &= ~DebugTraps.GeneralDetect;
        s->InterruptShadow = 0;
        s->Halted = 0;
    }

    private static bool TryReadGate(CpuContext c, in Event e, out ulong gate, out Target target)
    {
        CpuState* s = c.State;
        target = default;
        gate = 0;
        uint offset = (uint)e.Vector * 16;
        uint code = (uint)e.Vector * 8 | 2 | e.ExternalBit;
        if (offset + 15 > s->IdtrLimit)
            return c.Refuse(Vector.GeneralProtection, code);
        if (!c.TryReadSystem(s->IdtrBase + offset, 8, e.ExternalBit, out gate)
            || !c.TryReadSystem(s->IdtrBase + offset + 8, 8, e.ExternalBit, out ulong high))
            return false;
        uint type = (uint)(gate >> 40) & 0x1F;
        if (type is not (14 or 15))
            return c.Refuse(Vector.GeneralProtection, code);
        if (e.Origin == EventOrigin.Software && ((uint)(gate >> 45) & 3) < s->Cpl)
            return c.Refuse(Vector.GeneralProtection, code);
        if ((gate >> 47 & 1) == 0)
            return c.Refuse(Vector.SegmentNotPresent, code);
        target.InterruptGate = type == 14;
        target.Rip = (gate & 0xFFFF) | (gate >> 32 & 0xFFFF0000) | high << 32;
        return true;
    }

    private static bool TrySelectCode(CpuContext c, in Event e, ulong gate, ref Target target)
    {
        uint cpl = c.State->Cpl;
        ushort selector = (ushort)(gate >> 16);
        if (!Segmentation.TryLookupCode(c, selector, e.ExternalBit, out target.Code))
            return false;
        if (target.Code.Privilege > cpl)
            return c.Refuse(Vector.GeneralProtection, Segmentation.ErrorCode(selector) | e.ExternalBit);
        target.Privilege = target.Code.IsConforming ? cpl : target.Code.Privilege;
        return Segmentation.TryAcceptCode(c, in target.Code, e.ExternalBit);
    }

    private static bool TrySelectStack(CpuContext c, in Event e, ulong gate, ref Target target)
    {
        uint cpl = c.State->Cpl;
        uint ist = (uint)(gate >> 32) & 7;
        target.SwitchStackSegment = target.Privilege != cpl;
        if (ist == 0 && !target.SwitchStackSegment)
        {
            target.Rsp = c.State->Gpr[4];
            return true;
        }
        return TaskState.TryReadStack(c, ist != 0 ? TaskState.InterruptStackOffset(ist) : TaskState.PrivilegeStackOffset(target.Privilege),
            e.ExternalBit, out target.Rsp);
    }
}
