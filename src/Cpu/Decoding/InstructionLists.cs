using Iced.Intel;

namespace FtAkka.Cpu.Decoding;

/// <summary>
/// The lists behind <see cref="InstructionPolicy"/>. A mnemonic stands in exactly one of the first six; a code that belongs elsewhere than
/// its mnemonic (string MOVSD, MOV from a segment register, far JMP) is moved by the policy, which also drops codes that 64-bit mode or the
/// decoder does not know.
/// </summary>
internal static class InstructionLists
{
    /// <summary>Integer instructions: registers, one memory operand, arithmetic flags and DF, nothing else.</summary>
    public static readonly Mnemonic[] Reemit =
    [
        Mnemonic.Add, Mnemonic.Or, Mnemonic.Adc, Mnemonic.Sbb, Mnemonic.And, Mnemonic.Sub, Mnemonic.Xor, Mnemonic.Cmp,
        Mnemonic.Movsxd, Mnemonic.Imul, Mnemonic.Test, Mnemonic.Xchg, Mnemonic.Mov, Mnemonic.Lea, Mnemonic.Cbw, Mnemonic.Cwde,
        Mnemonic.Cdqe, Mnemonic.Cwd, Mnemonic.Cdq, Mnemonic.Cqo, Mnemonic.Sahf, Mnemonic.Lahf, Mnemonic.Rol, Mnemonic.Ror,
        Mnemonic.Rcl, Mnemonic.Rcr, Mnemonic.Shl, Mnemonic.Shr, Mnemonic.Sal, Mnemonic.Sar, Mnemonic.Cmc, Mnemonic.Not,
        Mnemonic.Neg, Mnemonic.Mul, Mnemonic.Clc, Mnemonic.Stc, Mnemonic.Cld, Mnemonic.Std, Mnemonic.Inc, Mnemonic.Dec,
        Mnemonic.Cmovo, Mnemonic.Cmovno, Mnemonic.Cmovb, Mnemonic.Cmovae, Mnemonic.Cmove, Mnemonic.Cmovne, Mnemonic.Cmovbe,
        Mnemonic.Cmova, Mnemonic.Cmovs, Mnemonic.Cmovns, Mnemonic.Cmovp, Mnemonic.Cmovnp, Mnemonic.Cmovl, Mnemonic.Cmovge,
        Mnemonic.Cmovle, Mnemonic.Cmovg, Mnemonic.Seto, Mnemonic.Setno, Mnemonic.Setb, Mnemonic.Setae, Mnemonic.Sete,
        Mnemonic.Setne, Mnemonic.Setbe, Mnemonic.Seta, Mnemonic.Sets, Mnemonic.Setns, Mnemonic.Setp, Mnemonic.Setnp,
        Mnemonic.Setl, Mnemonic.Setge, Mnemonic.Setle, Mnemonic.Setg, Mnemonic.Shld, Mnemonic.Shrd, Mnemonic.Cmpxchg,
        Mnemonic.Movzx, Mnemonic.Popcnt, Mnemonic.Bsf, Mnemonic.Tzcnt, Mnemonic.Bsr, Mnemonic.Lzcnt, Mnemonic.Movsx,
        Mnemonic.Xadd, Mnemonic.Cmpxchg8b, Mnemonic.Cmpxchg16b, Mnemonic.Bswap, Mnemonic.Movbe, Mnemonic.Andn, Mnemonic.Blsr,
        Mnemonic.Blsmsk, Mnemonic.Blsi, Mnemonic.Bzhi, Mnemonic.Pext, Mnemonic.Pdep, Mnemonic.Adcx, Mnemonic.Adox,
        Mnemonic.Mulx, Mnemonic.Bextr, Mnemonic.Shlx, Mnemonic.Sarx, Mnemonic.Shrx, Mnemonic.Rorx, Mnemonic.Crc32,
        Mnemonic.Movnti, Mnemonic.Sfence, Mnemonic.Lfence, Mnemonic.Mfence,
    ];

