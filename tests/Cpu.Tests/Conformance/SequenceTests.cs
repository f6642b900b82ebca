using System.Globalization;
using FtAkka.Cpu.Decoding;
using FtAkka.Cpu.Verification;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Conformance;

/// <summary>
/// Runs of instructions in one block: what a translation keeps in scratch registers or assumes from one instruction to the next must not
/// show, wherever the run is interrupted.
/// </summary>
public class SequenceTests
{
    private const int LengthMax = 12, AttemptsPerInstruction = 8;
    private const int SequencesBetweenFullComparisons = 100;

    /// <summary>Among all forms they would be rare, and what may follow them before their flags are made is a rule of its own.</summary>
    private const int UndefinedPercent = 30;

    private static readonly List<Code> s_undefined =
        [.. InstructionGenerator.StraightLineCodes.Where(code => InstructionPolicy.Of(code).UndefinedFlags != 0)];

    [Theory]
    [InlineData(1, 0u)]
    [InlineData(3, 1u)]
    [InlineData(64, 0u)]
    [InlineData(64, 1u)]
    public void Translated_sequence_equals_native_sequence(int maxBlockInstructions, uint flagNoiseSeed)
    {
        ConformanceOptions options = ConformanceOptions.FromEnvironment();
        using var runner = new NativeRunner();
        using var guest = new GuestUnderTest(runner, new VcpuOptions { MaxBlockInstructions = maxBlockInstructions, FlagNoiseSeed = flagNoiseSeed });
        var random = new SeededRandom(options.Seed);
        var generator = new InstructionGenerator(random, runner);
        var failures = new ConformanceFailures();
        random.Fill(runner.Data);
        guest.CopyInAll();
        for (int i = 0; i < options.Cases / 12 && failures.Count < 100; i++)
        {
            string? difference = RunOne(runner, guest, generator, random, out Code last);
            if (difference is null && i % SequencesBetweenFullComparisons == 0) { difference = guest.AllDataDifference(); }
            if (difference is not null)
            {
                failures.Add(last, $"sequence {i}: {difference}");
                guest.CopyInAll();
            }
        }
        Assert.True(failures.Count == 0, failures.Report(options.Command(nameof(Translated_sequence_equals_native_sequence))));
    }

    private static string? RunOne(
        NativeRunner runner, GuestUnderTest guest, InstructionGenerator generator, SeededRandom random, out Code last)
    {
        var initial = new MachineState();
        RandomState.Fill(initial, random);
        initial.Rip = runner.CodeAddress + (ulong)random.Between(256, NativeRunner.CodeBytes - 1024);
        if (runner.SupportsSegmentBase) { initial.SegmentBase = random.Percent(50) ? random.Next() >> 18 : (ulong)(long)(int)random.Next(); }
        initial.Gpr[4] = runner.DataAddress + ScratchLayout.StackStart + 4096;

        var state = new MachineState();
        state.CopyFrom(initial);
        var cases = new List<ConformanceCase>();
        var code = new List<byte>();
        int length = random.Between(2, LengthMax);
        for (int attempt = 0; attempt < length * AttemptsPerInstruction && cases.Count < length; attempt++)
        {
            bool undefined = random.Percent(UndefinedPercent);
            ConformanceCase? next = generator.TryContinue(random.Pick(undefined ? s_undefined : InstructionGenerator.StraightLineCodes), state);
            if (next is null) { continue; }
            InstructionGenerator.AppendTo(code, next);
            cases.Add(next);
            state.CopyFrom(next.Initial);
            next.RunNatively(runner, state);
        }
        last = cases[^1].Code;

        int ring = random.Percent(50) ? 0 : 3;
        byte[] bytes = [.. code];
        guest.PrepareSequence(initial, bytes, ring);
        ulong total = (ulong)cases.Sum(@case => @case.Loads.Count + 1);
        ulong first = random.Percent(50) ? total + (ulong)random.Below(3) : (ulong)random.Between(1, (int)total);
        if (random.Percent(10)) { guest.FlushTranslations(); }
        string? difference = Compare(guest, state, cases, first, total);
        return difference is null ? null : string.Create(CultureInfo.InvariantCulture,
            $"ring {ring}, {first} of {total} instructions at first: {difference}\n    code {Convert.ToHexString(bytes)}\n    first {cases[0]}\n    {Listing(cases)}");
    }

    private static string Listing(List<ConformanceCase> cases) =>
        string.Join("\n    ", cases.Select(@case => $"{@case.Instruction} {@case.Place} {@case.OperandAddress:x}"));

    private static string? Compare(GuestUnderTest guest, MachineState expected, List<ConformanceCase> cases, ulong first, ulong total)
    {
        ulong icount = guest.Icount;
        try
        {
            guest.Run(first);
            if (first < total) { guest.Run(total - first); }
        }
        catch (Exception exception) when (exception is InvalidOperationException or ArgumentException or IndexOutOfRangeException or OverflowException or NullReferenceException)
        {
            return string.Join('\n', exception.ToString().Split('\n').Take(4));
        }
        if (guest.Exception() is { } delivered) { return $"unexpected exception {delivered}"; }
        if (guest.Icount - icount != Math.Max(first, total)) { return $"{guest.Icount - icount} instructions counted"; }
        var actual = new MachineState();
        guest.Store(actual);
        string? difference = expected.DifferenceFrom(actual, MachineState.FlagMask);
        foreach (ConformanceCase @case in cases)
        {
            difference ??= guest.DataDifference(@case.Initial.Gpr[4]);
            if (@case.OperandAddress != 0) { difference ??= guest.DataDifference(@case.OperandAddress); }
        }
        return difference;
    }
}
