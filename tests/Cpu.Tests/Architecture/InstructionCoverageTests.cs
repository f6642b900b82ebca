using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Decoding;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Architecture;

public sealed class InstructionCoverageTests
{
    /// <summary>Features the decoder's policy knows special instructions of, and CPUID of the model does not show: their instructions are #UD.</summary>
    private const InstructionFeatures Hidden = InstructionFeatures.Smap | InstructionFeatures.Sysenter | InstructionFeatures.Clwb | InstructionFeatures.Invpcid;

    /// <summary>
    /// Re-emitted as long as the guest has all x87 exceptions masked; their handlers here serve a guest that has unmasked some, which the host
    /// image does not show.
    /// </summary>
    private const string ReemittedWhileMasked = "Wait Fnclex Fnstsw_m2byte Fnstsw_AX";

    /// <summary>The decoder's policy and the handler table name the same instructions: a special one without a handler would be #UD, a handler that is not special dead.</summary>
    [Fact]
    public void EverySpecialInstructionHasAHandlerAndTheOtherWayRound()
    {
        Code[] special = [.. Enum.GetValues<Code>().Where(code => InstructionPolicy.ClassOf(code, ~Hidden) == InstructionClass.Special)];
        Code[] handled = [.. Enum.GetValues<Code>().Where(SystemInstructions.Handles)];
        Assert.Equal("", string.Join(" ", special.Except(handled)));
        Assert.Equal(ReemittedWhileMasked, string.Join(" ", handled.Except(special)));
    }
}
