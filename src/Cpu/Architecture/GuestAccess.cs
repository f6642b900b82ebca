using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using FtAkka.Cpu.State;
using Iced.Intel;

namespace FtAkka.Cpu.Architecture;

/// <summary>Guest memory and general registers as instruction semantics see them. Every <c>Try</c> that answers false has set <see cref="CpuContext.Fault"/>.</summary>
internal static unsafe class GuestAccess
{
    /// <summary>Records a fault and answers with it.</summary>
    public static InstructionOutcome Raise(this CpuContext c, in GuestFault fault)
    {
        c.Fault = fault;
        return InstructionOutcome.Fault;
    }

    public static InstructionOutcome RaiseGp(this CpuContext c, uint errorCode = 0) => c.Raise(GuestFault.Gp(errorCode));

    public static InstructionOutcome RaiseUd(this CpuContext c) => c.Raise(GuestFault.Of(Vector.InvalidOpcode));

    /// <summary>Records a fault for a <c>Try</c> method.</summary>
    public static bool Refuse(this CpuContext c, byte vector, uint errorCode)
    {
        c.Fault = GuestFault.WithError(vector, errorCode);
        return false;
    }

    /// <summary>Retires the instruction: RIP moves behind it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static InstructionOutcome Retire(this CpuContext c, in Instruction instruction)
    {
        c.State->Rip += (uint)instruction.Length;
        return InstructionOutcome.Retired;
    }

    /// <summary>True when explicit data accesses are made with CPL 3 rights.</summary>
    public static bool IsUser(this CpuContext c) => c.State->Cpl == 3;

    /// <summary>True for an address in the canonical form of 48-bit linear addresses.</summary>
    public static bool IsCanonical(ulong address) => (ulong)((long)(address << 16) >> 16) == address;

    /// <summary>
    /// Takes over the fault of the last refused access. The paging unit reports a non-canonical address as #GP(0); through the
    /// stack segment the architecture asks for #SS (SDM vol. 3A, 6.15, interrupt 12).
    /// </summary>
    private static bool RefuseAccess(CpuContext c, bool stack, uint externalBit = 0)
    {
        GuestFault fault = c.Mmu.Fault;
        if (fault.Vector == Vector.GeneralProtection)
            fault = GuestFault.WithError(stack ? Vector.StackFault : Vector.GeneralProtection, fault.ErrorCode | externalBit);
        c.Fault = fault;
        return false;
    }

    /// <summary>Reads 1, 2, 4 or 8 bytes with the rights of the current privilege level.</summary>
    public static bool TryRead(this CpuContext c, ulong address, int size, bool stack, out ulong value)
    {
        value = 0;
        return c.IsAligned(address, size, write: false, stack)
            && (c.Mmu.Read(address, size, c.IsUser(), out value) ? Watch(c, address, size, write: false) : RefuseAccess(c, stack));
    }

    /// <summary>Writes 1, 2, 4 or 8 bytes with the rights of the current privilege level.</summary>
    public static bool TryWrite(this CpuContext c, ulong address, int size, bool stack, ulong value) =>
        c.IsAligned(address, size, write: true, stack)
        && (c.Mmu.Write(address, size, c.IsUser(), value) ? Watch(c, address, size, write: true) : RefuseAccess(c, stack));

    public static bool TryReadBytes(this CpuContext c, ulong address, Span<byte> destination, bool stack) =>
        c.Mmu.ReadBytes(address, destination, c.IsUser()) ? Watch(c, address, destination.Length, write: false) : RefuseAccess(c, stack);

    public static bool TryWriteBytes(this CpuContext c, ulong address, ReadOnlySpan<byte> source, bool stack) =>
        c.Mmu.WriteBytes(address, source, c.IsUser()) ? Watch(c, address, source.Length, write: true) : RefuseAccess(c, stack);

    public static bool TryProbeWrite(this CpuContext c, ulong address, int size, bool stack) =>
        c.Mmu.ProbeWrite(address, size, c.IsUser()) || RefuseAccess(c, stack);

    /// <summary>Host pointer for a run inside one page; null with true for a page that is not RAM (see <see cref="Memory.Mmu.TryGetPointer"/>).</summary>
    public static bool TryGetPointer(this CpuContext c, ulong address, int length, bool write, out byte* pointer) =>
        c.Mmu.TryGetPointer(address, length, write, c.IsUser(), out pointer) ? Watch(c, address, length, write) : RefuseAccess(c, stack: false);

    /// <summary>
    /// #AC for a misaligned data access at CPL 3 with CR0.AM and RFLAGS.AC (SDM vol. 3A, 6.15, interrupt 17). A page fault of the same
    /// access comes first.
    /// </summary>
    public static bool IsAligned(this CpuContext c, ulong address, int size, bool write, bool stack)
    {
        if ((address & ((ulong)size - 1)) == 0 || !ChecksAlignment(c.State))
            return true;
        bool permitted = write ? c.Mmu.ProbeWrite(address, size, user: true) : c.Mmu.ProbeRead(address, size, user: true);
        return permitted ? c.Refuse(Vector.AlignmentCheck, 0) : RefuseAccess(c, stack);
    }

