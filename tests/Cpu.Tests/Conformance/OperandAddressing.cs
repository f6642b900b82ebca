using FtAkka.Cpu.Verification;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Conformance;

/// <summary>Chooses an addressing form, and values for the registers in it, such that the effective address is the wanted one.</summary>
internal sealed class OperandAddressing(SeededRandom random)
{
    private static readonly Register[] s_gpr =
    [
        Register.RAX, Register.RCX, Register.RDX, Register.RBX, Register.RSP, Register.RBP, Register.RSI, Register.RDI,
        Register.R8, Register.R9, Register.R10, Register.R11, Register.R12, Register.R13, Register.R14, Register.R15,
    ];

    // rCX, rSP and r12 to r15 do not stay in their own host registers during translation: take them more often.
    private static readonly int[] s_favourites = [1, 4, 5, 12, 13, 14, 15];

    /// <summary>
    /// Sets the memory fields of <paramref name="instruction"/>. Registers whose bit in <paramref name="pinned"/> is set keep their value;
    /// the registers used are added to it. <paramref name="stackAdjust"/> is added to rSP as a base: POP computes its address after the
    /// increment. False if the random choice did not work out; call again.
    /// </summary>
    public bool TryAddress(ref Instruction instruction, MachineState state, ref uint pinned, ulong address, bool use32Bit, int stackAdjust)
    {
        instruction.MemoryIndexScale = 1;
        instruction.MemoryIndex = Register.None;
        switch (random.Below(10))
        {
            case 0:
                instruction.MemoryBase = use32Bit ? Register.EIP : Register.RIP;
                instruction.MemoryDisplSize = use32Bit ? 4 : 8;
                instruction.MemoryDisplacement64 = use32Bit ? (uint)address : address;
                return use32Bit || address < int.MaxValue; // The code lies below 2 GiB, so every such target is in reach.
            case 1:
                instruction.MemoryBase = Register.None;
                return SetDisplacement(ref instruction, address, use32Bit, forceWide: true);
            case 2:
                return TryIndexOnly(ref instruction, state, ref pinned, address, use32Bit);
            case 3 or 4 or 5:
                return TryBase(ref instruction, state, ref pinned, address, use32Bit, stackAdjust, index: -1);
            default:
                int index = RegisterNumber();
                return index != 4 && TryBase(ref instruction, state, ref pinned, address, use32Bit, stackAdjust, index);
        }
    }

    private int RegisterNumber() => random.Percent(50) ? random.Below(16) : random.Pick(s_favourites);

    private static Register Named(int number, bool use32Bit) =>
        use32Bit ? s_gpr[number].GetInfo().FullRegister32 : s_gpr[number];

    private bool TryIndexOnly(ref Instruction instruction, MachineState state, ref uint pinned, ulong address, bool use32Bit)
    {
        int index = RegisterNumber();
        if (index == 4) { return false; }
        int scale = 1 << random.Below(4);
        if ((pinned & (1u << index)) == 0) { SetRegister(state, index, (ulong)random.Between(-100000, 100000), use32Bit); }
        pinned |= 1u << index;
        instruction.MemoryBase = Register.None;
        instruction.MemoryIndex = Named(index, use32Bit);
        instruction.MemoryIndexScale = scale;
        return SetDisplacement(ref instruction, address - (state.Gpr[index] * (ulong)scale), use32Bit, forceWide: true);
    }

    private bool TryBase(
        ref Instruction instruction, MachineState state, ref uint pinned, ulong address, bool use32Bit, int stackAdjust, int index)
    {
        int @base = RegisterNumber();
        int scale = 1 << random.Below(4);
        ulong rest = address - (@base == 4 ? (ulong)stackAdjust : 0);
        instruction.MemoryBase = Named(@base, use32Bit);
        if (index >= 0)
        {
            instruction.MemoryIndex = Named(index, use32Bit);
            instruction.MemoryIndexScale = scale;
            if (index == @base)
            {
                if ((pinned & (1u << index)) == 0) { SetRegister(state, index, (ulong)random.Between(-100000, 100000), use32Bit); }
                pinned |= 1u << index;
                return SetDisplacement(ref instruction, rest - (state.Gpr[index] * (ulong)(scale + 1)), use32Bit, forceWide: true);
            }
            rest -= state.Gpr[index] * (ulong)scale;
            pinned |= 1u << index;
        }
        if ((pinned & (1u << @base)) != 0)
        {
            return SetDisplacement(ref instruction, rest - state.Gpr[@base], use32Bit, forceWide: false);
        }
        long displacement = random.Below(3) switch { 0 => 0, 1 => (sbyte)random.Next(), _ => (int)random.Next() };
        SetRegister(state, @base, rest - (ulong)displacement, use32Bit);
        pinned |= 1u << @base;
        return SetDisplacement(ref instruction, rest - state.Gpr[@base], use32Bit, forceWide: false);
    }

    /// <summary>With 32-bit addresses the upper half of a register is not part of the address: fill it with noise.</summary>
    private void SetRegister(MachineState state, int number, ulong value, bool use32Bit) =>
        state.Gpr[number] = use32Bit ? (uint)value | (random.Next() << 32) : value;

    private static bool SetDisplacement(ref Instruction instruction, ulong displacement, bool use32Bit, bool forceWide)
    {
        long signed = use32Bit ? (int)(uint)displacement : (long)displacement;
        if (signed != (int)signed) { return false; }
        instruction.MemoryDisplSize = signed == 0 && !forceWide ? 0 : signed == (sbyte)signed && !forceWide ? 1 : use32Bit ? 4 : 8;
        instruction.MemoryDisplacement64 = use32Bit ? (uint)signed : (ulong)signed;
        return true;
    }
}
