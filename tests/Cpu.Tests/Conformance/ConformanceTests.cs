using FtAkka.Cpu.Verification;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Conformance;

/// <summary>Every whitelisted instruction form gives the same registers, flags and memory through the engine as on the host CPU.</summary>
public class ConformanceTests
{
    private const int CasesBetweenFullComparisons = 500;

    [Fact]
    public void Translated_execution_equals_native_execution()
    {
        ConformanceOptions options = ConformanceOptions.FromEnvironment();
        using var runner = new NativeRunner();
        using var guest = new GuestUnderTest(runner);
        var random = new SeededRandom(options.Seed);
        var generator = new InstructionGenerator(random, runner);
        var failures = new ConformanceFailures();
        random.Fill(runner.Data);
        guest.CopyInAll();
        for (int i = 0; i < options.Cases && failures.Count < 5000; i++)
        {
            Code code = InstructionGenerator.Codes[i % InstructionGenerator.Codes.Count];
            ConformanceCase @case = generator.Generate(code);
            string? difference = Compare(runner, guest, @case, random);
            if (difference is null && i % CasesBetweenFullComparisons == 0) { difference = guest.AllDataDifference(); }
            if (difference is not null)
            {
                failures.Add(code, $"case {i}: {difference}\n    {@case}");
                guest.CopyInAll();
            }
        }
        Assert.True(failures.Count == 0, failures.Report(options.Command(nameof(Translated_execution_equals_native_execution))));
    }

    /// <summary>Null if both sides agree.</summary>
    private static string? Compare(NativeRunner runner, GuestUnderTest guest, ConformanceCase @case, SeededRandom random)
    {
        int ring = random.Percent(50) ? 0 : 3;
        // The loop behind the instruction takes the rest: with a budget of one the engine steps, with more it runs a longer block.
        ulong budget = (ulong)random.Between(1, 4);
        guest.Prepare(@case, ring);
        var expected = new MachineState();
        expected.CopyFrom(@case.Initial);
        @case.RunNatively(runner, expected);

        ulong icount = guest.Icount;
        VcpuExitReason exit;
        try
        {
            exit = guest.Run(budget);
        }
        catch (Exception exception) when (exception is InvalidOperationException or ArgumentException or IndexOutOfRangeException or OverflowException or NullReferenceException)
        {
            return $"ring {ring}, budget {budget}: {string.Join('\n', exception.ToString().Split('\n').Take(4))}";
        }
        string where = $"ring {ring}, budget {budget}: ";
        if (guest.Exception() is { } delivered) { return where + $"unexpected exception {delivered}"; }
        if (exit != VcpuExitReason.BudgetSpent || guest.Icount != icount + budget) { return where + $"{exit} after {guest.Icount - icount} instructions"; }
        var actual = new MachineState();
        guest.Store(actual);
        string? difference = expected.DifferenceFrom(actual, MachineState.FlagMask);
        difference ??= guest.DataDifference(@case.Initial.Gpr[4]);
        if (@case.OperandAddress != 0) { difference ??= guest.DataDifference(@case.OperandAddress); }
        return difference is null ? null : where + difference;
    }
}
