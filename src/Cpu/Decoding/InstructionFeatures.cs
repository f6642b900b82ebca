namespace FtAkka.Cpu.Decoding;

/// <summary>
/// CPU features an instruction can depend on, beyond the x86-64 baseline (x87, CMOV, CX8, MMX, FXSR, SSE, SSE2, SYSCALL, MSR, TSC),
/// which every model has. An instruction one of whose features the model lacks is #UD.
/// </summary>
/// <remarks>LZCNT and TZCNT are the exception: a CPU without them runs BSR and BSF. No model of ours lacks them.</remarks>
[Flags]
internal enum InstructionFeatures : uint
{
    None = 0,
    Sse3 = 1 << 0,
    Ssse3 = 1 << 1,
    Sse41 = 1 << 2,
    Sse42 = 1 << 3,
    Popcnt = 1 << 4,
    Cmpxchg16b = 1 << 5,
    Movbe = 1 << 6,
    Lzcnt = 1 << 7,
    Bmi1 = 1 << 8,
    Bmi2 = 1 << 9,
    Adx = 1 << 10,
    Aes = 1 << 11,
    Pclmulqdq = 1 << 12,
    Sha = 1 << 13,
    FsGsBase = 1 << 14,
    Rdtscp = 1 << 15,
    Sysenter = 1 << 16,
    Clflush = 1 << 17,
    Clflushopt = 1 << 18,
    Clwb = 1 << 19,
    Smap = 1 << 20,
    Invpcid = 1 << 21,

    /// <summary>Features of the model <c>ftvm64-v1</c> that instructions depend on.</summary>
    Ftvm64V1 = Sse3 | Ssse3 | Sse41 | Sse42 | Popcnt | Cmpxchg16b | Movbe | Lzcnt | Bmi1 | Bmi2 | Adx | Aes | Pclmulqdq | Sha
        | FsGsBase | Rdtscp | Clflush | Clflushopt,
}
