using Iced.Intel;

namespace FtAkka.Cpu.Decoding;

internal static partial class InstructionPolicy
{
    private static InstructionRule[] BuildRules()
    {
        Code[] codes = Enum.GetValues<Code>();
        var rules = new InstructionRule[(int)codes[^1] + 1];
        var classOfMnemonic = new Dictionary<Mnemonic, InstructionClass>();
        AddAll(classOfMnemonic, InstructionLists.Reemit, InstructionClass.Reemit);
        AddAll(classOfMnemonic, InstructionLists.ReemitX87, InstructionClass.Reemit);
        AddAll(classOfMnemonic, InstructionLists.ReemitVector, InstructionClass.Reemit);
        AddAll(classOfMnemonic, InstructionLists.Nops, InstructionClass.Reemit);
        AddAll(classOfMnemonic, InstructionLists.Emit, InstructionClass.Emit);
        AddAll(classOfMnemonic, InstructionLists.Special, InstructionClass.Special);
        var factory = new InstructionInfoFactory();
        foreach (Code code in codes)
        {
            OpCodeInfo info = code.ToOpCode();
            InstructionClass @class = Classify(info, classOfMnemonic, out InstructionFeatures features);
            if (@class != InstructionClass.Undefined)
            {
                rules[(int)code] = BuildRule(info, @class, features, factory);
            }
        }
        return rules;
    }

    private static void AddAll(Dictionary<Mnemonic, InstructionClass> map, Mnemonic[] mnemonics, InstructionClass @class)
    {
        foreach (Mnemonic mnemonic in mnemonics)
        {
            map.Add(mnemonic, @class); // Add, not the indexer: a mnemonic in two lists is a mistake and must not pass.
        }
    }

    private static InstructionClass Classify(
        OpCodeInfo info, Dictionary<Mnemonic, InstructionClass> classOfMnemonic, out InstructionFeatures features)
    {
        features = InstructionFeatures.None;
        if (!info.IsInstruction || !info.Mode64 || !info.IntelDecoder64 || info.Fwait
            || info.DecoderOption != Iced.Intel.DecoderOptions.None
            || !classOfMnemonic.TryGetValue(info.Mnemonic, out InstructionClass @class))
        {
            return InstructionClass.Undefined;
        }
        foreach (CpuidFeature feature in info.Code.CpuidFeatures())
        {
            if (!TryMapFeature(feature, out InstructionFeatures mapped))
            {
                return InstructionClass.Undefined;
            }
            features |= mapped;
        }
        bool encodingKnown = info.Encoding == EncodingKind.Legacy
            || (info.Encoding == EncodingKind.VEX && (features & (InstructionFeatures.Bmi1 | InstructionFeatures.Bmi2)) != 0);
        if (!encodingKnown)
        {
            return InstructionClass.Undefined;
        }
        // MOVSD and CMPSD name both a string and an SSE2 instruction; JMP and CALL have far forms that load CS.
        if (info.Code.IsStringInstruction() || info.Code.IsJmpFarIndirect() || info.Code.IsCallFarIndirect())
        {
            return InstructionClass.Special;
        }
        return TouchesSystemRegister(info) ? InstructionClass.Special : @class;
    }

    /// <summary>MOV, PUSH and POP of segment, control and debug registers share their mnemonic with the plain forms.</summary>
    private static bool TouchesSystemRegister(OpCodeInfo info)
    {
        for (int i = 0; i < info.OpCount; i++)
        {
            switch (info.GetOpKind(i))
            {
                case OpCodeOperandKind.seg_reg:
                case OpCodeOperandKind.cr_reg:
                case OpCodeOperandKind.dr_reg:
                case OpCodeOperandKind.tr_reg:
                case OpCodeOperandKind.es:
                case OpCodeOperandKind.cs:
                case OpCodeOperandKind.ss:
                case OpCodeOperandKind.ds:
                case OpCodeOperandKind.fs:
                case OpCodeOperandKind.gs:
                    return true;
                default:
                    break;
            }
        }
        return false;
    }

