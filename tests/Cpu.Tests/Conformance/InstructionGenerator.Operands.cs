using System.Buffers.Binary;
using System.Numerics;
using FtAkka.Cpu.Decoding;
using FtAkka.Cpu.Verification;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Conformance;

/// <content>Where the memory operand lies, and values that make an instruction neither trap nor always take the same way.</content>
internal sealed partial class InstructionGenerator
{
    private ref readonly InstructionRule Rule => ref InstructionPolicy.Of(_instruction.Code);

    private bool TrySetMemory(OpCodeOperandKind kind)
    {
        bool bitString = Rule.Has(InstructionTraits.BitString);
        _case.OperandBytes = Math.Max(1, (int)Rule.MemoryBytes);
        _case.Place = _forcedPlace ?? (Rule.Has(InstructionTraits.Transfer) ? OperandPlace.Ram
            : random.Below(10) switch
            {
                0 => OperandPlace.Mmio,
                1 when Rule.Access == OperandAccess.Read => OperandPlace.ReadOnly,
                _ => OperandPlace.Ram,
            });
        bool canonical = _case.Place != OperandPlace.NonCanonical;
        _case.OperandAddress = canonical
            ? runner.DataAddress + (ulong)OperandOffset()
            : ((random.Next() >> 1) | (1ul << 62)) & ~(1ul << 63) & ~15ul; // bits 62 and 63 differ
        ulong effective = _case.OperandAddress;
        if (bitString)
        {
            int register = _instruction.Op1Register.GetNumber();
            int bits = _case.OperandBytes * 8;
            long offset = bits switch { 16 => (short)State.Gpr[register], 32 => (int)State.Gpr[register], _ => (long)State.Gpr[register] };
            effective -= (ulong)((offset >> BitOperations.Log2((uint)bits)) * _case.OperandBytes);
        }
        if (Rule.Access != OperandAccess.None && canonical) { FillData(_case.OperandAddress, _case.OperandBytes); }

        bool use32Bit = canonical && random.Percent(12);
        if (kind == OpCodeOperandKind.mem_offs)
        {
            SetSegment(ref effective, use32Bit: false);
            _instruction.MemoryBase = Register.None;
            _instruction.MemoryDisplSize = 8;
            _instruction.MemoryDisplacement64 = effective;
            return true;
        }
        SetSegment(ref effective, use32Bit);
        int stackAdjust = _instruction.Mnemonic == Mnemonic.Pop ? _case.OperandBytes : 0;
        for (int attempt = 0; attempt < 10; attempt++)
        {
            MachineState before = new();
            before.CopyFrom(State);
            uint pinned = _pinned;
            if (_addressing.TryAddress(ref _instruction, State, ref pinned, effective, use32Bit, stackAdjust))
            {
                _pinned = pinned;
                return true;
            }
            State.CopyFrom(before);
        }
        return false;
    }

    private int OperandOffset()
    {
        const int Page = ScratchLayout.Page;
        (int start, int end) = _case.Place switch
        {
            // Two pages, of which the first, the second or both cannot be accessed.
            OperandPlace.NotPresent => random.Percent(50)
                ? ((ScratchLayout.NotPresentPage - 1) * Page, (ScratchLayout.NotPresentPage + 1) * Page)
                : (ScratchLayout.NotPresentPage * Page, (ScratchLayout.NotPresentPage + 2) * Page),
            OperandPlace.ReadOnlyFault => (ScratchLayout.ReadOnlyPage * Page, (ScratchLayout.SecondNotPresentPage + 1) * Page),
            OperandPlace.Supervisor => (ScratchLayout.SupervisorPage * Page, (ScratchLayout.SupervisorPage + 1) * Page),
            OperandPlace.Mmio => (ScratchLayout.MmioStart, ScratchLayout.MmioEnd),
            OperandPlace.ReadOnly => (ScratchLayout.ReadOnlyPage * ScratchLayout.Page, (ScratchLayout.ReadOnlyPage + 1) * ScratchLayout.Page),
            _ => (ScratchLayout.RamStart, ScratchLayout.RamEnd),
        };
        int size = _case.OperandBytes;
        int pageEnd = start + (ScratchLayout.Page * random.Between(1, (end - start) / ScratchLayout.Page));
        int offset = random.Below(10) switch
        {
            0 or 1 => pageEnd - size,
            2 or 3 when pageEnd < end && size > 1 => pageEnd - random.Between(1, size - 1),
            4 => random.Between(start, end - size),
            _ => random.Between(start, end - size) & ~15,
        };
        // XCHG locks by itself: a host may trap or throttle locked accesses across cache lines.
        int alignment = _instruction.Mnemonic == Mnemonic.Xchg ? size : Rule.Alignment;
        offset &= -alignment;
        return _case.Place == OperandPlace.Misaligned ? Math.Min(offset, end - 32) + random.Between(1, 15) : offset;
    }

