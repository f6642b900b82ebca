namespace FtAkka.Cpu.Decoding;

/// <summary>Facts about an instruction that its translation depends on. Section numbers are those of the Intel SDM.</summary>
[Flags]
internal enum InstructionTraits : ushort
{
    None = 0,
    /// <summary>Retires without any effect, and its operands are not evaluated: prefetches, hints, NOP space. Emit nothing.</summary>
    Nop = 1 << 0,
    /// <summary>The memory operand is an address only and is not accessed (LEA). Segment bases do not apply.</summary>
    AddressOnly = 1 << 1,
    /// <summary>x87 or MMX: #NM if CR0.TS, and CR0.EM gives #NM for x87 and #UD for MMX (vol. 3A, 2.5).</summary>
    FpuCheck = 1 << 2,
    /// <summary>Works on MMX registers: CR0.EM gives #UD.</summary>
    Mmx = 1 << 3,
    /// <summary>x87 control instruction that executes although an unmasked x87 error is pending; all others with <see cref="FpuCheck"/> raise #MF first.</summary>
    NoPendingFpuError = 1 << 4,
    /// <summary>FWAIT: #NM only if both CR0.MP and CR0.TS are set.</summary>
    FpuWait = 1 << 5,
    /// <summary>Legacy SSE: #UD if CR0.EM or not CR4.OSFXSR, #NM if CR0.TS (vol. 2A, 2.4, "type 1 to 9" of the legacy forms).</summary>
    SseCheck = 1 << 6,
    /// <summary>Can raise a SIMD floating-point error: #XM, or #UD without CR4.OSXMMEXCPT, if the guest has it unmasked.</summary>
    SimdError = 1 << 7,
    /// <summary>LOCK is allowed on the memory form.</summary>
    Lockable = 1 << 8,
    /// <summary>Reads or writes rCX without naming it in ModRM: shifts by CL, CMPXCHG8B/16B, PCMPxSTRI, LOOP, JRCXZ.</summary>
    ImplicitRcx = 1 << 9,
    /// <summary>BT, BTS, BTR, BTC with a register offset: the memory form accesses the operand at EA + (offset &gt;&gt; log2 bits) * size, not at EA.</summary>
    BitString = 1 << 10,
    /// <summary>
    /// The architecture leaves the result to the implementation (x87 transcendentals, RCPPS, RSQRTPS, BSWAP r16). Some of these are ours, the others the host's: see
    /// <see cref="CpuSemantics"/>.
    /// </summary>
    HostFamilyDependent = 1 << 11,
    /// <summary>#GP(0) if CPL is not 0.</summary>
    Privileged = 1 << 12,
    /// <summary>Ends the straight-line run: branches, returns, and whatever may change the mode, privilege or interrupt flag.</summary>
    Transfer = 1 << 13,
}
