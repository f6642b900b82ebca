namespace FtAkka.Cpu;

/// <summary>
/// Which results a vCPU gives where the architecture leaves them open. Each number is a set of definitions; a recording names the number it was made
/// under and replays under no other.
/// </summary>
/// <remarks>
/// <list type="table">
/// <item><term>0</term><description>What recordings without a number were made under: MUL and IMUL gave SF, ZF, AF and PF as the host's CPU did then. A vCPU
/// of this number leaves them unchanged on every host, which repeats what AMD hosts did; what Intel hosts computed it cannot repeat.</description></item>
/// <item><term>1</term><description>MUL and IMUL clear SF, ZF, AF and PF. CF and OF are as the architecture defines them. Other results are the host's.</description></item>
/// <item><term>2</term><description>Every flag that the architecture leaves undefined is clear, or what all known hosts agree on; DIV and IDIV set ZF and PF and clear
/// the rest. BSF and BSR of 32 bits clear the upper half of their destination, of zero too. SHLD and SHRD of 16 bits by more than 16, RCPSS, RCPPS, RSQRTSS and
/// RSQRTPS are computed here, CVTPI2PS enters MMX state from memory too. docs/determinism.md has the list.</description></item>
/// </list>
/// </remarks>
public static class CpuSemantics
{
    /// <summary>MUL and IMUL leave SF, ZF, AF and PF as they were.</summary>
    public const int MultiplyKeepsFlags = 0;

    /// <summary>MUL and IMUL clear SF, ZF, AF and PF; nothing else is defined.</summary>
    public const int MultiplyClearsFlags = 1;

    /// <summary>Undefined flags are clear.</summary>
    public const int UndefinedIsZero = 2;

    /// <summary>What every new machine has.</summary>
    public const int Current = UndefinedIsZero;
}