    /// <summary>Sometimes FS or GS with a base: takes it off the address to form.</summary>
    private void SetSegment(ref ulong effective, bool use32Bit)
    {
        if (!runner.SupportsSegmentBase || random.Percent(80) || (_current is not null && use32Bit)) { return; }
        _instruction.SegmentPrefix = random.Percent(50) ? Register.FS : Register.GS;
        ulong @base = use32Bit || random.Percent(30)
            ? (ulong)random.Below(0x10000)
            : random.Percent(50) ? random.Next() >> 18 : (ulong)(long)(int)random.Next();
        if (_current is null) { State.SegmentBase = @base; } else { @base = State.SegmentBase; }
        if (!Rule.Has(InstructionTraits.AddressOnly)) { effective -= @base; }
    }

    /// <summary>Values that must be known before addresses are formed, because address registers may be the same.</summary>
    private bool TryFixRegisters(int memoryOperand)
    {
        if (Rule.Has(InstructionTraits.BitString) && memoryOperand == 0)
        {
            int number = _instruction.Op1Register.GetNumber();
            if (number == 4) { return false; } // rSP as an offset would reach far outside
            ulong offset = (ulong)random.Between(-16000, 16000);
            State.Gpr[number] = Rule.MemoryBytes switch
            {
                2 => (ushort)offset | (random.Next() << 16),
                4 => (uint)offset | (random.Next() << 32),
                _ => offset,
            };
            _pinned |= 1u << number;
        }
        switch (_instruction.Mnemonic)
        {
            case Mnemonic.Loop or Mnemonic.Loope or Mnemonic.Loopne or Mnemonic.Jecxz or Mnemonic.Jrcxz:
                State.Gpr[1] = random.Pick<ulong>([0, 1, 2, 1ul << 32, (1ul << 32) + 1, random.Next()]);
                return true;
            case Mnemonic.Leave:
                State.Gpr[5] = (runner.DataAddress + (ulong)random.Between(ScratchLayout.StackStart, ScratchLayout.StackEnd - 8)) & ~7ul;
                return true;
            case Mnemonic.Div or Mnemonic.Idiv:
                _pinned |= 0b101; // the dividend
                return true;
            case Mnemonic.Jmp or Mnemonic.Call when _case.BranchTarget == 0:
                if (!SetTarget(random.Between(-300, 300) * 16)) { return false; }
                if (memoryOperand < 0)
                {
                    int number = _instruction.Op0Register.GetNumber();
                    State.Gpr[number] = _case.BranchTarget;
                    return number != 4;
                }
                return true;
            case Mnemonic.Ret:
                if (!SetTarget(random.Between(-300, 300) * 16)) { return false; }
                BinaryPrimitives.WriteUInt64LittleEndian(DataAt(State.Gpr[4], 8), _case.BranchTarget);
                return true;
            default:
                if (Rule.Has(InstructionTraits.ImplicitRcx) && random.Percent(70))
                {
                    State.Gpr[1] = (State.Gpr[1] & ~0xFFul) | (uint)random.Between(0, 70); // a shift count
                }
                return true;
        }
    }