    /// <summary>x87 instructions without instruction and data pointers in their result and without a change of the control word.</summary>
    public static readonly Mnemonic[] ReemitX87 =
    [
        Mnemonic.Fadd, Mnemonic.Fmul, Mnemonic.Fcom, Mnemonic.Fcomp, Mnemonic.Fsub, Mnemonic.Fsubr, Mnemonic.Fdiv,
        Mnemonic.Fdivr, Mnemonic.Fld, Mnemonic.Fst, Mnemonic.Fstp, Mnemonic.Fxch, Mnemonic.Fnop, Mnemonic.Fstpnce,
        Mnemonic.Fchs, Mnemonic.Fabs, Mnemonic.Ftst, Mnemonic.Fxam, Mnemonic.Fld1, Mnemonic.Fldl2t, Mnemonic.Fldl2e,
        Mnemonic.Fldpi, Mnemonic.Fldlg2, Mnemonic.Fldln2, Mnemonic.Fldz, Mnemonic.F2xm1, Mnemonic.Fyl2x, Mnemonic.Fptan,
        Mnemonic.Fpatan, Mnemonic.Fxtract, Mnemonic.Fprem1, Mnemonic.Fdecstp, Mnemonic.Fincstp, Mnemonic.Fprem,
        Mnemonic.Fyl2xp1, Mnemonic.Fsqrt, Mnemonic.Fsincos, Mnemonic.Frndint, Mnemonic.Fscale, Mnemonic.Fsin, Mnemonic.Fcos,
        Mnemonic.Fiadd, Mnemonic.Fimul, Mnemonic.Ficom, Mnemonic.Ficomp, Mnemonic.Fisub, Mnemonic.Fisubr, Mnemonic.Fidiv,
        Mnemonic.Fidivr, Mnemonic.Fcmovb, Mnemonic.Fcmove, Mnemonic.Fcmovbe, Mnemonic.Fcmovu, Mnemonic.Fucompp, Mnemonic.Fild,
        Mnemonic.Fisttp, Mnemonic.Fist, Mnemonic.Fistp, Mnemonic.Fcmovnb, Mnemonic.Fcmovne, Mnemonic.Fcmovnbe, Mnemonic.Fcmovnu,
        Mnemonic.Fneni, Mnemonic.Fndisi, Mnemonic.Fnclex, Mnemonic.Fnsetpm, Mnemonic.Fucomi, Mnemonic.Fcomi, Mnemonic.Fnstsw,
        Mnemonic.Ffree, Mnemonic.Fucom, Mnemonic.Fucomp, Mnemonic.Faddp, Mnemonic.Fmulp, Mnemonic.Fcompp, Mnemonic.Fsubrp,
        Mnemonic.Fsubp, Mnemonic.Fdivrp, Mnemonic.Fdivp, Mnemonic.Fbld, Mnemonic.Fbstp, Mnemonic.Ffreep, Mnemonic.Fucomip,
        Mnemonic.Fcomip, Mnemonic.Wait,
    ];

