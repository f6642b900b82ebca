using FtAkka.Cpu.State;
using Iced.Intel;

namespace FtAkka.Cpu.Architecture;

/// <summary>Linear address of a memory operand in 64-bit mode (Intel SDM vol. 1, 3.7.5).</summary>
internal static unsafe class EffectiveAddress
{
    /// <summary>
    /// Linear address of the explicit memory operand: base + index * scale + displacement (modulo 2^32 with a 67h prefix), plus the FS or GS base.
    /// RIP-relative operands use <see cref="CpuState.Rip"/>, so the instruction may have been decoded at another address.
    /// </summary>
    public static ulong Compute(CpuState* state, in Instruction instruction)
    {
        Register baseRegister = instruction.MemoryBase, index = instruction.MemoryIndex;
        ulong offset = instruction.MemoryDisplacement64;
        bool narrow = false;
        if (baseRegister is Register.RIP or Register.EIP)
        {
            // Iced gives the target for the address it decoded at.
            offset += state->Rip + (uint)instruction.Length - instruction.NextIP;
            narrow = baseRegister == Register.EIP;
        }
        else
        {
            if (baseRegister != Register.None)
            {
                narrow = Is32(baseRegister);
                offset += state->Gpr[GuestAccess.RegisterNumber(baseRegister)];
            }
            if (index != Register.None)
            {
                narrow |= Is32(index);
                offset += state->Gpr[GuestAccess.RegisterNumber(index)] * (uint)instruction.MemoryIndexScale;
            }
            // Without registers only the size of the displacement tells the 67h prefix: Iced reports 4 for it and 8 otherwise.
            if (baseRegister == Register.None && index == Register.None)
                narrow = instruction.MemoryDisplSize == 4;
        }
        if (narrow)
            offset = (uint)offset;
        return offset + SegmentBase(state, instruction.MemorySegment);
    }

    /// <summary>Base that an override adds: only FS and GS have one in 64-bit mode.</summary>
    public static ulong SegmentBase(CpuState* state, Register segment) => segment switch
    {
        Register.FS => state->Fs.Base,
        Register.GS => state->Gs.Base,
        _ => 0,
    };

    /// <summary>True when a non-canonical address raises #SS instead of #GP: base RSP or RBP and no FS or GS override (other overrides are ignored).</summary>
    public static bool IsStack(in Instruction instruction) =>
        instruction.MemoryBase is Register.RSP or Register.RBP or Register.ESP or Register.EBP
        && instruction.SegmentPrefix is not (Register.FS or Register.GS);

    private static bool Is32(Register register) => register is >= Register.EAX and <= Register.R15D;
}
