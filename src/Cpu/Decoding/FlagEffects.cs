using Iced.Intel;

namespace FtAkka.Cpu.Decoding;

/// <summary>
/// What an instruction does with CF, PF, AF, ZF, SF and OF where <see cref="CpuSemantics"/> defines what the architecture leaves undefined. The lists are ours: the
/// documentation of an instruction, and so Iced, counts a flag that every host leaves alone (BT) among the undefined ones as well.
/// </summary>
internal readonly record struct FlagEffects
{
    public const uint Carry = 1, Parity = 4, Adjust = 0x10, Zero = 0x40, Sign = 0x80, Overflow = 0x800;

    /// <summary>The six status flags.</summary>
    public const uint Status = Carry | Parity | Adjust | Zero | Sign | Overflow;

    /// <summary>What MUL and IMUL leave undefined (Intel SDM vol. 2A).</summary>
    public const uint UndefinedByMultiply = Parity | Adjust | Zero | Sign;

    /// <summary>DIV and IDIV leave all six undefined; ours are those of a result of zero, which one instruction makes.</summary>
    public const uint BehindDivision = Zero | Parity;

    /// <summary>Flags that it looks at.</summary>
    public uint Reads { get; private init; }

    /// <summary>Flags that every host gives their architectural value, whatever they were.</summary>
    public uint Writes { get; private init; }

    /// <summary>Flags that the architecture leaves undefined, and the guest has clear.</summary>
    public uint Undefined { get; private init; }

    /// <summary>Which flags it changes is not known from its bytes: all flags must be right before it.</summary>
    public bool IsOpen { get; private init; }

    /// <summary>A shift or rotate by CL: a count of 0 changes no flag, 1 leaves AF undefined, more than 1 OF as well.</summary>
    public bool IsByCount { get; private init; }

    /// <summary>MUL or IMUL, in every form. MULX leaves all flags alone and is none.</summary>
    public static bool IsMultiply(in Instruction instruction) => instruction.Mnemonic is Mnemonic.Mul or Mnemonic.Imul;

    /// <summary>Nothing is known of what comes: every flag must be right before it.</summary>
    public static FlagEffects Unknown => new() { IsOpen = true };

    /// <summary>The effects of a re-emitted instruction, or one with emission of its own, under a number of <see cref="CpuSemantics"/>.</summary>
    public static FlagEffects Of(in Instruction instruction, int semantics)
    {
        FlagEffects effects = Describe(instruction);
        bool ours = semantics >= CpuSemantics.UndefinedIsZero || (semantics == CpuSemantics.MultiplyClearsFlags && IsMultiply(instruction));
        bool leavesOpen = effects.Undefined != 0 || effects.IsByCount || instruction.Mnemonic is Mnemonic.Div or Mnemonic.Idiv;
        return ours || !leavesOpen ? effects : Unknown;
    }

    private static FlagEffects Describe(in Instruction instruction)
    {
        uint reads = InstructionPolicy.FlagsRead(instruction) & Status;
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Shl:
            case Mnemonic.Sal:
            case Mnemonic.Shr:
            case Mnemonic.Sar:
            case Mnemonic.Shld:
            case Mnemonic.Shrd:
                return Shift(instruction);
            case Mnemonic.Rol:
            case Mnemonic.Ror:
            case Mnemonic.Rcl:
            case Mnemonic.Rcr:
                return Rotate(instruction);
            default:
                break;
        }
        uint undefined = UndefinedBy(instruction.Mnemonic);
        uint? writes = WrittenBy(instruction.Mnemonic);
        return writes is null && (InstructionPolicy.FlagsModified(instruction) & Status) != 0
            ? Unknown
            : new FlagEffects { Reads = reads, Writes = writes ?? 0, Undefined = undefined };
    }

    private static uint UndefinedBy(Mnemonic mnemonic) => mnemonic switch
    {
        Mnemonic.Mul or Mnemonic.Imul => UndefinedByMultiply,
        Mnemonic.Bsf or Mnemonic.Bsr => Status & ~Zero,
        Mnemonic.Lzcnt or Mnemonic.Tzcnt => Status & ~(Zero | Carry),
        Mnemonic.Andn or Mnemonic.Blsr or Mnemonic.Blsi or Mnemonic.Blsmsk or Mnemonic.Bzhi => Adjust | Parity,
        Mnemonic.Bextr => Adjust | Parity | Sign,
        _ => 0,
    };

    /// <summary>
    /// Null: not in the list. AF behind AND, OR, XOR and TEST is 0 on every known CPU, and BT and its kin change CF alone: <see cref="Verification.HostSelfTest"/>
    /// looks.
    /// </summary>
    private static uint? WrittenBy(Mnemonic mnemonic)
    {
        switch (mnemonic)
        {
            case Mnemonic.Add:
            case Mnemonic.Adc:
            case Mnemonic.Sub:
            case Mnemonic.Sbb:
            case Mnemonic.Cmp:
            case Mnemonic.Neg:
            case Mnemonic.Xadd:
            case Mnemonic.Cmpxchg:
            case Mnemonic.And:
            case Mnemonic.Or:
            case Mnemonic.Xor:
            case Mnemonic.Test:
            case Mnemonic.Div:
            case Mnemonic.Idiv:
            case Mnemonic.Popcnt:
            case Mnemonic.Ptest:
            case Mnemonic.Ucomiss:
            case Mnemonic.Ucomisd:
            case Mnemonic.Comiss:
            case Mnemonic.Comisd:
                return Status;
            case Mnemonic.Inc:
            case Mnemonic.Dec:
                return Status & ~Carry;
            case Mnemonic.Mul:
            case Mnemonic.Imul:
                return Carry | Overflow;
            case Mnemonic.Bsf:
            case Mnemonic.Bsr:
            case Mnemonic.Cmpxchg8b:
            case Mnemonic.Cmpxchg16b:
                return Zero;
            case Mnemonic.Lzcnt:
            case Mnemonic.Tzcnt:
                return Zero | Carry;
            case Mnemonic.Andn:
            case Mnemonic.Blsr:
            case Mnemonic.Blsi:
            case Mnemonic.Blsmsk:
            case Mnemonic.Bzhi:
                return Status & ~(Adjust | Parity);
            case Mnemonic.Bextr:
                return Status & ~(Adjust | Parity | Sign);
            case Mnemonic.Bt:
            case Mnemonic.Bts:
            case Mnemonic.Btr:
            case Mnemonic.Btc:
            case Mnemonic.Clc:
            case Mnemonic.Stc:
            case Mnemonic.Cmc:
            case Mnemonic.Adcx:
                return Carry;
            case Mnemonic.Adox:
                return Overflow;
            case Mnemonic.Sahf:
                return Status & ~Overflow;
            default:
                return null;
        }
    }

    private static FlagEffects Shift(in Instruction instruction)
    {
        if (CountOf(instruction) is not { } count)
        {
            return new FlagEffects { IsOpen = true, IsByCount = true };
        }
        if (count == 0)
        {
            return default;
        }
        uint undefined = count == 1 ? Adjust : Adjust | Overflow;
        return new FlagEffects { Writes = Status & ~undefined, Undefined = undefined };
    }

    private static FlagEffects Rotate(in Instruction instruction)
    {
        // By a whole turn, too, of which Iced says that no flag takes part: CF goes round.
        uint reads = instruction.Mnemonic is Mnemonic.Rcl or Mnemonic.Rcr ? Carry : 0;
        if (CountOf(instruction) is not { } count)
        {
            return new FlagEffects { Reads = reads, IsOpen = true, IsByCount = true };
        }
        return count switch
        {
            0 => default,
            1 => new FlagEffects { Reads = reads, Writes = Carry | Overflow },
            _ => new FlagEffects { Reads = reads, Writes = Carry, Undefined = Overflow },
        };
    }

    /// <summary>The count that the CPU uses, modulo 32 or 64; null if it is in CL.</summary>
    private static int? CountOf(in Instruction instruction)
    {
        int last = instruction.OpCount - 1;
        return instruction.GetOpKind(last) == OpKind.Immediate8 ? instruction.Immediate8 & CountMask(instruction) : null;
    }

    /// <summary>63 for 64-bit shifts and rotates, else 31.</summary>
    public static int CountMask(in Instruction instruction)
    {
        int size = instruction.Op0Kind == OpKind.Memory ? instruction.MemorySize.GetSize() : instruction.Op0Register.GetSize();
        return size == 8 ? 63 : 31;
    }
}