    /// <summary>MMX and SSE, AES, SHA, PCLMULQDQ: vector registers, one memory operand, sticky bits of MXCSR.</summary>
    public static readonly Mnemonic[] ReemitVector =
    [
        Mnemonic.Movups, Mnemonic.Movupd, Mnemonic.Movss, Mnemonic.Movsd, Mnemonic.Movhlps, Mnemonic.Movlps, Mnemonic.Movlpd,
        Mnemonic.Movsldup, Mnemonic.Movddup, Mnemonic.Unpcklps, Mnemonic.Unpcklpd, Mnemonic.Unpckhps, Mnemonic.Unpckhpd,
        Mnemonic.Movlhps, Mnemonic.Movhps, Mnemonic.Movhpd, Mnemonic.Movshdup, Mnemonic.Movaps, Mnemonic.Movapd,
        Mnemonic.Cvtpi2ps, Mnemonic.Cvtpi2pd, Mnemonic.Cvtsi2ss, Mnemonic.Cvtsi2sd, Mnemonic.Movntps, Mnemonic.Movntpd,
        Mnemonic.Cvttps2pi, Mnemonic.Cvttpd2pi, Mnemonic.Cvttss2si, Mnemonic.Cvttsd2si, Mnemonic.Cvtps2pi, Mnemonic.Cvtpd2pi,
        Mnemonic.Cvtss2si, Mnemonic.Cvtsd2si, Mnemonic.Ucomiss, Mnemonic.Ucomisd, Mnemonic.Comiss, Mnemonic.Comisd,
        Mnemonic.Movmskps, Mnemonic.Movmskpd, Mnemonic.Sqrtps, Mnemonic.Sqrtpd, Mnemonic.Sqrtss, Mnemonic.Sqrtsd,
        Mnemonic.Rsqrtps, Mnemonic.Rsqrtss, Mnemonic.Rcpps, Mnemonic.Rcpss, Mnemonic.Andps, Mnemonic.Andpd, Mnemonic.Andnps,
        Mnemonic.Andnpd, Mnemonic.Orps, Mnemonic.Orpd, Mnemonic.Xorps, Mnemonic.Xorpd, Mnemonic.Addps, Mnemonic.Addpd,
        Mnemonic.Addss, Mnemonic.Addsd, Mnemonic.Mulps, Mnemonic.Mulpd, Mnemonic.Mulss, Mnemonic.Mulsd, Mnemonic.Cvtps2pd,
        Mnemonic.Cvtpd2ps, Mnemonic.Cvtss2sd, Mnemonic.Cvtsd2ss, Mnemonic.Cvtdq2ps, Mnemonic.Cvtps2dq, Mnemonic.Cvttps2dq,
        Mnemonic.Subps, Mnemonic.Subpd, Mnemonic.Subss, Mnemonic.Subsd, Mnemonic.Minps, Mnemonic.Minpd, Mnemonic.Minss,
        Mnemonic.Minsd, Mnemonic.Divps, Mnemonic.Divpd, Mnemonic.Divss, Mnemonic.Divsd, Mnemonic.Maxps, Mnemonic.Maxpd,
        Mnemonic.Maxss, Mnemonic.Maxsd, Mnemonic.Punpcklbw, Mnemonic.Punpcklwd, Mnemonic.Punpckldq, Mnemonic.Packsswb,
        Mnemonic.Pcmpgtb, Mnemonic.Pcmpgtw, Mnemonic.Pcmpgtd, Mnemonic.Packuswb, Mnemonic.Punpckhbw, Mnemonic.Punpckhwd,
        Mnemonic.Punpckhdq, Mnemonic.Packssdw, Mnemonic.Punpcklqdq, Mnemonic.Punpckhqdq, Mnemonic.Movd, Mnemonic.Movq,
        Mnemonic.Movdqa, Mnemonic.Movdqu, Mnemonic.Pshufw, Mnemonic.Pshufd, Mnemonic.Pshufhw, Mnemonic.Pshuflw, Mnemonic.Psrlw,
        Mnemonic.Psraw, Mnemonic.Psllw, Mnemonic.Psrld, Mnemonic.Psrad, Mnemonic.Pslld, Mnemonic.Psrlq, Mnemonic.Psrldq,
        Mnemonic.Psllq, Mnemonic.Pslldq, Mnemonic.Pcmpeqb, Mnemonic.Pcmpeqw, Mnemonic.Pcmpeqd, Mnemonic.Emms, Mnemonic.Haddpd,
        Mnemonic.Haddps, Mnemonic.Hsubpd, Mnemonic.Hsubps, Mnemonic.Cmpps, Mnemonic.Cmppd, Mnemonic.Cmpss, Mnemonic.Cmpsd,
        Mnemonic.Pinsrw, Mnemonic.Pextrw, Mnemonic.Shufps, Mnemonic.Shufpd, Mnemonic.Addsubpd, Mnemonic.Addsubps,
        Mnemonic.Paddq, Mnemonic.Pmullw, Mnemonic.Movq2dq, Mnemonic.Movdq2q, Mnemonic.Pmovmskb, Mnemonic.Psubusb,
        Mnemonic.Psubusw, Mnemonic.Pminub, Mnemonic.Pand, Mnemonic.Paddusb, Mnemonic.Paddusw, Mnemonic.Pmaxub, Mnemonic.Pandn,
        Mnemonic.Pavgb, Mnemonic.Pavgw, Mnemonic.Pmulhuw, Mnemonic.Pmulhw, Mnemonic.Cvttpd2dq, Mnemonic.Cvtdq2pd,
        Mnemonic.Cvtpd2dq, Mnemonic.Movntq, Mnemonic.Movntdq, Mnemonic.Psubsb, Mnemonic.Psubsw, Mnemonic.Pminsw, Mnemonic.Por,
        Mnemonic.Paddsb, Mnemonic.Paddsw, Mnemonic.Pmaxsw, Mnemonic.Pxor, Mnemonic.Lddqu, Mnemonic.Pmuludq, Mnemonic.Pmaddwd,
        Mnemonic.Psadbw, Mnemonic.Psubb, Mnemonic.Psubw, Mnemonic.Psubd, Mnemonic.Psubq, Mnemonic.Paddb, Mnemonic.Paddw,
        Mnemonic.Paddd, Mnemonic.Pshufb, Mnemonic.Phaddw, Mnemonic.Phaddd, Mnemonic.Phaddsw, Mnemonic.Pmaddubsw,
        Mnemonic.Phsubw, Mnemonic.Phsubd, Mnemonic.Phsubsw, Mnemonic.Psignb, Mnemonic.Psignw, Mnemonic.Psignd,
        Mnemonic.Pmulhrsw, Mnemonic.Pblendvb, Mnemonic.Blendvps, Mnemonic.Blendvpd, Mnemonic.Ptest, Mnemonic.Pabsb,
        Mnemonic.Pabsw, Mnemonic.Pabsd, Mnemonic.Pmovsxbw, Mnemonic.Pmovsxbd, Mnemonic.Pmovsxbq, Mnemonic.Pmovsxwd,
        Mnemonic.Pmovsxwq, Mnemonic.Pmovsxdq, Mnemonic.Pmuldq, Mnemonic.Pcmpeqq, Mnemonic.Movntdqa, Mnemonic.Packusdw,
        Mnemonic.Pmovzxbw, Mnemonic.Pmovzxbd, Mnemonic.Pmovzxbq, Mnemonic.Pmovzxwd, Mnemonic.Pmovzxwq, Mnemonic.Pmovzxdq,
        Mnemonic.Pcmpgtq, Mnemonic.Pminsb, Mnemonic.Pminsd, Mnemonic.Pminuw, Mnemonic.Pminud, Mnemonic.Pmaxsb, Mnemonic.Pmaxsd,
        Mnemonic.Pmaxuw, Mnemonic.Pmaxud, Mnemonic.Pmulld, Mnemonic.Phminposuw, Mnemonic.Sha1nexte, Mnemonic.Sha1msg1,
        Mnemonic.Sha1msg2, Mnemonic.Sha256rnds2, Mnemonic.Sha256msg1, Mnemonic.Sha256msg2, Mnemonic.Aesimc, Mnemonic.Aesenc,
        Mnemonic.Aesenclast, Mnemonic.Aesdec, Mnemonic.Aesdeclast, Mnemonic.Roundps, Mnemonic.Roundpd, Mnemonic.Roundss,
        Mnemonic.Roundsd, Mnemonic.Blendps, Mnemonic.Blendpd, Mnemonic.Pblendw, Mnemonic.Palignr, Mnemonic.Pextrb,
        Mnemonic.Pextrd, Mnemonic.Pextrq, Mnemonic.Extractps, Mnemonic.Pinsrb, Mnemonic.Insertps, Mnemonic.Pinsrd,
        Mnemonic.Pinsrq, Mnemonic.Dpps, Mnemonic.Dppd, Mnemonic.Mpsadbw, Mnemonic.Pclmulqdq, Mnemonic.Pcmpestrm,
        Mnemonic.Pcmpestrm64, Mnemonic.Pcmpestri, Mnemonic.Pcmpestri64, Mnemonic.Pcmpistrm, Mnemonic.Pcmpistri,
        Mnemonic.Sha1rnds4, Mnemonic.Aeskeygenassist,
    ];

