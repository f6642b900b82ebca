using FtAkka.Cpu.Verification;

namespace FtAkka.Cpu.Tests.Conformance;

public class NativeRunnerTests
{
    [Fact]
    public void Runs_an_addition_with_all_registers_and_flags()
    {
        using var runner = new NativeRunner();
        var state = new MachineState { Rip = runner.CodeAddress, Rflags = 0x001 };
        for (int i = 0; i < 16; i++) { state.Gpr[i] = 0x1111_0000_0000_0000ul * (ulong)i; }
        state.Gpr[4] = runner.DataAddress + 0x8000;
        state.Gpr[15] = ulong.MaxValue;
        state.Gpr[12] = 0;

        runner.Run(state, [0x4D, 0x11, 0xFC], 0); // adc r12, r15

        Assert.Equal(0ul, state.Gpr[12]);
        Assert.Equal(0x055ul, state.Rflags); // CF, PF, AF, ZF
        Assert.Equal(runner.CodeAddress + 3, state.Rip);
        Assert.Equal(runner.DataAddress + 0x8000, state.Gpr[4]);
        Assert.Equal(0x3333_0000_0000_0000ul, state.Gpr[3]);
    }

    [Fact]
    public void Reports_where_a_branch_went()
    {
        using var runner = new NativeRunner();
        var state = new MachineState { Rip = runner.CodeAddress + 100, Rflags = 0x040 };
        state.Gpr[4] = runner.DataAddress + 0x8000;
        runner.Run(state, [0x74, 0x40], runner.CodeAddress + 166); // je +64
        Assert.Equal(runner.CodeAddress + 166, state.Rip);

        state.Rip = runner.CodeAddress + 100;
        state.Rflags = 0;
        runner.Run(state, [0x74, 0x40], runner.CodeAddress + 166);
        Assert.Equal(runner.CodeAddress + 102, state.Rip);
    }

    /// <summary>The premise of re-emission: on one host, an instruction is a function of its operands, undefined flags included.</summary>
    [Fact]
    public void Every_whitelisted_code_gives_the_same_result_twice()
    {
        ConformanceOptions options = ConformanceOptions.FromEnvironment();
        using var runner = new NativeRunner();
        var random = new SeededRandom(options.Seed);
        var generator = new InstructionGenerator(random, runner);
        var first = new MachineState();
        var second = new MachineState();
        byte[] before = new byte[NativeRunner.DataBytes];
        byte[] after = new byte[NativeRunner.DataBytes];
        for (int i = 0; i < Math.Min(options.Cases, 12_000); i++)
        {
            ConformanceCase @case = generator.Generate(InstructionGenerator.Codes[i % InstructionGenerator.Codes.Count]);
            runner.Data.CopyTo(before);
            first.CopyFrom(@case.Initial);
            @case.RunNatively(runner, first);
            runner.Data.CopyTo(after);
            before.CopyTo(runner.Data);
            second.CopyFrom(@case.Initial);
            @case.RunNatively(runner, second);
            Assert.True(first.DifferenceFrom(second, ulong.MaxValue) is null && runner.Data.SequenceEqual(after), @case.ToString());
        }
    }
}