    private static bool TryMapFeature(CpuidFeature feature, out InstructionFeatures mapped)
    {
        InstructionFeatures? known = feature switch
        {
            CpuidFeature.INTEL8086 or CpuidFeature.INTEL8086_ONLY or CpuidFeature.INTEL186 or CpuidFeature.INTEL286
                or CpuidFeature.INTEL386 or CpuidFeature.INTEL486 or CpuidFeature.X64 or CpuidFeature.FPU or CpuidFeature.FPU287
                or CpuidFeature.FPU387 or CpuidFeature.CMOV or CpuidFeature.CX8 or CpuidFeature.MMX or CpuidFeature.SSE
                or CpuidFeature.SSE2 or CpuidFeature.FXSR or CpuidFeature.MULTIBYTENOP or CpuidFeature.PAUSE or CpuidFeature.CPUID
                or CpuidFeature.MSR or CpuidFeature.TSC or CpuidFeature.SYSCALL or CpuidFeature.RDPMC => InstructionFeatures.None,
            // The NOP space: on a CPU without the feature these encodings are NOPs, and so they are here.
            CpuidFeature.PREFETCHW or CpuidFeature.PREFETCHWT1 or CpuidFeature.PREFETCHITI or CpuidFeature.CLDEMOTE
                or CpuidFeature.CET_IBT or CpuidFeature.CET_SS => InstructionFeatures.None,
            CpuidFeature.SSE3 => InstructionFeatures.Sse3,
            CpuidFeature.SSSE3 => InstructionFeatures.Ssse3,
            CpuidFeature.SSE4_1 => InstructionFeatures.Sse41,
            CpuidFeature.SSE4_2 => InstructionFeatures.Sse42,
            CpuidFeature.POPCNT => InstructionFeatures.Popcnt,
            CpuidFeature.CMPXCHG16B => InstructionFeatures.Cmpxchg16b,
            CpuidFeature.MOVBE => InstructionFeatures.Movbe,
            CpuidFeature.LZCNT => InstructionFeatures.Lzcnt,
            CpuidFeature.BMI1 => InstructionFeatures.Bmi1,
            CpuidFeature.BMI2 => InstructionFeatures.Bmi2,
            CpuidFeature.ADX => InstructionFeatures.Adx,
            CpuidFeature.AES => InstructionFeatures.Aes,
            CpuidFeature.PCLMULQDQ => InstructionFeatures.Pclmulqdq,
            CpuidFeature.SHA => InstructionFeatures.Sha,
            CpuidFeature.FSGSBASE => InstructionFeatures.FsGsBase,
            CpuidFeature.RDTSCP => InstructionFeatures.Rdtscp,
            CpuidFeature.SEP => InstructionFeatures.Sysenter,
            CpuidFeature.CLFSH => InstructionFeatures.Clflush,
            CpuidFeature.CLFLUSHOPT => InstructionFeatures.Clflushopt,
            CpuidFeature.CLWB => InstructionFeatures.Clwb,
            CpuidFeature.SMAP => InstructionFeatures.Smap,
            CpuidFeature.INVPCID => InstructionFeatures.Invpcid,
            _ => null,
        };
        mapped = known ?? InstructionFeatures.None;
        return known is not null;
    }

    private static InstructionRule BuildRule(
        OpCodeInfo info, InstructionClass @class, InstructionFeatures features, InstructionInfoFactory factory)
    {
        InstructionTraits traits = TraitsOf(info);
        Instruction sample = default;
        sample.Code = info.Code;
        sample.Immediate8 = 17; // An immediate count of 17 leaves the most flags undefined, for all shifts, rotates and SHLD/SHRD.
        OperandAccess access = MemoryAccessOf(info, ref sample, factory);
        int memoryBytes = info.MemorySize.GetSize();
        if ((traits & (InstructionTraits.Nop | InstructionTraits.AddressOnly)) != 0)
        {
            access = OperandAccess.None;
        }
        bool aligned = memoryBytes == 16 && ((traits & InstructionTraits.SseCheck) != 0 || info.Code == Code.Cmpxchg16b_m128)
            && !InstructionLists.Unaligned.Contains(info.Mnemonic);
        return new InstructionRule
        {
            Class = @class,
            Features = features,
            Traits = traits,
            Access = access,
            MemoryBytes = checked((ushort)memoryBytes),
            Alignment = aligned ? (byte)16 : (byte)1,
            UndefinedFlags = ToRflags(sample.RflagsUndefined),
        };
    }