    /// <summary>Hints and the NOP space: retire, do nothing, evaluate nothing. PAUSE too: a single virtual CPU has nobody to wait for.</summary>
    public static readonly Mnemonic[] Nops =
    [
        Mnemonic.Endbr64, Mnemonic.Endbr32, Mnemonic.Rdsspd, Mnemonic.Rdsspq, Mnemonic.Cldemote, Mnemonic.Prefetch,
        Mnemonic.Prefetchw, Mnemonic.Prefetchwt1, Mnemonic.Prefetchit0, Mnemonic.Prefetchit1, Mnemonic.Prefetchnta,
        Mnemonic.Prefetcht0, Mnemonic.Prefetcht1, Mnemonic.Prefetcht2, Mnemonic.Reservednop, Mnemonic.Nop, Mnemonic.Pause,
    ];

    /// <summary>Instructions with an emission of their own. The BT family is here because of its bit-string addressing.</summary>
    public static readonly Mnemonic[] Emit =
    [
        Mnemonic.Jo, Mnemonic.Jno, Mnemonic.Jb, Mnemonic.Jae, Mnemonic.Je, Mnemonic.Jne, Mnemonic.Jbe, Mnemonic.Ja, Mnemonic.Js,
        Mnemonic.Jns, Mnemonic.Jp, Mnemonic.Jnp, Mnemonic.Jl, Mnemonic.Jge, Mnemonic.Jle, Mnemonic.Jg, Mnemonic.Jmp,
        Mnemonic.Call, Mnemonic.Ret, Mnemonic.Loop, Mnemonic.Loope, Mnemonic.Loopne, Mnemonic.Jecxz, Mnemonic.Jrcxz,
        Mnemonic.Push, Mnemonic.Pop, Mnemonic.Leave, Mnemonic.Div, Mnemonic.Idiv, Mnemonic.Bt, Mnemonic.Bts, Mnemonic.Btr,
        Mnemonic.Btc,
    ];

