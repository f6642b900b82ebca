using FtAkka.Cpu.Decoding;
using Iced.Intel;

namespace FtAkka.Cpu.Translation;

/// <summary>Re-encoding: the guest instruction itself, with renamed registers and a translated address.</summary>
internal sealed partial class BlockTranslator
{
    /// <summary>A guest register that the instruction names and that has no host register: loaded into a scratch before, stored back after.</summary>
    private struct Renamed
    {
        public int Guest;
        public int Host;
        public bool Store;
    }

    private readonly Renamed[] _renamed = new Renamed[4];
    private int _renamedCount;
    private uint _freeScratch;

    /// <summary>Answers true: the block goes on.</summary>
    private bool EmitReencoded(in Instruction source)
    {
        ref readonly InstructionRule rule = ref InstructionPolicy.Of(source.Code);
        if (rule.Has(InstructionTraits.Nop))
        {
            return true;
        }
        Instruction instruction = source;
        InstructionPolicy.StripPrefixes(ref instruction);
        if (EmitWithoutHost(ref instruction))
        {
            return true;
        }
        // Nothing else touches guest RAM while the vCPU runs: a host lock would only cost time, and a split one can be a fault (Intel SDM
        // vol. 3A, 9.1.2.3).
        instruction.HasLockPrefix = false;
        if (rule.Has(InstructionTraits.AddressOnly))
        {
            EmitLea(instruction);
            return true;
        }
        if (NamesHighByte(instruction))
        {
            EmitWithHighByte(ref instruction, rule);
            return true;
        }
        if (instruction.Mnemonic == Mnemonic.Xchg && instruction.Op0Kind == OpKind.Memory)
        {
            EmitExchange(instruction, rule.MemoryBytes);
            return true;
        }
        int address = HostReg.None;
        _freeScratch = (1u << HostReg.Scratch) | (1u << HostReg.R14) | (1u << HostReg.R15);
        if (rule.Access != OperandAccess.None && InstructionPolicy.HasMemoryOperand(instruction))
        {
            address = EmitEffectiveAddress(instruction);
            EmitCheck(address, rule.MemoryBytes, rule.Access != OperandAccess.Read, rule.Alignment, IsStackSegment(source));
            _freeScratch &= ~((1u << address) | (1u << HostReg.R15));
            UseModRmForm(ref instruction);
            SetMemory(ref instruction, address, HostReg.R15);
        }
        bool implicitRcx = rule.Has(InstructionTraits.ImplicitRcx);
        if (implicitRcx)
        {
            _freeScratch &= ~(1u << HostReg.Scratch);
        }
        RenameOperands(ref instruction, ref address);
        if (implicitRcx)
        {
            _asm.Mov(HostReg.Scratch, HostReg.GuestRcx);
        }
        if (DefinesAll && address != HostReg.None && instruction.Code == Code.Cvtpi2ps_xmm_mmm64)
        {
            _asm.MovFromMm0(HostReg.Scratch); // from memory, AMD's CPUs do not enter MMX state, against Intel's documentation
        }
        Encode(instruction);
        if (DefinesAll && instruction.Code is Code.Bsf_r32_rm32 or Code.Bsr_r32_rm32)
        {
            int destination = GprNumber(instruction.Op0Register);
            _asm.Mov32(destination, destination); // of zero, CPUs differ in whether they keep the upper half
        }
        if (implicitRcx && instruction.Mnemonic is Mnemonic.Pcmpestri or Mnemonic.Pcmpestri64 or Mnemonic.Pcmpistri)
        {
            _asm.Mov(HostReg.GuestRcx, HostReg.Scratch);
        }
        StoreRenamed();
        return true;
    }

    /// <summary>
    /// Keeps instructions from the host that hosts execute differently: BSWAP of 16 bits clears on all known hosts. MOVSXD of 16 bits reads two bytes on Intel's CPUs
    /// and four on AMD's, which may be more than the guest has; MOV does the same. Answers true if the instruction is done.
    /// </summary>
    private bool EmitWithoutHost(ref Instruction instruction)
    {
        if (instruction.Code == Code.Movsxd_r16_rm16)
        {
            instruction.Code = Code.Mov_r16_rm16;
        }
        if (instruction.Code != Code.Bswap_r16)
        {
            return false;
        }
        _asm.MovImmediate(HostReg.Scratch, 0);
        EmitMergeWord(GprNumber(instruction.Op0Register), HostReg.Scratch);
        return true;
    }

