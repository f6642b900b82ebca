using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Architecture;

/// <summary>The 64-bit task state segment: stacks and I/O permission map (Intel SDM vol. 3A, 7.7; vol. 1, 18.5.2).</summary>
internal static unsafe class TaskState
{
    private const uint IoMapBaseOffset = 0x66;

    public static uint PrivilegeStackOffset(uint privilege) => 4 + (privilege * 8);

    /// <param name="ist">1 to 7.</param>
    public static uint InterruptStackOffset(uint ist) => 0x24 + ((ist - 1) * 8);

    /// <summary>Reads a stack pointer: #TS(TR) when it lies outside the TSS, #SS when it is not canonical.</summary>
    public static bool TryReadStack(CpuContext c, uint offset, uint externalBit, out ulong rsp)
    {
        CpuState* s = c.State;
        rsp = 0;
        if (offset + 7 > s->Tr.Limit)
            return c.Refuse(Vector.InvalidTss, Segmentation.ErrorCode(s->Tr.Selector) | externalBit);
        if (!c.TryReadSystem(s->Tr.Base + offset, 8, externalBit, out rsp))
            return false;
        return GuestAccess.IsCanonical(rsp) || c.Refuse(Vector.StackFault, externalBit);
    }

    /// <summary>True when the program may access <paramref name="size"/> ports from <paramref name="port"/> on: CPL within IOPL, or all bits of the map clear.</summary>
    public static bool TryPermitPort(CpuContext c, ushort port, int size)
    {
        if (!IsPortPermitted(c, port, size))
            return false;
        if (c.Watching)
            c.WatchHits |= DebugTraps.AccessBreakpoints(c.State, port, size, BreakpointAccess.Port);
        return true;
    }

    private static bool IsPortPermitted(CpuContext c, ushort port, int size)
    {
        CpuState* s = c.State;
        if (s->Cpl <= Rflags.IoPrivilege(s->Rflags))
            return true;
        if (IoMapBaseOffset + 1 > s->Tr.Limit)
            return c.Refuse(Vector.GeneralProtection, 0);
        if (!c.TryReadSystem(s->Tr.Base + IoMapBaseOffset, 2, 0, out ulong mapBase))
            return false;
        // The CPU always reads two bytes, so the map must end with an all-ones byte inside the limit.
        uint offset = (uint)mapBase + ((uint)port >> 3);
        if (offset + 1 > s->Tr.Limit)
            return c.Refuse(Vector.GeneralProtection, 0);
        if (!c.TryReadSystem(s->Tr.Base + offset, 2, 0, out ulong bits))
            return false;
        uint mask = (1u << size) - 1;
        return ((uint)bits >> (port & 7) & mask) == 0 || c.Refuse(Vector.GeneralProtection, 0);
    }
}