    /// <summary>Instructions executed in C#.</summary>
    public static readonly Mnemonic[] Special =
    [
        Mnemonic.Pushf, Mnemonic.Pushfq, Mnemonic.Popf, Mnemonic.Popfq, Mnemonic.Cli, Mnemonic.Sti, Mnemonic.Hlt, Mnemonic.Int,
        Mnemonic.Int1, Mnemonic.Int3, Mnemonic.Iret, Mnemonic.Iretd, Mnemonic.Iretq, Mnemonic.Retf, Mnemonic.Syscall,
        Mnemonic.Sysret, Mnemonic.Sysretq, Mnemonic.Sysenter, Mnemonic.Sysexit, Mnemonic.Sysexitq, Mnemonic.In, Mnemonic.Out,
        Mnemonic.Insb, Mnemonic.Insw, Mnemonic.Insd, Mnemonic.Outsb, Mnemonic.Outsw, Mnemonic.Outsd, Mnemonic.Movsb,
        Mnemonic.Movsw, Mnemonic.Movsq, Mnemonic.Cmpsb, Mnemonic.Cmpsw, Mnemonic.Cmpsq, Mnemonic.Stosb, Mnemonic.Stosw,
        Mnemonic.Stosd, Mnemonic.Stosq, Mnemonic.Lodsb, Mnemonic.Lodsw, Mnemonic.Lodsd, Mnemonic.Lodsq, Mnemonic.Scasb,
        Mnemonic.Scasw, Mnemonic.Scasd, Mnemonic.Scasq, Mnemonic.Xlatb, Mnemonic.Enter, Mnemonic.Maskmovq, Mnemonic.Maskmovdqu,
        Mnemonic.Lss, Mnemonic.Lfs, Mnemonic.Lgs, Mnemonic.Sldt, Mnemonic.Str, Mnemonic.Lldt, Mnemonic.Ltr, Mnemonic.Verr,
        Mnemonic.Verw, Mnemonic.Sgdt, Mnemonic.Sidt, Mnemonic.Lgdt, Mnemonic.Lidt, Mnemonic.Smsw, Mnemonic.Lmsw, Mnemonic.Lar,
        Mnemonic.Lsl, Mnemonic.Clts, Mnemonic.Invlpg, Mnemonic.Invd, Mnemonic.Wbinvd, Mnemonic.Invpcid, Mnemonic.Cpuid,
        Mnemonic.Rdtsc, Mnemonic.Rdtscp, Mnemonic.Rdpmc, Mnemonic.Rdmsr, Mnemonic.Wrmsr, Mnemonic.Swapgs, Mnemonic.Rdfsbase,
        Mnemonic.Rdgsbase, Mnemonic.Wrfsbase, Mnemonic.Wrgsbase, Mnemonic.Clac, Mnemonic.Stac, Mnemonic.Clflush,
        Mnemonic.Clflushopt, Mnemonic.Clwb, Mnemonic.Fxsave, Mnemonic.Fxsave64, Mnemonic.Fxrstor, Mnemonic.Fxrstor64,
        Mnemonic.Fldcw, Mnemonic.Fnstcw, Mnemonic.Fldenv, Mnemonic.Fnstenv, Mnemonic.Fnsave, Mnemonic.Frstor, Mnemonic.Fninit,
        Mnemonic.Ldmxcsr, Mnemonic.Stmxcsr,
    ];