    /// <summary>XCHG with memory locks the bus even without a prefix; as load and store it does not.</summary>
    private void EmitExchange(in Instruction instruction, int size)
    {
        int guest = GprNumber(instruction.Op1Register);
        int address = EmitEffectiveAddress(instruction);
        EmitCheck(address, size, write: true, stack: IsStackSegment(instruction));
        _asm.Lea(HostReg.R15, address, HostReg.R15, 0, 0);
        EmitReadRegister(guest, HostReg.R14);
        if (size == 1)
        {
            _asm.LoadByte(HostReg.Scratch, HostReg.R15);
        }
        else
        {
            _asm.Load(HostReg.Scratch, HostReg.R15, HostReg.None, size);
        }
        _asm.Store(HostReg.R15, HostReg.None, HostReg.R14, size);
        EmitWriteRegister(guest, HostReg.Scratch, size);
    }

    /// <summary>Writes a register as an instruction of operand size <paramref name="size"/> does: 1 and 2 bytes merge, 4 zero-extend.</summary>
    private void EmitWriteRegister(int guest, int source, int size)
    {
        int host = HostOf(guest);
        int destination = host;
        if (host == HostReg.None)
        {
            destination = source == HostReg.Scratch ? HostReg.R14 : HostReg.Scratch;
            if (size < 4)
            {
                _asm.LoadFrame(destination, SlotOf(guest));
            }
        }
        switch (size)
        {
            case 1:
                _asm.MovByte(destination, source);
                break;
            case 2:
                _asm.MovWord(destination, source);
                break;
            case 4:
                _asm.Mov32(destination, source);
                break;
            default:
                _asm.Mov(destination, source);
                break;
        }
        if (host == HostReg.None)
        {
            _asm.StoreFrame(SlotOf(guest), destination);
        }
    }

    private void Encode(in Instruction instruction)
    {
        if (!_encoder.TryEncode(instruction, (ulong)_asm.Here, out _, out string? error))
        {
            throw new InvalidOperationException($"cannot re-encode {instruction.Code} ({instruction}): {error}");
        }
    }

    /// <summary>MOV to and from an absolute 64-bit offset has no base register in its encoding: the ModRM form says the same.</summary>
    private static void UseModRmForm(ref Instruction instruction)
    {
        Code form = instruction.Code switch
        {
            Code.Mov_AL_moffs8 => Code.Mov_r8_rm8,
            Code.Mov_AX_moffs16 => Code.Mov_r16_rm16,
            Code.Mov_EAX_moffs32 => Code.Mov_r32_rm32,
            Code.Mov_RAX_moffs64 => Code.Mov_r64_rm64,
            Code.Mov_moffs8_AL => Code.Mov_rm8_r8,
            Code.Mov_moffs16_AX => Code.Mov_rm16_r16,
            Code.Mov_moffs32_EAX => Code.Mov_rm32_r32,
            Code.Mov_moffs64_RAX => Code.Mov_rm64_r64,
            _ => instruction.Code,
        };
        instruction.Code = form;
    }

    private static void SetMemory(ref Instruction instruction, int baseReg, int index)
    {
        instruction.SegmentPrefix = Register.None;
        instruction.MemoryBase = Register.RAX + baseReg;
        instruction.MemoryIndex = index == HostReg.None ? Register.None : Register.RAX + index;
        instruction.MemoryIndexScale = 1;
        instruction.MemoryDisplacement64 = 0;
        instruction.MemoryDisplSize = 0;
    }

    /// <summary>The register of <paramref name="like"/>'s size with another number.</summary>
    private static Register WithNumber(Register like, int number) => like.GetSize() switch
    {
        1 => number < 4 ? Register.AL + number : Register.SPL + (number - 4),
        2 => Register.AX + number,
        4 => Register.EAX + number,
        _ => Register.RAX + number,
    };