    private static InstructionTraits TraitsOf(OpCodeInfo info)
    {
        var traits = InstructionTraits.None;
        if (InstructionLists.Nops.Contains(info.Mnemonic)) { traits |= InstructionTraits.Nop; }
        if (info.Mnemonic == Mnemonic.Lea) { traits |= InstructionTraits.AddressOnly; }
        if (info.CanUseLockPrefix) { traits |= InstructionTraits.Lockable; }
        if (InstructionLists.HostFamilyDependent.Contains(info.Mnemonic) || info.Code == Code.Bswap_r16) { traits |= InstructionTraits.HostFamilyDependent; }
        if (InstructionLists.SimdError.Contains(info.Mnemonic) && !InstructionLists.ExactConversions.Contains(info.Code)
            && !info.Code.IsStringInstruction())
        {
            traits |= InstructionTraits.SimdError;
        }
        if (info.MustBeCpl0) { traits |= InstructionTraits.Privileged; }
        traits |= FpuTraitsOf(info);
        for (int i = 0; i < info.OpCount; i++)
        {
            switch (info.GetOpKind(i))
            {
                case OpCodeOperandKind.cl:
                    traits |= InstructionTraits.ImplicitRcx;
                    break;
                case OpCodeOperandKind.mm_reg:
                case OpCodeOperandKind.mm_rm:
                case OpCodeOperandKind.mm_or_mem:
                    traits |= InstructionTraits.FpuCheck | InstructionTraits.Mmx;
                    break;
                case OpCodeOperandKind.xmm_reg:
                case OpCodeOperandKind.xmm_rm:
                case OpCodeOperandKind.xmm_or_mem:
                    traits |= InstructionTraits.SseCheck;
                    break;
                default:
                    break;
            }
        }
        if (InstructionLists.ImplicitRcx.Contains(info.Mnemonic)) { traits |= InstructionTraits.ImplicitRcx; }
        if (info.Mnemonic is Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc
            && info.GetOpKind(1) is OpCodeOperandKind.r16_reg or OpCodeOperandKind.r32_reg or OpCodeOperandKind.r64_reg)
        {
            traits |= InstructionTraits.BitString;
        }
        if (info.Code.FlowControl() != FlowControl.Next
            || InstructionLists.SpecialTransfers.Contains(info.Mnemonic) || IsModeRegisterLoad(info))
        {
            traits |= InstructionTraits.Transfer;
        }
        return traits;
    }

    private static InstructionTraits FpuTraitsOf(OpCodeInfo info)
    {
        switch (info.Mnemonic)
        {
            case Mnemonic.Wait:
                return InstructionTraits.FpuCheck | InstructionTraits.FpuWait;
            case Mnemonic.Emms:
                return InstructionTraits.FpuCheck | InstructionTraits.Mmx;
            case Mnemonic.Ldmxcsr:
            case Mnemonic.Stmxcsr:
                return InstructionTraits.SseCheck;
            case Mnemonic.Fxsave:
            case Mnemonic.Fxsave64:
            case Mnemonic.Fxrstor:
            case Mnemonic.Fxrstor64:
                return InstructionTraits.FpuCheck | InstructionTraits.NoPendingFpuError;
            default:
                break;
        }
        bool x87 = info.Code.CpuidFeatures()[0] is CpuidFeature.FPU or CpuidFeature.FPU287 or CpuidFeature.FPU387;
        if (!x87)
        {
            return InstructionTraits.None;
        }
        return info.IsFpuNoWait ? InstructionTraits.FpuCheck | InstructionTraits.NoPendingFpuError : InstructionTraits.FpuCheck;
    }

    /// <summary>MOV to CR and DR, POP and MOV to SS: what follows may run under other rules, so a block ends behind them.</summary>
    private static bool IsModeRegisterLoad(OpCodeInfo info) =>
        info.OpCount > 0 && info.Mnemonic is Mnemonic.Mov or Mnemonic.Pop
        && info.GetOpKind(0) is OpCodeOperandKind.cr_reg or OpCodeOperandKind.dr_reg or OpCodeOperandKind.seg_reg;

    private static OperandAccess MemoryAccessOf(OpCodeInfo info, ref Instruction sample, InstructionInfoFactory factory)
    {
        int memoryOperand = -1;
        for (int i = 0; i < info.OpCount; i++)
        {
            if (IsModRmMemory(info.GetOpKind(i)))
            {
                memoryOperand = i;
                sample.SetOpKind(i, OpKind.Memory);
            }
        }
        if (memoryOperand < 0)
        {
            return OperandAccess.None;
        }
        sample.MemoryBase = Register.RAX;
        OpAccess access = factory.GetInfo(sample).GetOpAccess(memoryOperand);
        return access switch
        {
            OpAccess.Read or OpAccess.CondRead => OperandAccess.Read,
            OpAccess.Write or OpAccess.CondWrite => OperandAccess.Write,
            OpAccess.ReadWrite or OpAccess.ReadCondWrite => OperandAccess.ReadWrite,
            _ => OperandAccess.None,
        };
    }

    /// <summary>True for operand kinds that can be (or are) a ModRM memory operand or a direct offset (moffs).</summary>
    internal static bool IsModRmMemory(OpCodeOperandKind kind) => kind is OpCodeOperandKind.mem or OpCodeOperandKind.mem_offs
        or OpCodeOperandKind.r8_or_mem or OpCodeOperandKind.r16_or_mem or OpCodeOperandKind.r32_or_mem or OpCodeOperandKind.r64_or_mem
        or OpCodeOperandKind.mm_or_mem or OpCodeOperandKind.xmm_or_mem;
}