    /// <summary>Special instructions behind which a block ends: control transfers and changes of mode, mapping, privilege or interrupt flag.</summary>
    public static readonly Mnemonic[] SpecialTransfers =
    [
        Mnemonic.Popf, Mnemonic.Popfq, Mnemonic.Cli, Mnemonic.Sti, Mnemonic.Hlt, Mnemonic.Int, Mnemonic.Int1, Mnemonic.Int3,
        Mnemonic.Iret, Mnemonic.Iretd, Mnemonic.Iretq, Mnemonic.Retf, Mnemonic.Syscall, Mnemonic.Sysret, Mnemonic.Sysretq,
        Mnemonic.Sysenter, Mnemonic.Sysexit, Mnemonic.Sysexitq, Mnemonic.Lss, Mnemonic.Lfs, Mnemonic.Lgs, Mnemonic.Lldt,
        Mnemonic.Ltr, Mnemonic.Lgdt, Mnemonic.Lidt, Mnemonic.Lmsw, Mnemonic.Clts, Mnemonic.Invlpg, Mnemonic.Invpcid,
        Mnemonic.Wrmsr, Mnemonic.Clac, Mnemonic.Stac, Mnemonic.Swapgs,
    ];

    /// <summary>Instructions that use rCX without naming it, shifts by CL excepted (their operand list shows it).</summary>
    public static readonly Mnemonic[] ImplicitRcx =
    [
        Mnemonic.Cmpxchg8b, Mnemonic.Cmpxchg16b, Mnemonic.Pcmpestri, Mnemonic.Pcmpestri64, Mnemonic.Pcmpistri, Mnemonic.Loop,
        Mnemonic.Loope, Mnemonic.Loopne, Mnemonic.Jecxz, Mnemonic.Jrcxz, Mnemonic.Rdmsr, Mnemonic.Wrmsr, Mnemonic.Cpuid,
        Mnemonic.Rdtscp, Mnemonic.Rdpmc, Mnemonic.Syscall, Mnemonic.Sysret, Mnemonic.Sysretq, Mnemonic.Sysexit,
        Mnemonic.Sysexitq,
    ];

