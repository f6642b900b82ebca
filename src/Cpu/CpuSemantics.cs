namespace FtAkka.Cpu;

/// <summary>
/// Which results a vCPU gives where the architecture leaves them open. Each number is a set of definitions; a recording names the number it was made
/// under and replays under no other.
/// </summary>
/// <remarks>
/// <list type="table">
/// <item><term>0</term><description>What recordings without a number were made under: MUL and IMUL gave SF, ZF, AF and PF as the host's CPU did then. A vCPU
/// of this number leaves them unchanged on every host, which repeats what AMD hosts did; what Intel hosts computed it cannot repeat.</description></item>
/// <item><term>1</term><description>MUL and IMUL clear SF, ZF, AF and PF. CF and OF are as the architecture defines them.</description></item>
/// </list>
/// </remarks>
public static class CpuSemantics
{
    /// <summary>MUL and IMUL leave SF, ZF, AF and PF as they were.</summary>
    public const int MultiplyKeepsFlags = 0;

    /// <summary>What every new machine has.</summary>
    public const int Current = 1;
}