    /// <summary>Whether misaligned accesses raise #AC now.</summary>
    public static bool ChecksAlignment(CpuState* s) =>
        s->Cpl == 3 && (s->Rflags & Rflags.AlignmentCheck) != 0 && (s->Cr0 & Cr0.AlignmentMask) != 0;

    private static bool Watch(CpuContext c, ulong address, int size, bool write)
    {
        if (c.Watching)
            c.WatchHits |= DebugTraps.AccessBreakpoints(c.State, address, size, write ? BreakpointAccess.Write : BreakpointAccess.Read);
        return true;
    }

    /// <summary>Reads from a system table (GDT, LDT, IDT, TSS): supervisor rights at any CPL. <paramref name="externalBit"/> is OR-ed into a #GP error code.</summary>
    public static bool TryReadSystem(this CpuContext c, ulong address, int size, uint externalBit, out ulong value) =>
        c.Mmu.Read(address, size, user: false, out value) || RefuseAccess(c, stack: false, externalBit);

    /// <summary>Writes to a system table with supervisor rights.</summary>
    public static bool TryWriteSystem(this CpuContext c, ulong address, int size, uint externalBit, ulong value) =>
        c.Mmu.Write(address, size, user: false, value) || RefuseAccess(c, stack: false, externalBit);

    /// <summary>Pushes qwords, first element at the lowest address, on a stack used with the rights of <paramref name="privilege"/>; all or nothing.</summary>
    public static bool TryWriteStack(this CpuContext c, ulong address, ReadOnlySpan<ulong> values, uint privilege, uint externalBit)
    {
        Span<byte> bytes = stackalloc byte[64];
        for (int i = 0; i < values.Length; i++)
            BinaryPrimitives.WriteUInt64LittleEndian(bytes[(i * 8)..], values[i]);
        return c.Mmu.WriteBytes(address, bytes[..(values.Length * 8)], privilege == 3) || RefuseAccess(c, stack: true, externalBit);
    }

    /// <summary>Pushes one value of 2, 4 or 8 bytes; RSP moves only when the write succeeded.</summary>
    public static bool TryPush(this CpuContext c, ulong value, int size)
    {
        ulong rsp = c.State->Gpr[4] - (uint)size;
        if (!c.TryWrite(rsp, size, stack: true, value))
            return false;
        c.State->Gpr[4] = rsp;
        return true;
    }

    /// <summary>Value of a general register of any width, zero-extended.</summary>
    public static ulong ReadRegister(this CpuContext c, Register register)
    {
        ulong full = c.State->Gpr[RegisterNumber(register)];
        return RegisterSize(register) switch
        {
            1 => IsHighByte(register) ? (byte)(full >> 8) : (byte)full,
            2 => (ushort)full,
            4 => (uint)full,
            _ => full,
        };
    }

    /// <summary>Writes a general register: 4 bytes zero-extend, 1 and 2 bytes leave the rest (SDM vol. 1, 3.4.1.1).</summary>
    public static void WriteRegister(this CpuContext c, Register register, ulong value)
    {
        ref ulong full = ref c.State->Gpr[RegisterNumber(register)];
        full = RegisterSize(register) switch
        {
            1 when IsHighByte(register) => (full & ~0xFF00ul) | ((value & 0xFF) << 8),
            1 => (full & ~0xFFul) | (byte)value,
            2 => (full & ~0xFFFFul) | (ushort)value,
            4 => (uint)value,
            _ => value,
        };
    }

    private static bool IsHighByte(Register register) => register is >= Register.AH and <= Register.BH;

    /// <summary>Encoding number of a general register; the high byte registers map to their full register.</summary>
    public static int RegisterNumber(Register register) => register switch
    {
        >= Register.AL and <= Register.BL => register - Register.AL,
        >= Register.AH and <= Register.BH => register - Register.AH,
        >= Register.SPL and <= Register.R15L => register - Register.SPL + 4,
        >= Register.AX and <= Register.R15W => register - Register.AX,
        >= Register.EAX and <= Register.R15D => register - Register.EAX,
        _ => (register - Register.RAX) & 15,
    };

    private static int RegisterSize(Register register) => register switch
    {
        >= Register.AL and <= Register.R15L => 1,
        >= Register.AX and <= Register.R15W => 2,
        >= Register.EAX and <= Register.R15D => 4,
        _ => 8,
    };

    /// <summary>Reads an r/m operand of <paramref name="size"/> bytes.</summary>
    public static bool TryReadOperand(this CpuContext c, in Instruction instruction, int operand, int size, out ulong value)
    {
        if (instruction.GetOpKind(operand) == OpKind.Register)
        {
            value = c.ReadRegister(instruction.GetOpRegister(operand));
            if (size < 8)
                value &= (1ul << (size * 8)) - 1;
            return true;
        }
        return c.TryRead(EffectiveAddress.Compute(c.State, in instruction), size, EffectiveAddress.IsStack(in instruction), out value);
    }
}
