using FtAkka.Cpu.Decoding;
using FtAkka.Cpu.State;
using FtAkka.Cpu.Verification;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Conformance;

/// <summary>
/// Every whitelisted instruction with a memory operand, at places where it must fault: the right vector, error code and CR2, and nothing
/// else changed (Intel SDM vol. 3A, 4.7 and 6.15).
/// </summary>
public class FaultTests
{
    private const ulong ResumeFlag = 1 << 16; // set in the pushed image of every fault (vol. 3B, 17.3.1.1)
    private const uint PresentBit = 1, WriteBit = 2, UserBit = 4;

    private static readonly Code[] s_memoryCodes = InstructionGenerator.Codes
        .Where(code => InstructionPolicy.Of(code).Access != OperandAccess.None).ToArray();

    [Theory]
    [InlineData(nameof(OperandPlace.NotPresent))]
    [InlineData(nameof(OperandPlace.ReadOnlyFault))]
    [InlineData(nameof(OperandPlace.Supervisor))]
    [InlineData(nameof(OperandPlace.Misaligned))]
    [InlineData(nameof(OperandPlace.NonCanonical))]
    public void Faulting_access_leaves_no_trace_but_the_fault(string placeName)
    {
        OperandPlace place = Enum.Parse<OperandPlace>(placeName);
        ConformanceOptions options = ConformanceOptions.FromEnvironment();
        var codes = s_memoryCodes.Where(code => place != OperandPlace.Misaligned || InstructionPolicy.Of(code).Alignment > 1).ToList();
        Run(options, options.Cases / 4, codes, (generator, code) => generator.GenerateAt(code, place),
            nameof(Faulting_access_leaves_no_trace_but_the_fault));
    }

    [Fact]
    public void Division_that_does_not_fit_raises_divide_error()
    {
        ConformanceOptions options = ConformanceOptions.FromEnvironment();
        var codes = InstructionGenerator.Codes.Where(code => code.Mnemonic() is Mnemonic.Div or Mnemonic.Idiv).ToList();
        Run(options, options.Cases / 10, codes, (generator, code) => generator.GenerateDivideError(code),
            nameof(Division_that_does_not_fit_raises_divide_error));
    }

    private static void Run(
        ConformanceOptions options, int cases, List<Code> codes, Func<InstructionGenerator, Code, ConformanceCase> generate, string test)
    {
        using var runner = new NativeRunner();
        using var guest = new GuestUnderTest(runner);
        var random = new SeededRandom(options.Seed);
        var generator = new InstructionGenerator(random, runner);
        var failures = new ConformanceFailures();
        random.Fill(runner.Data);
        guest.CopyInAll();
        for (int i = 0; i < cases; i++)
        {
            Code code = codes[i % codes.Count];
            ConformanceCase @case = generate(generator, code);
            int ring = @case.Place == OperandPlace.Supervisor || random.Percent(50) ? 3 : 0;
            DeliveredException? expected = Expected(@case, ring, runner);
            if (expected is null)
            {
                guest.CopyInTouched(@case); // by chance wholly in the page that is all right
                continue;
            }
            string? difference = Compare(guest, @case, ring, expected.Value, random.Between(1, 3));
            if (difference is not null) { failures.Add(code, $"case {i}, ring {ring}: {difference}\n    {@case}"); }
        }
        Assert.True(failures.Count == 0, failures.Report(options.Command(test)));
    }

    private static string? Compare(GuestUnderTest guest, ConformanceCase @case, int ring, DeliveredException expected, int budget)
    {
        guest.Prepare(@case, ring);
        ulong icount = guest.Icount;
        VcpuExitReason exit;
        try
        {
            exit = guest.Run((ulong)budget);
        }
        catch (Exception exception) when (exception is InvalidOperationException or ArgumentException or IndexOutOfRangeException or OverflowException or NullReferenceException)
        {
            return string.Join('\n', exception.ToString().Split('\n').Take(4));
        }
        // The faulting instruction is not counted; the HLT of the handler is.
        var actual = new MachineState();
        guest.Store(actual);
        if (guest.Exception() is not { } delivered) { return $"no fault ({exit}, rip {actual.Rip:x}), expected {expected}"; }
        if (delivered.Vector != Vector.PageFault) { delivered = delivered with { Cr2 = 0 }; }
        if (delivered != expected) { return $"expected {expected}, got {delivered}"; }
        if (guest.Icount - icount != 1) { return $"{guest.Icount - icount} instructions counted, expected 1"; }
        actual.Gpr[4] = delivered.Rsp;
        actual.Rip = delivered.Rip;
        actual.Rflags = delivered.Rflags;
        return @case.Initial.DifferenceFrom(actual, MachineState.FlagMask)
            ?? guest.DataDifference(@case.Initial.Gpr[4])
            ?? (@case.Place == OperandPlace.NonCanonical || @case.OperandAddress == 0 ? null : guest.DataDifference(@case.OperandAddress));
    }

    private static DeliveredException? Expected(ConformanceCase @case, int ring, NativeRunner runner)
    {
        ulong flags = (@case.Initial.Rflags & MachineState.FlagMask) | 2 | ResumeFlag;
        var fault = new DeliveredException(Vector.DivideError, 0, 0, @case.Initial.Rip, flags, @case.Initial.Gpr[4]);
        switch (@case.Place)
        {
            case OperandPlace.Misaligned:
                return fault with { Vector = Vector.GeneralProtection };
            case OperandPlace.NonCanonical:
                bool stack = @case.Instruction.MemorySegment == Register.SS;
                return fault with { Vector = stack ? Vector.StackFault : Vector.GeneralProtection };
            case OperandPlace.NotPresent or OperandPlace.ReadOnlyFault or OperandPlace.Supervisor:
                return PageFault(@case, ring, runner) is (uint code, ulong cr2)
                    ? fault with { Vector = Vector.PageFault, ErrorCode = code, Cr2 = cr2 }
                    : null;
            default:
                return fault; // a division
        }
    }

    /// <summary>Error code and CR2 of the first page, in address order, that refuses the access.</summary>
    private static (uint Code, ulong Cr2)? PageFault(ConformanceCase @case, int ring, NativeRunner runner)
    {
        bool write = InstructionPolicy.Of(@case.Instruction.Code).Access != OperandAccess.Read;
        uint code = (write ? WriteBit : 0) | (ring == 3 ? UserBit : 0);
        ulong first = @case.OperandAddress, last = first + (ulong)@case.OperandBytes - 1;
        for (ulong page = first & ~0xFFFul; page <= last; page += 4096)
        {
            int index = (int)((page - runner.DataAddress) / 4096);
            ulong cr2 = Math.Max(page, first);
            switch (index)
            {
                case ScratchLayout.NotPresentPage or ScratchLayout.SecondNotPresentPage:
                    return (code, cr2);
                case ScratchLayout.ReadOnlyPage when write:
                case ScratchLayout.SupervisorPage when ring == 3:
                    return (code | PresentBit, cr2);
                default:
                    break;
            }
        }
        return null;
    }
}