    private void RenameOperands(ref Instruction instruction, ref int address)
    {
        _renamedCount = 0;
        bool infoKnown = false;
        InstructionInfo info = default;
        bool foldable = address == HostReg.None;
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) != OpKind.Register)
            {
                continue;
            }
            Register register = instruction.GetOpRegister(i);
            int guest = GprNumber(register);
            if (guest < 0 || (register == Register.CL && i > 0 && IsShiftCount(instruction, i)))
            {
                continue;
            }
            int host = HostOf(guest);
            if (host == HostReg.None)
            {
                if (!infoKnown)
                {
                    info = _infoFactory.GetInfo(instruction, InstructionInfoOptions.NoMemoryUsage | InstructionInfoOptions.NoRegisterUsage);
                    infoKnown = true;
                }
                if (foldable && TryFold(ref instruction, i, guest, register, info.GetOpAccess(i)))
                {
                    foldable = false;
                    continue;
                }
                host = RenameSpilled(guest, register, info.GetOpAccess(i), ref instruction, ref address);
            }
            if (host != guest)
            {
                SetOpRegister(ref instruction, i, WithNumber(register, host));
            }
        }
    }

    private static bool IsShiftCount(in Instruction instruction, int operand) =>
        instruction.Mnemonic is Mnemonic.Shl or Mnemonic.Sal or Mnemonic.Shr or Mnemonic.Sar or Mnemonic.Rol or Mnemonic.Ror
            or Mnemonic.Rcl or Mnemonic.Rcr ? operand == 1
        : instruction.Mnemonic is Mnemonic.Shld or Mnemonic.Shrd && operand == 2;

    private static void SetOpRegister(ref Instruction instruction, int operand, Register register)
    {
        switch (operand)
        {
            case 0: instruction.Op0Register = register; break;
            case 1: instruction.Op1Register = register; break;
            case 2: instruction.Op2Register = register; break;
            default: instruction.Op3Register = register; break;
        }
    }

    /// <summary>Uses the frame slot of a spilled register as the r/m operand instead of a scratch register.</summary>
    /// <remarks>A slot is always stored whole, so that a later load of it forwards from the store: 64-bit writes only.</remarks>
    private static bool TryFold(ref Instruction instruction, int operand, int guest, Register register, OpAccess access)
    {
        if (!FoldTable.MayFold(instruction.Code, operand) || instruction.HasLockPrefix)
        {
            return false;
        }
        int size = register.GetSize();
        bool reads = access is OpAccess.Read;
        if (!reads && !(size == 8 && access is OpAccess.Write or OpAccess.ReadWrite))
        {
            return false;
        }
        for (int other = 0; other < instruction.OpCount; other++)
        {
            // The same spilled register on both sides: one scratch serves both.
            if (other != operand && instruction.GetOpKind(other) == OpKind.Register && GprNumber(instruction.GetOpRegister(other)) == guest)
            {
                return false;
            }
        }
        switch (operand)
        {
            case 0: instruction.Op0Kind = OpKind.Memory; break;
            case 1: instruction.Op1Kind = OpKind.Memory; break;
            default: instruction.Op2Kind = OpKind.Memory; break;
        }
        // A segment override means nothing on a register form, and would mean the host's segment on this one.
        instruction.SegmentPrefix = Register.None;
        instruction.MemoryBase = Register.RSP;
        instruction.MemoryIndex = Register.None;
        instruction.MemoryIndexScale = 1;
        instruction.MemoryDisplacement64 = (ulong)SlotOf(guest);
        instruction.MemoryDisplSize = 1;
        return true;
    }

    private int RenameSpilled(int guest, Register register, OpAccess access, ref Instruction instruction, ref int address)
    {
        bool writes = access is not OpAccess.Read and not OpAccess.CondRead and not OpAccess.None;
        bool reads = access != OpAccess.Write || register.GetSize() < 4;
        for (int i = 0; i < _renamedCount; i++)
        {
            if (_renamed[i].Guest == guest)
            {
                if (reads && !_renamed[i].Store)
                {
                    // Already loaded for another operand.
                }
                else if (reads)
                {
                    // A write-only operand came first and skipped the load.
                    _asm.LoadFrame(_renamed[i].Host, SlotOf(guest));
                }
                _renamed[i].Store |= writes;
                return _renamed[i].Host;
            }
        }
        int host = TakeScratch(ref instruction, ref address);
        if (reads)
        {
            _asm.LoadFrame(host, SlotOf(guest));
        }
        _renamed[_renamedCount++] = new Renamed { Guest = guest, Host = host, Store = writes };
        return host;
    }

    private int TakeScratch(ref Instruction instruction, ref int address)
    {
        if (_freeScratch == 0)
        {
            // Fold address + addend into r15: that frees r14, where the address was (a pinned register would have left r14 free).
            _asm.Lea(HostReg.R15, address, HostReg.R15, 0, 0);
            address = HostReg.R15;
            SetMemory(ref instruction, HostReg.R15, HostReg.None);
            _freeScratch |= 1u << HostReg.R14;
        }
        int scratch = System.Numerics.BitOperations.TrailingZeroCount(_freeScratch);
        _freeScratch &= ~(1u << scratch);
        return scratch;
    }

    private void StoreRenamed()
    {
        for (int i = 0; i < _renamedCount; i++)
        {
            if (_renamed[i].Store)
            {
                _asm.StoreFrame(SlotOf(_renamed[i].Guest), _renamed[i].Host);
            }
        }
    }

    /// <summary>LEA: the effective address without segment base, truncated or extended to the destination.</summary>
    private void EmitLea(in Instruction instruction)
    {
        Instruction plain = instruction;
        plain.SegmentPrefix = Register.None;
        int address = EmitEffectiveAddress(plain);
        int guest = GprNumber(instruction.Op0Register);
        int size = instruction.Op0Register.GetSize();
        if (size == 2)
        {
            EmitMergeWord(guest, address);
            return;
        }
        int host = HostOf(guest);
        if (host == HostReg.None)
        {
            if (size == 4)
            {
                _asm.Mov32(HostReg.R14, address);
                address = HostReg.R14;
            }
            _asm.StoreFrame(SlotOf(guest), address);
        }
        else if (size == 4)
        {
            _asm.Mov32(host, address);
        }
        else
        {
            _asm.Mov(host, address);
        }
    }
}