    /// <summary>Values that depend on where the operand is: branch targets in memory, comparands that are equal, divisions that fit.</summary>
    private bool TryFixContents(int memoryOperand)
    {
        int size = _case.OperandBytes;
        if (_case.Place == OperandPlace.NonCanonical) { return true; }
        switch (_instruction.Mnemonic)
        {
            case Mnemonic.Jmp or Mnemonic.Call when memoryOperand >= 0 && _case.Place != OperandPlace.NonCanonical:
                BinaryPrimitives.WriteUInt64LittleEndian(DataAt(_case.OperandAddress, 8), _case.BranchTarget);
                return true;
            case Mnemonic.Cmpxchg when memoryOperand >= 0 && (_pinned & 1) == 0 && random.Percent(50):
                ulong mask = size == 8 ? ulong.MaxValue : (1ul << (size * 8)) - 1;
                State.Gpr[0] = (State.Gpr[0] & ~mask) | ReadData(_case.OperandAddress, size);
                return true;
            case Mnemonic.Cmpxchg8b or Mnemonic.Cmpxchg16b when (_pinned & 0b101) == 0 && random.Percent(60):
                State.Gpr[0] = ReadData(_case.OperandAddress, size / 2) | (size == 8 ? random.Next() << 32 : 0);
                State.Gpr[2] = ReadData(_case.OperandAddress + (ulong)(size / 2), size / 2) | (size == 8 ? random.Next() << 32 : 0);
                return true;
            case Mnemonic.Div or Mnemonic.Idiv:
                return TryFixDivision(memoryOperand);
            default:
                return true;
        }
    }

    private ulong ReadData(ulong address, int size)
    {
        Span<byte> bytes = stackalloc byte[8];
        bytes.Clear();
        DataAt(address, size).CopyTo(bytes);
        return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    }

    private void WriteData(ulong address, int size, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        bytes[..size].CopyTo(DataAt(address, size));
    }

    private bool TryFixDivision(int memoryOperand)
    {
        int size = memoryOperand >= 0 ? _case.OperandBytes : _instruction.Op0Register.GetSize();
        bool signed = _instruction.Mnemonic == Mnemonic.Idiv;
        bool addressFixesDividend = memoryOperand >= 0
            && (UsesRegister(_instruction.MemoryBase) || UsesRegister(_instruction.MemoryIndex));
        for (int attempt = 0; attempt < 20; attempt++)
        {
            if (DivisionFits(State, memoryOperand, size, signed) != _wantDivideError) { return true; }
            if (_current is not null) { return false; }
            ulong divisor = RandomState.Integer(random);
            if (memoryOperand >= 0)
            {
                WriteData(_case.OperandAddress, size, divisor);
            }
            if (!addressFixesDividend)
            {
                State.Gpr[0] = RandomState.Integer(random);
                State.Gpr[2] = random.Percent(50) ? RandomState.Integer(random)
                    : signed ? (ulong)((long)State.Gpr[0] >> 63) : (ulong)random.Below(3);
                if (size == 1 && random.Percent(80)) { State.Gpr[0] = (State.Gpr[0] & ~0xFFFFul) | (byte)random.Next(); }
            }
        }
        return false;
    }

    private static bool UsesRegister(Register register) => register.GetFullRegister() is Register.RAX or Register.RDX;

    private bool DivisionFits(MachineState state, int memoryOperand, int size, bool signed)
    {
        ulong divisor = memoryOperand >= 0 ? ReadData(_case.OperandAddress, size) : ReadRegister(state, _instruction.Op0Register);
        return DivisionFits(state, divisor, size, signed);
    }

    /// <summary>True if the quotient fits: no #DE (Intel SDM vol. 2A, DIV and IDIV).</summary>
    internal static bool DivisionFits(MachineState state, ulong divisor, int size, bool signed)
    {
        int bits = size * 8;
        BigInteger mask = (BigInteger.One << bits) - 1;
        BigInteger dividend = size == 1
            ? state.Gpr[0] & 0xFFFF
            : ((state.Gpr[2] & mask) << bits) | (state.Gpr[0] & mask);
        BigInteger by = divisor & mask;
        if (signed)
        {
            dividend = SignExtend(dividend, bits * 2);
            by = SignExtend(by, bits);
        }
        if (by.IsZero) { return false; }
        BigInteger quotient = BigInteger.Divide(dividend, by);
        return signed
            ? quotient >= -(BigInteger.One << (bits - 1)) && quotient < BigInteger.One << (bits - 1)
            : quotient <= mask;
    }

    private static BigInteger SignExtend(BigInteger value, int bits) =>
        value >= BigInteger.One << (bits - 1) ? value - (BigInteger.One << bits) : value;

    private static ulong ReadRegister(MachineState state, Register register)
    {
        if (register is >= Register.AH and <= Register.BH) { return (byte)(state.Gpr[register - Register.AH] >> 8); }
        ulong value = state.Gpr[register.GetFullRegister() - Register.RAX];
        return register.GetSize() switch { 1 => (byte)value, 2 => (ushort)value, 4 => (uint)value, _ => value };
    }
}