    /// <summary>Legacy SSE instructions whose 16-byte memory operand may lie anywhere (vol. 2A, table 2-21, and the PCMPxSTRx pages).</summary>
    public static readonly Mnemonic[] Unaligned =
    [
        Mnemonic.Movups, Mnemonic.Movupd, Mnemonic.Movdqu, Mnemonic.Lddqu, Mnemonic.Pcmpestri, Mnemonic.Pcmpestri64,
        Mnemonic.Pcmpestrm, Mnemonic.Pcmpestrm64, Mnemonic.Pcmpistri, Mnemonic.Pcmpistrm, Mnemonic.Maskmovdqu,
    ];

    /// <summary>Results that the architecture specifies only within an error bound.</summary>
    public static readonly Mnemonic[] HostFamilyDependent =
    [
        Mnemonic.F2xm1, Mnemonic.Fyl2x, Mnemonic.Fyl2xp1, Mnemonic.Fptan, Mnemonic.Fpatan, Mnemonic.Fsin, Mnemonic.Fcos,
        Mnemonic.Fsincos, Mnemonic.Rcpps, Mnemonic.Rcpss, Mnemonic.Rsqrtps, Mnemonic.Rsqrtss,
    ];

    /// <summary>SSE instructions that compute in floating point.</summary>
    public static readonly Mnemonic[] SimdError =
    [
        Mnemonic.Cvtpi2ps, Mnemonic.Cvtpi2pd, Mnemonic.Cvtsi2ss, Mnemonic.Cvtsi2sd, Mnemonic.Cvttps2pi, Mnemonic.Cvttpd2pi,
        Mnemonic.Cvttss2si, Mnemonic.Cvttsd2si, Mnemonic.Cvtps2pi, Mnemonic.Cvtpd2pi, Mnemonic.Cvtss2si, Mnemonic.Cvtsd2si,
        Mnemonic.Ucomiss, Mnemonic.Ucomisd, Mnemonic.Comiss, Mnemonic.Comisd, Mnemonic.Sqrtps, Mnemonic.Sqrtpd, Mnemonic.Sqrtss,
        Mnemonic.Sqrtsd, Mnemonic.Addps, Mnemonic.Addpd, Mnemonic.Addss, Mnemonic.Addsd, Mnemonic.Mulps, Mnemonic.Mulpd,
        Mnemonic.Mulss, Mnemonic.Mulsd, Mnemonic.Cvtps2pd, Mnemonic.Cvtpd2ps, Mnemonic.Cvtss2sd, Mnemonic.Cvtsd2ss,
        Mnemonic.Cvtdq2ps, Mnemonic.Cvtps2dq, Mnemonic.Cvttps2dq, Mnemonic.Subps, Mnemonic.Subpd, Mnemonic.Subss,
        Mnemonic.Subsd, Mnemonic.Minps, Mnemonic.Minpd, Mnemonic.Minss, Mnemonic.Minsd, Mnemonic.Divps, Mnemonic.Divpd,
        Mnemonic.Divss, Mnemonic.Divsd, Mnemonic.Maxps, Mnemonic.Maxpd, Mnemonic.Maxss, Mnemonic.Maxsd, Mnemonic.Haddpd,
        Mnemonic.Haddps, Mnemonic.Hsubpd, Mnemonic.Hsubps, Mnemonic.Cmpps, Mnemonic.Cmppd, Mnemonic.Cmpss, Mnemonic.Cmpsd,
        Mnemonic.Addsubpd, Mnemonic.Addsubps, Mnemonic.Cvttpd2dq, Mnemonic.Cvtdq2pd, Mnemonic.Cvtpd2dq, Mnemonic.Roundps,
        Mnemonic.Roundpd, Mnemonic.Roundss, Mnemonic.Roundsd, Mnemonic.Dpps, Mnemonic.Dppd,
    ];

    /// <summary>Conversions that are always exact: no SIMD error although their mnemonic is in the list above.</summary>
    public static readonly Code[] ExactConversions =
    [
        Code.Cvtdq2pd_xmm_xmmm64, Code.Cvtpi2pd_xmm_mmm64, Code.Cvtsi2sd_xmm_rm32,
    ];
}