/// <summary>Which register operand of a code may become a memory operand without a change of meaning.</summary>
internal static class FoldTable
{
    private static readonly sbyte[] s_operand = Build();

    /// <summary>Whether <paramref name="operand"/> is the r/m operand of a code that treats register and memory alike.</summary>
    public static bool MayFold(Code code, int operand) => s_operand[(int)code] == operand;

    private static sbyte[] Build()
    {
        var table = new sbyte[Enum.GetValues<Code>().Length];
        Array.Fill(table, (sbyte)-1);
        foreach (Code code in Enum.GetValues<Code>())
        {
            // Not BT and its kin (bit strings), not XCHG and CMPXCHG (an implied or slow lock).
            if (code.Mnemonic() is Mnemonic.Add or Mnemonic.Sub or Mnemonic.And or Mnemonic.Or or Mnemonic.Xor or Mnemonic.Cmp or Mnemonic.Test
                or Mnemonic.Mov or Mnemonic.Adc or Mnemonic.Sbb or Mnemonic.Imul or Mnemonic.Movzx or Mnemonic.Movsx or Mnemonic.Movsxd
                or Mnemonic.Inc or Mnemonic.Dec or Mnemonic.Neg or Mnemonic.Not or Mnemonic.Shl or Mnemonic.Shr or Mnemonic.Sar
                || code.Mnemonic() is >= Mnemonic.Cmova and <= Mnemonic.Cmovs)
            {
                OpCodeInfo info = code.ToOpCode();
                for (int i = 0; i < info.OpCount; i++)
                {
                    if (info.GetOpKind(i) is OpCodeOperandKind.r8_or_mem or OpCodeOperandKind.r16_or_mem or OpCodeOperandKind.r32_or_mem or OpCodeOperandKind.r64_or_mem)
                    {
                        table[(int)code] = (sbyte)i;
                    }
                }
            }
        }
        return table;
    }
}
