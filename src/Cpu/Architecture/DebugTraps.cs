using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Architecture;

/// <summary>Kind of access a data or I/O breakpoint is asked about.</summary>
internal enum BreakpointAccess : byte { Read, Write, Port }

/// <summary>Debug registers: which breakpoints match and what DR6 then says (Intel SDM vol. 3B, 17.2 and 17.3). The engine decides when to ask.</summary>
internal static unsafe class DebugTraps
{
    /// <summary>DR6: a MOV DR was caught by DR7.GD.</summary>
    public const ulong AccessDetected = 1 << 13;
    /// <summary>DR6: single step.</summary>
    public const ulong SingleStep = 1 << 14;
    /// <summary>DR7.GD.</summary>
    public const ulong GeneralDetect = 1 << 13;

    private const ulong Dr6Fixed = 0xFFFF0FF0, Dr6Writable = 0xE00F, Dr7Fixed = 0x400, Dr7Writable = 0xFFFF23FF;

    public const ulong Dr6Reset = Dr6Fixed, Dr7Reset = Dr7Fixed;

    /// <summary>DR6 as it reads after a write of <paramref name="value"/>.</summary>
    public static ulong Dr6Written(ulong value) => Dr6Fixed | (value & Dr6Writable);

    /// <summary>DR7 as it reads after a write of <paramref name="value"/>.</summary>
    public static ulong Dr7Written(ulong value) => Dr7Fixed | (value & Dr7Writable);

    /// <summary>True when DR7 enables any breakpoint: the engine must then look at every instruction.</summary>
    public static bool AnyEnabled(CpuState* state) => (state->Dr7 & 0xFF) != 0;

    /// <summary>
    /// DR6 bits of the instruction breakpoints at <paramref name="rip"/>; 0 = none. With RFLAGS.RF set they are suppressed for this one instruction.
    /// </summary>
    public static ulong InstructionBreakpoints(CpuState* state, ulong rip)
    {
        if ((state->Rflags & Rflags.Resume) != 0)
            return 0;
        ulong bits = 0;
        for (int i = 0; i < 4; i++)
        {
            if (IsEnabled(state, i) && Condition(state, i) == 0 && Address(state, i) == rip)
                bits |= 1ul << i;
        }
        return bits;
    }

    /// <summary>DR6 bits of the breakpoints that an access of <paramref name="size"/> bytes (ports for <see cref="BreakpointAccess.Port"/>) hits; 0 = none.</summary>
    public static ulong AccessBreakpoints(CpuState* state, ulong address, int size, BreakpointAccess access)
    {
        ulong bits = 0;
        for (int i = 0; i < 4; i++)
        {
            if (!IsEnabled(state, i) || !Matches(Condition(state, i), access, (state->Cr4 & Cr4.DebuggingExtensions) != 0))
                continue;
            ulong length = LengthBytes(state, i);
            ulong start = Address(state, i) & ~(length - 1);
            // Differences wrap, so ranges that touch the top of the address space compare right.
            if (address - start < length || start - address < (uint)size)
                bits |= 1ul << i;
        }
        return bits;
    }

    /// <summary>Records a debug event in DR6: the breakpoint bits are replaced, the others only ever gain (software clears them).</summary>
    public static void Report(CpuState* state, ulong dr6Bits) => state->Dr6 = (state->Dr6 & ~0xFul) | dr6Bits;

    private static bool Matches(uint condition, BreakpointAccess access, bool portsAllowed) => condition switch
    {
        1 => access == BreakpointAccess.Write,
        2 => portsAllowed && access == BreakpointAccess.Port,
        3 => access is BreakpointAccess.Read or BreakpointAccess.Write,
        _ => false,
    };

    private static bool IsEnabled(CpuState* state, int index) => (state->Dr7 >> (index * 2) & 3) != 0;

    private static uint Condition(CpuState* state, int index) => (uint)(state->Dr7 >> (16 + (index * 4))) & 3;

    private static ulong LengthBytes(CpuState* state, int index) => ((uint)(state->Dr7 >> (18 + (index * 4))) & 3) switch
    {
        0 => 1,
        1 => 2,
        2 => 8,
        _ => 4,
    };

    private static ulong Address(CpuState* state, int index) => index switch
    {
        0 => state->Dr0,
        1 => state->Dr1,
        2 => state->Dr2,
        _ => state->Dr3,
    };
}
