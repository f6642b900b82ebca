using FtAkka.Cpu.Decoding;
using FtAkka.Cpu.Tests.Conformance;
using FtAkka.Cpu.Verification;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Decoding;

/// <summary>Our list of what instructions do with flags, beside Iced's: an instruction that joins the whitelist with undefined flags must join the list.</summary>
public sealed class FlagEffectsTests
{
    [Fact]
    public void Undefined_flags_of_every_instruction_are_in_the_list()
    {
        var random = new SeededRandom(1);
        using var runner = new NativeRunner();
        var generator = new InstructionGenerator(random, runner);
        var wrong = new SortedSet<string>(StringComparer.Ordinal);
        foreach (Code code in InstructionGenerator.Codes)
        {
            for (int i = 0; i < 20; i++)
            {
                Instruction instruction = generator.Generate(code).Instruction;
                if (WhyWrong(instruction) is { } why)
                {
                    wrong.Add($"{instruction.Code}: {why}");
                }
            }
        }
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    private static string? WhyWrong(in Instruction instruction)
    {
        FlagEffects effects = FlagEffects.Of(instruction, CpuSemantics.UndefinedIsZero);
        uint modified = InstructionPolicy.FlagsModified(instruction) & FlagEffects.Status;
        if (instruction.Mnemonic is Mnemonic.Rcl or Mnemonic.Rcr && modified == 0 && effects.Writes != 0)
        {
            // A whole turn, of which Iced says that no flag takes part, and behind which AMD's CPUs change OF.
            return (effects.Reads, effects.Writes, effects.Undefined) == (FlagEffects.Carry, FlagEffects.Carry, FlagEffects.Overflow) ? null : "a whole turn";
        }
        bool divides = instruction.Mnemonic is Mnemonic.Div or Mnemonic.Idiv;
        if (effects.IsByCount)
        {
            return instruction.GetOpKind(instruction.OpCount - 1) == OpKind.Register ? null : "the count is no register";
        }
        uint undefined = divides ? 0 : OpenResults.UndefinedFlags(instruction, rcx: 0);
        if (effects.Undefined != undefined)
        {
            return $"undefined {effects.Undefined:x}, by Iced {undefined:x}";
        }
        if ((effects.Writes & effects.Undefined) != 0 || ((effects.Writes | effects.Undefined) & ~modified) != 0)
        {
            return $"writes {effects.Writes:x}, undefined {effects.Undefined:x}, by Iced changes {modified:x}";
        }
        return effects.Reads == (InstructionPolicy.FlagsRead(instruction) & FlagEffects.Status) || effects.IsOpen || modified == 0 || effects.Writes == 0
            ? null : $"reads {effects.Reads:x}";
    }

    /// <summary>Under older numbers nothing but multiplications is ours; what leaves flags open then may not follow on flags that are not made.</summary>
    [Theory]
    [InlineData("48 C1 E0 03")] // shl rax, 3
    [InlineData("48 D3 E0")] // shl rax, cl
    [InlineData("48 0F BC C3")] // bsf rax, rbx
    [InlineData("48 F7 F3")] // div rbx
    [InlineData("C4 E2 F8 F3 CB")] // blsr rax, rbx
    public void Under_older_numbers_the_flags_are_the_hosts(string bytes)
    {
        var decoder = Decoder.Create(64, Convert.FromHexString(bytes.Replace(" ", "", StringComparison.Ordinal)), 0, InstructionPolicy.DecoderOptions);
        decoder.Decode(out Instruction instruction);
        foreach (int semantics in (int[])[CpuSemantics.MultiplyKeepsFlags, CpuSemantics.MultiplyClearsFlags])
        {
            Assert.Equal(FlagEffects.Unknown, FlagEffects.Of(instruction, semantics));
        }
        Assert.NotEqual(FlagEffects.Unknown, FlagEffects.Of(instruction, CpuSemantics.UndefinedIsZero));
    }
}
